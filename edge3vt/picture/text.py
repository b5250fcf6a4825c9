"""Text as little pictures, rendered once and pasted from then on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache, lru_cache

import cv2
import numpy as np

from edge3vt.core.frame import Pixels

Colour = tuple[int, int, int]

BACKGROUND: Colour = (16, 18, 22)
REGULAR, BOLD = 400, 700
_FONT_LOCK = threading.Lock()
"""OpenCV's font is not for two threads at once: letters come out wrong, and would stay in the cache."""


def line_height_px(size_px: int) -> int:
    return round(1.5 * size_px)


@lru_cache(maxsize=4096)
def rendered(text: str, size_px: int, colour: Colour, weight: int = REGULAR, background: Colour = BACKGROUND) -> Pixels:
    """(line height, W, 3) RGB of one line on its background; read-only."""
    height, width = line_height_px(size_px), text_width_px(text, size_px, weight)
    picture = np.full((height, max(width, 1), 3), background, dtype=np.uint8)
    baseline = (0, round(1.1 * size_px))
    with _FONT_LOCK:
        cv2.putText(picture, text, baseline, colour, _font(), size_px, weight)
    picture.flags.writeable = False
    return picture


@lru_cache(maxsize=4096)
def text_width_px(text: str, size_px: int, weight: int = REGULAR) -> int:
    """Width of one line, with the space after its last letter."""
    if not text:
        return 0
    with _FONT_LOCK:
        x, _, width, _ = (int(side) for side in cv2.getTextSize((0, 0), text, (0, 0), _font(), size_px, weight))
    return x + width + 1


def panel(lines: Sequence[str], size_px: int, colour: Colour, weight: int = REGULAR) -> Pixels:
    """(H, W, 3) RGB of some lines on the dark background, with a margin."""
    margin, row = size_px // 2, line_height_px(size_px)
    words = [rendered(line, size_px, colour, weight) for line in lines]
    width = max((word.shape[1] for word in words), default=0) + 2 * margin
    picture = np.full((row * len(words) + 2 * margin, width, 3), BACKGROUND, dtype=np.uint8)
    for line, word in enumerate(words):
        paste(picture, word, margin, margin + line * row)
    return picture


def paste(picture: Pixels, patch: Pixels, x: int, y: int) -> int:
    """Copy ``patch`` into ``picture`` at (x, y), cut at the edges; returns the column after it."""
    height: int = max(min(patch.shape[0], picture.shape[0] - y), 0)
    width: int = max(min(patch.shape[1], picture.shape[1] - x), 0)
    picture[y : y + height, x : x + width] = patch[:height, :width]
    return x + width


@cache
def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")
