"""Words are seen where there are any, and speckle is none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge3vt.core.frame import Pixels
from edge3vt.data.lettering import words
from edge3vt.picture.images import read_image
from edge3vt.picture.text import rendered

REAL = Path(__file__).parents[3] / "shared/data"


def speckle(seed: int) -> Pixels:
    """A black picture with a bright, speckled middle."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((240, 320), np.uint8)
    picture[60:220, 40:280] = np.clip(90 * rng.rayleigh(1.0, (160, 240)), 0, 255).astype(np.uint8)
    return picture


@pytest.mark.parametrize("size_px", [10, 14, 20, 28])
def test_a_name_on_black_is_found_where_it_is(size_px: int) -> None:
    picture = speckle(1)
    text = rendered("DOE JANE 1987", size_px, (255, 255, 255))[:50, :260, 0]
    picture[4 : 4 + text.shape[0], 30 : 30 + text.shape[1]] = np.where(text > 20, text, 0)
    found = words(picture)
    assert found
    assert all(word.y0 >= 4 and word.y1 <= 4 + text.shape[0] and word.x0 >= 30 for word in found)
    assert max(word.x1 for word in found) > 30 + text.shape[1] // 2


def test_speckle_is_no_text() -> None:
    assert [words(speckle(seed)) for seed in range(10)] == [[]] * 10


def test_a_black_picture_and_a_small_one_hold_none() -> None:
    assert words(np.zeros((64, 64), np.uint8)) == []
    assert words(np.full((1, 1), 200, np.uint8)) == []


@pytest.mark.skipif(not REAL.is_dir(), reason="the real pictures are not here")
def test_screens_of_a_scanner_hold_text_and_pictures_without_text_none() -> None:
    def grey(path: Path) -> Pixels:
        pixels = read_image(path)
        return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    assert all(words(grey(path)) for path in sorted((REAL / "screens").glob("*.png")))
    assert not any(words(grey(path)) for path in sorted((REAL / "usgra-seg/test/images").iterdir()))
