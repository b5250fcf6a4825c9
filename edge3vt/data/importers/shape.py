"""Shapes as pixels. A pixel belongs to a shape when its centre, (column + 0.5, row + 0.5), lies inside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (n, 2) x, y from the picture's upper left corner, in pixels
Inside = NDArray[np.bool_]

_AT_ONCE = 1 << 20  # crossings of edges with rows


def polygon(points: Points, height: int, width: int) -> Inside:
    """Where a closed polygon is, (height, width), by the even-odd rule; it may hang over the picture's edge.

    So outlines along the edges of pixels give exactly these pixels.
    """
    x, y = points[:, 0], points[:, 1]
    dx, dy = np.roll(x, -1) - x, np.roll(y, -1) - y
    top, bottom = np.minimum(y, y + dy), np.maximum(y, y + dy)
    first, last = (np.clip(np.ceil(edge - 0.5), 0, height).astype(np.int64) for edge in (top, bottom))
    turns = np.zeros((height, width + 1), np.uint8)  # 1 where a row goes in or out
    ends = np.cumsum(last - first)
    for edges in np.split(np.arange(len(x)), np.flatnonzero(np.diff(ends // _AT_ONCE)) + 1):
        counts = (last - first)[edges]
        edge = np.repeat(edges, counts)
        row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
        crossing = x[edge] + (row + 0.5 - y[edge]) * dx[edge] / dy[edge]
        column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
        np.bitwise_xor.at(turns, (row, column), np.uint8(1))
    return np.bitwise_xor.accumulate(turns, axis=1)[:, :width].astype(bool)


def rectangle(corner: Points, opposite: Points, height: int, width: int) -> Inside:
    """Where a rectangle with these two corners is."""
    (x0, y0), (x1, y1) = corner, opposite
    return polygon(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), height, width)


def circle(centre: Points, edge: Points, height: int, width: int) -> Inside:
    """Where a circle with this centre is, through the point ``edge``."""
    dx, dy = np.arange(width) + 0.5 - centre[0], np.arange(height) + 0.5 - centre[1]
    return np.asarray(dx[None, :] ** 2 + dy[:, None] ** 2 <= ((edge - centre) ** 2).sum())
