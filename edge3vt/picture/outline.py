"""Structures on a picture: a translucent fill and a smooth contour for each."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Collection, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.frame import Crop, Pixels, Region
from edge3vt.core.segmentation import Mask
from edge3vt.picture.text import Colour

FILL = 0.25
SMOOTHING = 7  # contour points of half a mask pixel each, averaged
STEP = 4  # of these points, one is kept: a line's cost is its points
DASH_PX = 4  # times the line's thickness
_DASHED = 0.4  # of the line is drawn, and the round ends
_FINE = 4  # fractional bits of a coordinate

# Okabe and Ito 2008, "Color Universal Design", made stronger for dark pictures.
_PALETTE: tuple[Colour, ...] = (
    (86, 180, 233),  # sky blue
    (235, 110, 10),  # vermilion
    (240, 228, 66),  # yellow
    (230, 100, 190),  # reddish purple
    (0, 190, 140),  # bluish green
)

Polygon = NDArray[np.float64]


@cache
def colour_of(label: int) -> Colour:
    """The colour of a class, from 1 on: five that the colour-blind tell apart, then hues a golden angle apart."""
    if label <= len(_PALETTE):
        return _PALETTE[label - 1]
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1.0, 0.55, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def extent(mask: Mask, crop: Crop) -> Region:
    """The rectangle around all structures, in frame pixels."""
    x, y, width, height = cv2.boundingRect(mask)
    x0, y0, x1, y1 = (side * crop.side // crop.size for side in (x, y, x + width, y + height))
    return Region(crop.x + x0, crop.y + y0, crop.x + x1 + 1, crop.y + y1 + 1)


def draw_structures(
    picture: Pixels,
    mask: Mask,
    crop: Crop,
    thickness_px: int,
    *,
    fill: float = FILL,
    dashed: bool = False,
    without: Collection[int] = (),
) -> list[int]:
    """Draw every structure of ``mask``, which lies on the grid of ``crop``; returns the classes that are drawn.

    fill: the share of the colour inside the contours, 0 for none. without: classes to leave out.
    """
    x, y, width, height = cv2.boundingRect(mask)
    part = mask[y : y + height, x : x + width]
    corner, pixels_each = np.array((crop.x - 0.5, crop.y - 0.5)), crop.side / crop.size
    present = []
    for label in range(1, int(part.max(initial=0)) + 1):
        if label in without:
            continue
        outlines = _outlines(np.asarray(cv2.inRange(part, label, label), dtype=np.uint8), (x, y))
        if outlines:
            placed = [points * pixels_each + corner for points in outlines]
            _draw(picture, placed, colour_of(label), thickness_px, fill, dashed)
            present.append(label)
    return present


def _outlines(own: Pixels, at: tuple[int, int] = (0, 0)) -> list[Polygon]:
    """Outlines, holes too, of the non-zero pixels: (n, 2) x, y, where pixel i reaches from i to i + 1.

    at: where the first pixel lies.
    """
    x, y, width, height = cv2.boundingRect(own)
    if not width:
        return []
    fine = cv2.resize(own[y : y + height, x : x + width], None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    corner = np.array((x + at[0], y + at[1]))
    return [(_smooth(outline[:, 0]) + 0.5) / 2 + corner for outline in outlines]


def _smooth(points: NDArray[np.generic]) -> Polygon:
    """Every STEP-th point of a closed line, the mean of its neighbourhood; short lines stay as they are."""
    line = points.astype(np.float64)
    if len(line) < 2 * SMOOTHING:
        return line
    before, after = SMOOTHING // 2 + 1, SMOOTHING // 2
    pairs = np.concatenate((line[-before:], line, line[:after])).view(np.complex128)[:, 0]  # x + iy: one sum, not two
    sums = np.cumsum(pairs)
    means = (sums[SMOOTHING::STEP] - sums[:-SMOOTHING:STEP]).view(np.float64).reshape(-1, 2) / SMOOTHING
    return np.asarray(means, dtype=np.float64)


def _draw(
    picture: Pixels, polygons: Sequence[Polygon], colour: Colour, thickness_px: int, fill: float, dashed: bool
) -> None:
    """Fill and outline polygons given in pixel centres, touching only the rectangle around them."""
    reach = thickness_px + 1
    corners = np.concatenate(polygons) if len(polygons) > 1 else polygons[0]
    (height, width), low, high = picture.shape[:2], corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    x0, y0 = max(math.floor(low[0]) - reach, 0), max(math.floor(low[1]) - reach, 0)
    x1, y1 = min(math.ceil(high[0]) + reach + 1, width), min(math.ceil(high[1]) + reach + 1, height)
    if x0 >= x1 or y0 >= y1:
        return
    part = picture[y0:y1, x0:x1]
    fixed = [_fixed(points - (x0, y0)) for points in polygons]
    if fill:
        filled = part.copy()
        cv2.fillPoly(filled, fixed, colour, cv2.LINE_8, _FINE)  # its edge lies under the line
        cv2.addWeighted(filled, fill, part, 1 - fill, 0, dst=part)
    if dashed:
        fixed = [_fixed(dash - (x0, y0)) for points in polygons for dash in _dashes(points, DASH_PX * thickness_px)]
    cv2.polylines(part, fixed, not dashed, colour, thickness_px, cv2.LINE_AA, _FINE)


def _dashes(points: Polygon, dash_px: float) -> Polygon:
    """(n, 2, 2): the two ends of each dash along a closed line; at least two of them, however short it is."""
    closed = np.concatenate((points, points[:1]))
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))))
    count = max(round(_DASHED * along[-1] / dash_px), 2)
    at = (np.arange(count)[:, None] + (0, _DASHED)).ravel() * (along[-1] / count)
    return np.stack([np.interp(at, along, axis) for axis in closed.T], axis=1).reshape(-1, 2, 2)


def _fixed(points: Polygon) -> NDArray[np.int32]:
    return np.round(points * (1 << _FINE)).astype(np.int32)
