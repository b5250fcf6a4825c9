from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.bench.accuracy import Case, Scores, measure, scored, truth_of
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Region
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import Dataset, Item
from edge3vt.picture.images import write_image
from tests.bench.painted import MM_PER_PX, SIDE, anatomy, painted_set

BOUNDS = Region(8, 0, 88, 96)


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return painted_set(tmp_path_factory.mktemp("painted") / "set")


def case(item: Item, found: Mask, mm_per_px: float | None = MM_PER_PX, truth: Mask | None = None) -> Case:
    true = anatomy(0) if truth is None else truth
    return measure(item, true, found, BOUNDS, CLASS_NAMES, mm_per_px, network_px=2.0)


def test_a_perfect_mask(painted: Dataset) -> None:
    perfect = case(painted.items[0], anatomy(0))
    assert perfect.right == 1
    disc = int((anatomy(0) == 1).sum())
    for name in CLASS_NAMES[1:]:
        width = 2.0 / MM_PER_PX * 2.0 if name == "trachea" else None
        assert perfect.structures[name] == Scores(disc, disc, 1, 1, 1, 0, 1, width)
    assert (perfect.weeks, perfect.variant, perfect.patient) == (18, "normal", "p0")


def test_a_shift_is_told_in_mm_or_px_and_its_tolerance_too(painted: Dataset) -> None:
    moved = np.roll(anatomy(0), 3, axis=0)
    in_mm = case(painted.items[0], moved).structures["trachea"]
    in_px = case(painted.items[0], moved, mm_per_px=None).structures["trachea"]
    assert (in_mm.hd95, in_px.hd95) == (pytest.approx(1.5), pytest.approx(3))
    assert in_mm.nsd == in_px.nsd  # 1 mm is 2 px here
    finer = case(painted.items[0], moved, mm_per_px=0.25).structures["trachea"]
    assert finer.nsd == 1
    assert finer.hd95 == pytest.approx(0.75)
    assert in_mm.dice is not None
    assert in_mm.dice < 0.8


def test_what_was_missed_and_what_was_made_up(painted: Dataset) -> None:
    lost, truth = anatomy(0), anatomy(0)
    lost[lost == 4] = 0
    truth[truth == 2] = 0
    scores = case(painted.items[0], lost, truth=truth).structures
    disc = int((anatomy(0) == 1).sum())
    assert scores["trachea"] == Scores(disc, 0, 0, 0, 0, None, 0, 8.0)
    assert scores["aortic_arch"] == Scores(0, disc, None, None, None, None, None, None)
    assert scores["spine"].dice == 1


def test_pixels_outside_the_region_do_not_make_a_mask_right(painted: Dataset) -> None:
    wrong = np.where(anatomy(0) > 0, 0, anatomy(0)).astype(np.uint8)
    inside = (BOUNDS.x1 - BOUNDS.x0) * SIDE
    assert case(painted.items[0], wrong).right == pytest.approx(1 - (anatomy(0) > 0).sum() / inside)


def test_the_scored_structures() -> None:
    assert scored(CLASS_NAMES) == CLASS_NAMES[1:5]
    assert scored(("background", "vessel", "nerve")) == ("vessel", "nerve")


def test_exact_truth_stands_beside_the_masks(painted: Dataset) -> None:
    item = painted.items[0]
    with pytest.raises(DataError, match="no such file"):
        truth_of(painted, item, "exact")
    write_image(painted.folder / "truth" / f"{item.id}.png", anatomy(77))
    assert np.array_equal(truth_of(painted, item, "exact"), anatomy(77))
    assert np.array_equal(truth_of(painted, item, "drawn"), anatomy(0))


@pytest.mark.parametrize("mask", [np.full((SIDE, SIDE), 6, np.uint8), np.zeros((SIDE, SIDE + 1), np.uint8)])
def test_a_mask_of_other_classes_or_size_is_refused(painted: Dataset, mask: Mask) -> None:
    item = replace(painted.items[1], id="other")
    write_image(painted.folder / "masks" / "other.png", mask)
    with pytest.raises(DataError, match="audit the set"):
        truth_of(painted, item, "drawn")
