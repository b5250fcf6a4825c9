from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge3vt.core.errors import EngineError
from edge3vt.core.frame import Crop
from edge3vt.core.segmentation import Mask
from edge3vt.core.session import Logits
from edge3vt.picture import mask as module
from edge3vt.picture.mask import areas_and_centres, make_mask, place


def bilinear(logits: Logits, scale: int) -> NDArray[np.float64]:
    """The definition, in float64."""
    _, _, h, w = logits.shape

    def axis(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        at = np.clip((np.arange(n * scale) + 0.5) / scale - 0.5, 0, n - 1)
        first = np.floor(at).astype(int)
        return first, np.minimum(first + 1, n - 1), at - first

    (y0, y1, fy), (x0, x1, fx) = axis(h), axis(w)
    planes = logits[0].astype(np.float64)
    above, below = planes[:, y0], planes[:, y1]
    rows = above + (below - above) * fy[:, None]
    return rows[..., x0] + (rows[..., x1] - rows[..., x0]) * fx


def assert_exact(mask: Mask, logits: Logits, scale: int) -> None:
    """Equal to the definition wherever float32 can tell the two best classes apart."""
    full = bilinear(logits, scale)
    best = np.sort(full, axis=0)
    clear = best[-1] - best[-2] > 1e-5
    assert clear.mean() > 0.99
    assert np.array_equal(mask[clear], full.argmax(axis=0)[clear])


def blobs(size: int, seed: int = 0) -> Logits:
    """Smooth logits, as a network gives them."""
    noise = np.random.default_rng(seed).standard_normal((6, size, size)).astype(np.float32)
    planes = np.stack([cv2.GaussianBlur(plane, (0, 0), size / 12) for plane in noise]) * 40
    planes[0] += 1
    return planes[None]


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize(("classes", "height", "width"), [(2, 5, 9), (6, 17, 12), (9, 1, 1), (6, 1, 7)])
def test_random_logits_are_exact(scale: int, classes: int, height: int, width: int) -> None:
    logits = np.random.default_rng(scale).standard_normal((1, classes, height, width)).astype(np.float32)
    mask, _ = make_mask(logits, scale)
    assert mask.dtype == np.uint8
    assert mask.shape == (height * scale, width * scale)
    assert mask.flags.c_contiguous
    assert_exact(mask, logits, scale)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("seed", range(5))
def test_smooth_logits_are_exact(scale: int, seed: int) -> None:
    logits = blobs(48, seed)
    assert_exact(make_mask(logits, scale)[0], logits, scale)


def test_opencv_agrees() -> None:
    logits = blobs(32)
    full = np.stack([cv2.resize(p, (128, 128), interpolation=cv2.INTER_LINEAR) for p in logits[0]])
    assert np.mean(make_mask(logits, 4)[0] != full.argmax(axis=0)) < 1e-4


def test_a_class_that_wins_no_logit_can_win_between_them() -> None:
    logits = np.array([[[[4.0, 0.0]], [[0.0, 4.0]], [[3.0, 3.0]]]], dtype=np.float32)
    mask, scores = make_mask(logits, 4)
    assert 2 in mask
    assert scores[2] == 0.0


def test_the_exactness_check_sees_a_shifted_upsampling(monkeypatch: pytest.MonkeyPatch) -> None:
    right = module._weights(4)
    monkeypatch.setattr(module, "_weights", lambda scale: np.roll(right, 1, axis=0))
    logits = blobs(48)
    with pytest.raises(AssertionError):
        assert_exact(make_mask(logits, 4)[0], logits, 4)


def test_scores_are_mean_winning_probabilities() -> None:
    logits = np.random.default_rng(1).standard_normal((1, 5, 20, 20)).astype(np.float32)
    logits[0, 3] = -50
    probability = np.exp(logits[0]) / np.exp(logits[0]).sum(axis=0)
    labels = logits[0].argmax(axis=0)
    _, scores = make_mask(logits, 2)
    expected = [probability[c][labels == c].mean() if (labels == c).any() else 0.0 for c in range(5)]
    assert scores == pytest.approx(expected, abs=1e-5)
    assert scores[3] == 0.0


def test_huge_logits_have_scores() -> None:
    logits = np.zeros((1, 3, 4, 4), np.float32)
    logits[0, 1] = 3e38
    assert make_mask(logits, 4)[1] == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(bad: float) -> None:
    logits = blobs(24)
    logits[0, 2, 5, 7] = bad
    with pytest.raises(EngineError, match="1 logits that are not finite"):
        make_mask(logits, 4)


@pytest.mark.parametrize("crop", [Crop(10, 5, 40, 40), Crop(-7, 20, 64, 32), Crop(3, -30, 90, 25), Crop(90, 0, 30, 8)])
def test_place_is_nearest_neighbour(crop: Crop) -> None:
    mask = np.random.default_rng(2).integers(0, 6, (crop.size, crop.size), dtype=np.uint8)
    placed = place(mask, crop, (60, 100))
    for y in range(0, 60, 7):
        for x in range(100):
            inside = 0 <= x - crop.x < crop.side and 0 <= y - crop.y < crop.side
            row, column = (int((at + 0.5) * crop.size / crop.side) for at in (y - crop.y, x - crop.x))
            assert placed[y, x] == (mask[row, column] if inside else 0)


def test_areas_and_centres_are_those_of_the_pixels() -> None:
    rng = np.random.default_rng(3)
    mask = np.zeros((60, 80), dtype=np.uint8)
    mask[10:40, 20:70] = rng.integers(0, 5, (30, 50))
    areas, centres = areas_and_centres(mask, (1, 2, 4, 5))
    for label, area, centre in zip((1, 2, 4), areas, centres, strict=False):
        rows, columns = np.nonzero(mask == label)
        assert area == len(rows)
        assert centre == pytest.approx((columns.mean(), rows.mean()))
    assert (areas[3], *centres[3]) == (0, 0, 0)
    assert areas_and_centres(np.zeros((8, 8), dtype=np.uint8), (1, 2))[0].tolist() == [0, 0]


def test_how_logits_lie_in_memory_changes_nothing() -> None:
    logits = np.random.default_rng(4).normal(0, 3, (1, 3, 16, 24)).astype(np.float32)
    last = np.ascontiguousarray(logits.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    mask, scores = make_mask(logits, 4)
    again, scores_again = make_mask(last, 4)
    assert np.array_equal(mask, again)
    assert scores == scores_again
