"""A scanner's screen: where its sector is, without the furniture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels

Inside = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """One picture: (H, W) uint8 luma, and which of its pixels are inside the sector and not furniture."""

    name: str
    luma: Pixels
    inside: Inside

    def cut(self) -> Pixels:
        """The box around the inside, black outside of it."""
        rows, columns = np.flatnonzero(self.inside.any(axis=1)), np.flatnonzero(self.inside.any(axis=0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return np.where(self.inside, self.luma, 0)[box].astype(np.uint8)


def screen(name: str, pixels: Pixels) -> Screen:
    """A screen from (H, W) grey or (H, W, 3) RGB pixels. Raises DataError where it holds no sector.

    The sector is the convex hull of what is lit, after bars at the top and bottom, the grey bar at a side, level
    panels, coloured marks and thin strokes are taken out: black corners without any lit picture beyond them are left
    out as well. Levels and sizes are our own choice, tried on Voluson screens of 975x735.
    """
    luma = pixels if pixels.ndim == 2 else _u8(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    bare = luma.copy()
    top, bottom, drawn = _bars(luma)
    bare[:top], bare[bottom:] = 0, 0
    side = luma.shape[1] // 30  # where scanners put the grey bar
    for edge in (np.s_[:, :side], np.s_[:, -side:]):
        bare[edge][drawn[edge]] = 0
    panels = cv2.morphologyEx(_u8(drawn), cv2.MORPH_OPEN, np.ones((21, 13), np.uint8))  # menus beside the sector
    marks = _grown(np.asarray(panels) > 0)
    bare[marks] = 0
    if pixels.ndim == 3:  # coloured marks and letters; a tinted grey map stays far below
        marks |= _grown(np.ptp(pixels, axis=2) > 60)
        bare[marks] = 0
    solid = cv2.blur(cv2.morphologyEx(bare, cv2.MORPH_OPEN, _disk(5)), (9, 9))  # without strokes of letters
    lit = cv2.morphologyEx(_u8(np.asarray(solid) > 4), cv2.MORPH_OPEN, _disk(21))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(lit)
    pieces = [i for i in range(1, count) if boxes[i, cv2.CC_STAT_AREA] > 0.003 * luma.size]
    if not pieces:
        raise DataError(f"{name}: no sector found in the picture; name pictures of a scanner's screen")
    hull = cv2.convexHull(cv2.findNonZero(_u8(np.isin(labels, pieces))))
    inside = cv2.fillConvexPoly(np.zeros(luma.shape, np.uint8), hull, 1)
    inside = cv2.erode(inside, np.ones((9, 9), np.uint8), borderValue=1)  # what the mean over 9 x 9 px has widened
    letters = _grown((bare > 70) & (np.asarray(lit) == 0))
    return Screen(name, luma, (np.asarray(inside) > 0) & ~letters & ~marks)


def _bars(luma: Pixels) -> tuple[int, int, Inside]:
    """Rows between a bar at the top and one at the bottom, and pixels that are drawn: level along their row.

    A bar is a row of the outer quarters of which a quarter is drawn.
    """
    height, width = luma.shape
    steps = (luma[:, 1:] != luma[:, :-1]).astype(np.float32)
    level = cv2.boxFilter(steps, -1, (7, 1), normalize=False, borderType=cv2.BORDER_CONSTANT) < np.float32(0.5)
    drawn = np.zeros(luma.shape, np.uint8)
    drawn[:, 1:] = level & (luma[:, 1:] > 8) & (luma[:, 1:] < 250)
    rows = np.flatnonzero(drawn.sum(axis=1) > width / 4)
    top = max((int(y) + 1 for y in rows if y < height // 4), default=0)
    bottom = min((int(y) for y in rows if y >= height - height // 4), default=height)
    return top, bottom, np.asarray(cv2.dilate(drawn, np.ones((1, 9), np.uint8))) > 0


def _grown(marked: NDArray[np.bool_]) -> Inside:
    return np.asarray(cv2.dilate(_u8(marked), np.ones((5, 5), np.uint8))) > 0


def _disk(size_px: int) -> Pixels:
    return _u8(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size_px, size_px)))


def _u8(values: object) -> Pixels:
    return np.asarray(values).astype(np.uint8)
