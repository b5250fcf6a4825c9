from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest

from edge3vt.bench.surface import Binary, outlines

TOLERANCE_PX = 2.0


def square(x: int, y: int, side: int = 20) -> Binary:
    mask = np.zeros((60, 80), np.bool_)
    mask[y : y + side, x : x + side] = True
    return mask


def blob(seed: int) -> Binary:
    rng = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(rng.standard_normal((60, 80)), (0, 0), 5)
    return np.asarray(smooth > 0.05, dtype=np.bool_)


def test_the_same_structure_lies_nowhere_off() -> None:
    same = outlines(square(10, 10), square(10, 10), TOLERANCE_PX)
    assert (same.hd95, same.nsd) == (0, 1)


def test_a_shift_is_its_distance_and_beyond_the_tolerance_it_costs() -> None:
    shifted = outlines(square(10, 10), square(16, 10), TOLERANCE_PX)
    assert shifted.hd95 == 6
    # Of 76 pixels each: 2 x 4 that stick out, the 18 between them, and of the side inside all but 2 x 2 at its ends.
    assert shifted.nsd == pytest.approx(1 - (8 + 18 + 14) / 76)
    assert outlines(square(10, 10), square(12, 10), TOLERANCE_PX).nsd == 1


def test_one_far_speck_does_not_move_the_percentile_but_a_far_piece_does() -> None:
    found = square(10, 10)
    found[55, 75] = True
    assert outlines(square(10, 10), found, TOLERANCE_PX).hd95 == 0
    found[45:58, 60:75] = True
    moved = outlines(square(10, 10), found, TOLERANCE_PX).hd95
    assert moved is not None
    assert moved > 30


def test_what_is_missing_has_no_distance() -> None:
    nothing = np.zeros((60, 80), np.bool_)
    for pair in ((nothing, square(5, 5)), (square(5, 5), nothing)):
        missing = outlines(*pair, TOLERANCE_PX)
        assert (missing.hd95, missing.nsd) == (None, 0)
    both = outlines(nothing, nothing, TOLERANCE_PX)
    assert (both.hd95, both.nsd) == (None, None)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"truth is \(60, 80\)"):
        outlines(square(5, 5), square(5, 5).T, TOLERANCE_PX)


def test_monai_is_the_referee() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from monai.metrics.hausdorff_distance import HausdorffDistanceMetric
        from monai.metrics.surface_dice import SurfaceDiceMetric

        hausdorff = HausdorffDistanceMetric(percentile=95)
        surface = SurfaceDiceMetric([TOLERANCE_PX])
        for seed in range(12):
            pair = square(0, 0) if seed == 0 else blob(seed), blob(seed + 100)
            truth, found = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in pair)
            ours = outlines(*pair, TOLERANCE_PX)
            assert ours.hd95 == pytest.approx(float(hausdorff(found, truth)), abs=1e-3)
            assert ours.nsd == pytest.approx(float(surface(found, truth)), abs=1e-6)
