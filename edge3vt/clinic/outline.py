"""Contours of the reading page and masks, from one to the other."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.segmentation import Mask
from edge3vt.data.importers.shape import polygon
from edge3vt.viewer.drawing import Contour, crossing

Inside = NDArray[np.bool_]
SMALLEST_PX = 12  # pixels of a piece; smaller ones are crumbs that nobody would draw
NEAR_PX = 0.35  # how far a line may leave the pixels' edge, so that it has few points to move
SMOOTH_PX = 0.8  # SD of the blur that takes the pixels' steps out of the line


def contours_of(mask: Mask, classes: Sequence[str], structures: Sequence[str]) -> tuple[Contour, ...]:
    """Every piece of a structure as one line that does not cross itself; holes are filled."""
    found = []
    for name in structures:
        inside = (mask == classes.index(name)).astype(np.uint8)
        count, pieces, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
        for piece in range(1, count):
            if stats[piece, cv2.CC_STAT_AREA] >= SMALLEST_PX:
                found.append(Contour(name, _line(pieces == piece)))
    return tuple(found)


def _line(piece: Inside) -> tuple[tuple[float, float], ...]:
    for smooth in (SMOOTH_PX, 0.0):
        points = _outline(piece, smooth)
        if len(points) >= 3:
            thin = cv2.approxPolyDP(points.astype(np.float32)[:, None], NEAR_PX, closed=True)[:, 0]
            for each in (thin, points):
                line = tuple((round(float(x), 2), round(float(y), 2)) for x, y in each)
                if len(line) >= 3 and crossing(line) is None:
                    return line
    raise AssertionError("the edge of pixels joined by their sides does not cross itself")


def _outline(piece: Inside, smooth: float) -> NDArray[np.float64]:
    """The longest line around the pixels, half-way down to those outside; inside the picture."""
    from contourpy import LineType, contour_generator

    height, width = piece.shape
    level = np.pad(piece.astype(np.float32), 3)
    filled = np.zeros_like(level, np.uint8)
    lines, _ = cv2.findContours(level.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(filled, lines, -1, 1, -1)
    level = filled.astype(np.float32)
    if smooth:
        level = cv2.GaussianBlur(level, (0, 0), smooth).astype(np.float32)
    found = contour_generator(z=level, line_type=LineType.Separate).lines(0.5)
    if not found:
        return np.zeros((0, 2))
    longest = (
        np.asarray(max((np.asarray(line) for line in found), key=len), np.float64)[:-1] - 2.5
    )  # padding, and pixel centres at 0.5
    return np.clip(longest, 0, (width, height))


def insides(contours: Sequence[Contour], width: int, height: int) -> dict[str, Inside]:
    """(height, width) of each structure that is drawn: where a pixel's centre is in one of its contours."""
    found: dict[str, Inside] = {}
    for contour in contours:
        own = polygon(np.array(contour.points, np.float64), height, width)
        found[contour.structure] = found.get(contour.structure, np.zeros_like(own)) | own
    return found


def mask_of(contours: Sequence[Contour], classes: Sequence[str], width: int, height: int) -> Mask:
    """Class indices; where structures overlap, the smaller one lies on top."""
    mask = np.zeros((height, width), np.uint8)
    drawn = insides(contours, width, height)
    for name in sorted(drawn, key=lambda name: -int(drawn[name].sum())):
        mask[drawn[name]] = classes.index(name)
    return mask
