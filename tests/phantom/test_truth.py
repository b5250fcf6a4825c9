"""The truth is as exact as it says."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.phantom.canvas import ellipse, tube
from edge3vt.phantom.truth import REACH_MM, Truth


def grid(step_mm: float = 0.05, half_mm: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    axis = np.arange(-half_mm, half_mm, step_mm, dtype=np.float32)
    return np.meshgrid(axis, axis)


def test_a_mask_has_the_area_of_its_shape() -> None:
    x, y = grid()
    truth = Truth([(3, ellipse((0.3, -0.7), (2.0, 2.0), reach=REACH_MM))])
    assert (truth.mask(x, y) == 3).sum() * 0.05**2 == pytest.approx(np.pi * 4, rel=0.01)


def test_the_distance_is_exact_to_hundredths_of_a_millimetre() -> None:
    x, y = grid()
    truth = Truth([(2, ellipse((0.3, -0.7), (3.0, 3.0), reach=REACH_MM))])
    expected = np.hypot(x - 0.3, y + 0.7) - 3
    near = np.abs(expected) < 1
    assert np.abs(truth.distance(2, x, y) - expected)[near].max() < 0.03
    assert truth.distance(2, x, y).max() <= REACH_MM


def test_mask_and_distance_agree() -> None:
    x, y = grid()
    truth = Truth([(1, tube(np.array([[-5.0, -3.0], [4.0, 5.0]]), 1.3, reach=REACH_MM))])
    np.testing.assert_array_equal(truth.mask(x, y) == 1, truth.distance(1, x, y) < 0)


def test_overlapping_structures_share_their_overlap_and_parts_of_one_label_join() -> None:
    x, y = grid()
    discs = [ellipse((at, 0.0), (2.0, 2.0), reach=REACH_MM) for at in (-1.0, 1.0, 5.0)]
    truth = Truth([(1, discs[0]), (2, discs[1]), (2, discs[2])])
    mask = truth.mask(x, y)
    assert (mask[:, x[0] < -0.1] != 2).all()
    assert (mask[:, x[0] > 0.1] != 1).all()
    assert truth.labels == (1, 2)
    assert truth.distance(2, x, y)[np.hypot(x - 5, y) < 1].max() < 0


def test_an_empty_truth_is_empty() -> None:
    x, y = grid()
    assert not Truth().mask(x, y).any()
