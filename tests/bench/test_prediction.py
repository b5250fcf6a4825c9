from __future__ import annotations

import numpy as np
import pytest

from edge3vt.bench.prediction import Sight
from edge3vt.core.frame import Frame, Region
from edge3vt.core.segmentation import Mask
from tests.bench.painted import GREY, SIDE, PaintedSession, anatomy

LARGE = 4 * SIDE  # of the pictures here; in the middle of each lies an anatomy of SIDE px
BOUNDS = Region(0, 0, LARGE, LARGE)


def scene() -> tuple[Frame, Mask]:
    truth = np.zeros((LARGE, LARGE), np.uint8)
    truth[150 : 150 + SIDE, 170 : 170 + SIDE] = anatomy(3)
    return Frame(0, 0, truth * np.uint8(GREY), region=BOUNDS), truth


def wrong(mask: Mask, truth: Mask) -> int:
    return int((mask != truth).sum())


def test_a_closer_look_is_finer_whoever_points() -> None:
    frame, truth = scene()
    far = wrong(Sight(PaintedSession(), "whole").mask(frame, None), truth)
    track = wrong(Sight(PaintedSession(), "track").mask(frame, None), truth)
    oracle = wrong(Sight(PaintedSession(), "truth").mask(frame, truth), truth)
    assert max(track, oracle) < 0.6 * far


def test_the_second_pass_costs_a_run_and_the_locator_makes_the_first() -> None:
    frame, truth = scene()
    model, locator = PaintedSession(), PaintedSession(64)
    Sight(model, "whole").mask(frame, truth)
    Sight(model, "truth").mask(frame, truth)
    assert model.runs == 2
    Sight(model, "track").mask(frame, truth)
    assert model.runs == 4
    Sight(model, "track", locator).mask(frame, truth)
    assert (model.runs, locator.runs) == (5, 1)


def test_a_locator_that_loses_a_structure_leads_elsewhere_but_its_mask_is_not_kept() -> None:
    frame, truth = scene()
    found = Sight(PaintedSession(), "track", PaintedSession(lost=(1, 2, 3, 4))).mask(frame, None)
    assert (found == 5).any()
    assert wrong(found, truth) < 400


@pytest.mark.parametrize("mode", ["track", "truth"])
def test_where_nothing_was_found_the_picture_is_seen_whole(mode: str) -> None:
    frame, _ = scene()
    blind = PaintedSession(lost=(1, 2, 3, 4, 5))
    sight = Sight(PaintedSession(), "truth") if mode == "truth" else Sight(PaintedSession(), "track", blind)
    whole = Sight(PaintedSession(), "whole").mask(frame, None)
    assert np.array_equal(sight.mask(frame, np.zeros_like(whole)), whole)


def test_masks_lie_on_the_pictures_own_pixels() -> None:
    truth = np.zeros((SIDE, SIDE + 40), np.uint8)
    truth[:, 20 : 20 + SIDE] = anatomy(5)
    frame = Frame(0, 0, truth * np.uint8(GREY), region=Region(20, 0, 20 + SIDE, SIDE))
    assert np.array_equal(Sight(PaintedSession(), "whole").mask(frame, None), truth)
