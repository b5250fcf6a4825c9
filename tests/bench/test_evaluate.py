"""A stream against its truth."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.bench.evaluate import Witness
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Mask, Segmentation, State, Verdict

TRUTH = np.zeros((40, 60), np.uint8)
for label in range(1, len(CLASS_NAMES)):
    TRUTH[5:30, 8 * label : 8 * label + 6] = label
SQUARE = np.zeros((60, 60), np.uint8)
SQUARE[10:50] = TRUTH


def seg(index: int, mask: Mask | None, shown: bool) -> Segmentation:
    frame = Frame(index, index, np.zeros(TRUTH.shape, np.uint8))
    crop = Crop(0, -10, 60, 60)
    return Segmentation(
        frame, mask, index, crop, Verdict.ON_TIME, "", False, State.LIVE, (), shown, "" if shown else "why", "m-1"
    )


def truth(index: int) -> tuple[Mask, bool]:
    return (TRUTH, True) if index < 2 else (np.zeros_like(TRUTH), False)


def test_perfect_masks_score_one_and_a_missing_mask_scores_nothing() -> None:
    witness = Witness()
    for one in (seg(0, SQUARE, True), seg(1, None, False), seg(2, SQUARE, True), seg(3, SQUARE, False)):
        witness(one)
    found = witness.accuracy(truth)
    assert (found.view_frames, found.other_frames) == (2, 2)
    assert found.dice_mean == pytest.approx(0.5)
    assert (found.shown_in_view, found.shown_outside_view) == (0.5, 0.5)


def test_a_shifted_mask_is_seen() -> None:
    witness = Witness()
    witness(seg(0, np.roll(SQUARE, 2, axis=1), True))
    assert witness.accuracy(truth).dice_mean < 0.75


def test_a_stream_without_the_view_has_no_dice() -> None:
    witness = Witness()
    witness(seg(5, SQUARE, False))
    with pytest.raises(ValueError, match="no frame holds the view"):
        witness.accuracy(truth)
