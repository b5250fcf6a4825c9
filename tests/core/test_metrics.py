from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge3vt.core.metrics import confusion, dice, iou, mean_over_cases, pixel_accuracy
from edge3vt.core.segmentation import Mask

TRUTH = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 0, 0]], dtype=np.uint8)
FOUND = np.array([[0, 1, 1, 1], [0, 0, 1, 0], [2, 0, 0, 3]], dtype=np.uint8)
masks = arrays(np.uint8, (5, 7), elements=st.integers(0, 3))


def test_hand_counted_masks() -> None:
    counts = confusion(TRUTH, FOUND, 5)
    assert counts.tolist() == [
        [4, 1, 0, 1, 0],
        [1, 3, 0, 0, 0],
        [1, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    np.testing.assert_allclose(dice(counts), [8 / 12, 6 / 8, 2 / 3, 0, np.nan])
    np.testing.assert_allclose(iou(counts), [4 / 8, 3 / 5, 1 / 2, 0, np.nan])
    np.testing.assert_allclose(pixel_accuracy(counts), [4 / 6, 3 / 4, 1 / 2, np.nan, np.nan])


def test_swapped_classes_and_shifted_masks_show() -> None:
    perfect = dice(confusion(TRUTH, TRUTH, 3))
    assert perfect.tolist() == [1, 1, 1]
    swapped = dice(confusion(TRUTH, np.array([0, 2, 1], dtype=np.uint8)[TRUTH], 3))
    assert swapped.tolist() == [1, 0, 0]
    assert (dice(confusion(TRUTH, np.roll(TRUTH, 1, axis=1), 3)) < perfect).all()


@given(masks, masks)
def test_against_the_definitions_on_sets(truth: Mask, found: Mask) -> None:
    counts = confusion(truth, found, 4)
    assert counts.sum() == truth.size
    for label in range(4):
        a, b = truth == label, found == label
        both, either = (a & b).sum(), (a | b).sum()
        expected_dice = 2 * both / (a.sum() + b.sum()) if either else np.nan
        np.testing.assert_allclose(dice(counts)[label], expected_dice)
        np.testing.assert_allclose(iou(counts)[label], both / either if either else np.nan)
        np.testing.assert_allclose(pixel_accuracy(counts)[label], both / a.sum() if a.any() else np.nan)


def test_counts_of_frames_add_up() -> None:
    together = confusion(np.stack([TRUTH, FOUND]), np.stack([FOUND, FOUND]), 4)
    assert (together == confusion(TRUTH, FOUND, 4) + confusion(FOUND, FOUND, 4)).all()


def test_many_classes_do_not_wrap_in_uint8() -> None:
    counts = confusion(np.full((1, 1), 60, np.uint8), np.full((1, 1), 3, np.uint8), 64)
    assert counts[60, 3] == 1
    assert counts.sum() == 1


def test_other_shapes_and_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"truth is \(3, 4\), prediction \(4, 3\)"):
        confusion(TRUTH, TRUTH.T, 4)
    for truth, found in ((TRUTH, FOUND), (FOUND, TRUTH)):
        with pytest.raises(ValueError, match="a label is not below 3"):
            confusion(truth, found, 3)


def test_the_mean_over_cases_leaves_out_what_a_case_does_not_hold() -> None:
    cases = [np.array([0.5, np.nan, np.nan]), np.array([1.0, 0.25, np.nan])]
    np.testing.assert_array_equal(mean_over_cases(cases), [0.75, 0.25, np.nan])
