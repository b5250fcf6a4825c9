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

REACH = SMOOTHING // 2  # points of the other end that a closed line is continued with
Points = NDArray[np.int32]
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
    found: list[tuple[int, list[Points]]] = []
    for label in range(1, int(part.max(initial=0)) + 1):
        if label not in without and (
            lines := _lines(np.asarray(cv2.inRange(part, label, label), dtype=np.uint8), x, y)
        ):
            found.append((label, lines))
    each = crop.side / crop.size
    placed = iter(_smooth([line for _, lines in found for line in lines], each, (crop.x - 0.5, crop.y - 0.5)))
    for label, lines in found:
        _draw(picture, [next(placed) for _ in lines], colour_of(label), thickness_px, fill, dashed)
    return [label for label, _ in found]


def _lines(own: Pixels, x: int, y: int) -> list[Points]:
    """Outlines, holes too, of the non-zero pixels of a mask's part that lies at (x, y): (n, 2) x, y in half pixels."""
    left, top, width, height = cv2.boundingRect(own)
    if not width:
        return []
    fine = cv2.resize(own[top : top + height, left : left + width], None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    corner = (2 * (x + left), 2 * (y + top))
    lines, _ = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=corner)
    return [np.asarray(line[:, 0], dtype=np.int32) for line in lines]


def _smooth(lines: Sequence[Points], each: float, corner: tuple[float, float]) -> list[Polygon]:
    """Closed lines in half pixels of a mask, smoothed, in pixel centres of a picture; all in one, as calls cost most.

    Of each every STEP-th point is kept, as the mean of its neighbourhood; short lines stay as they are. each: of the
    picture's pixels in one of the mask, which begins at ``corner``. Half pixel i reaches from i / 2 to (i + 1) / 2.
    """
    pieces: list[Points] = []
    rows: list[NDArray[np.intp]] = []
    counts, start = [], 0
    for line in lines:
        if len(line) < 2 * SMOOTHING:  # its own mean, so many times
            pieces.append(line.repeat(SMOOTHING, axis=0))
            rows.append(np.arange(start, start + SMOOTHING * len(line), SMOOTHING))
            start += SMOOTHING * len(line)
        else:
            pieces += (line[-REACH:], line, line[:REACH])
            rows.append(np.arange(start, start + len(line), STEP))
            start += len(line) + 2 * REACH
        counts.append(len(rows[-1]))
    if not pieces:
        return []
    pairs = np.concatenate(pieces, dtype=np.float64).view(np.complex128)[:, 0]  # x + iy: one sum, not two
    sums = np.concatenate((np.zeros(1, np.complex128), np.cumsum(pairs)))
    at = np.concatenate(rows)
    points = (sums[at + SMOOTHING] - sums[at]).view(np.float64).reshape(-1, 2) / SMOOTHING
    points = (points + 0.5) / 2 * each + np.array(corner)
    ends = np.cumsum(counts).tolist()
    return [points[end - count : end] for end, count in zip(ends, counts, strict=True)]


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
