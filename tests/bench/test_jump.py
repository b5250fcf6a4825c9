from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from edge3vt.bench.follower import Follower, Seen
from edge3vt.bench.jump import LEAST_MM, VESSELS, Refinding, jumping, other_place
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.cine import Scene
from tests.bench.test_follower import Reader, frame, painted

HERE, THERE = painted(150, 150), painted(360, 380)


class Scripted(Follower):
    """Shows these masks, whatever it is given."""

    def __init__(self, masks: list[Mask | None]) -> None:
        self._masks = masks

    def see(self, frame: Frame) -> Seen:
        mask = self._masks[frame.index]
        return Seen(np.zeros((512, 512), np.uint8) if mask is None else mask, mask is not None, "", "acquire")


def refound(masks: list[Mask | None]) -> Refinding:
    """At 30 Hz, with the jump at frame 30."""
    refinding = Refinding(Scripted(masks), 1.0, 30.0)
    for index in range(len(masks)):
        refinding.see(frame(index, HERE if index < 30 else THERE), HERE if index < 30 else THERE)
    return refinding


def test_the_time_runs_from_the_jump_until_the_first_right_overlay_is_out() -> None:
    found = refound([HERE] * 30 + [None] * 5 + [THERE] * 10)
    assert found.held_before
    assert found.found_ms == pytest.approx(6 * 1000 / 30)


def test_an_overlay_that_stays_where_the_view_was_is_never_found_again() -> None:
    assert refound([HERE] * 60).found_ms is None


def test_one_that_had_no_overlay_before_is_told_apart() -> None:
    assert not refound([HERE] * 29 + [None] + [THERE] * 10).held_before


def test_a_true_tracker_finds_it_in_time() -> None:
    refinding = Refinding(Follower(Reader(), "track"), 1.0, 30.0)
    for index in range(60):
        refinding.see(frame(index, HERE if index < 30 else THERE), HERE if index < 30 else THERE)
    assert refinding.held_before
    assert refinding.found_ms is not None
    assert refinding.found_ms <= 500


def test_a_planted_jump_moves_the_same_fetus_on_the_same_scanner() -> None:
    scene, there = next((s, o) for s in (Scene(i, 512, 384) for i in range(20)) if (o := other_place(s)))
    here = scene.motion
    pictures = list(jumping(scene, there, 10.0, 0.3))
    assert scene.motion is here
    assert [f.index for f, _ in pictures] == list(range(6))
    assert len({(f.region, f.mm_per_px) for f, _ in pictures}) == 1, "nothing else tells of the jump"
    middles = [np.argwhere(np.isin(mask, VESSELS)).mean(axis=0) for _, mask in pictures]
    steps = [float(np.hypot(*(b - a))) * scene.mm_per_px for a, b in pairwise(middles)]
    assert steps[2] > 0.6 * LEAST_MM
    assert max(steps[:2] + steps[3:]) < 2.0
