"""Sub-pixel outlines of a structure, and polygons back to masks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[np.float32]
Outline = NDArray[np.float64]
"""(N, 2) x and y in pixels, closed: the last point is the first. The first pixel's centre is at 0.5, 0.5."""
FINER = 2
"""Fields are interpolated to this many samples a pixel first: chords of a pixel would cut 0.08 px off a circle of 5."""
_SMALLEST = 4  # points: a triangle, closed
_ROOM_PX = 4  # around a structure, for the interpolation


def outlines(field: Field, imaged: NDArray[np.bool_] | None = None) -> tuple[Outline, ...]:
    """Where ``field`` crosses 0, the longest outline first; a hole has an outline of its own.

    field: (h, w) signed distance or like it, negative inside, linear near its crossing; distances, not a mask, so
    that the outline is where the shape is and not on pixel edges. What crosses the picture's edge ends there, and
    what leaves ``imaged`` at that pixel's edge.
    """
    from contourpy import LineType, contour_generator

    if imaged is None:
        imaged = np.ones(field.shape, np.bool_)
    rows, columns = (np.flatnonzero(((field < 0) & imaged).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return ()
    y0, x0 = max(int(rows[0]) - _ROOM_PX, 0), max(int(columns[0]) - _ROOM_PX, 0)
    near = np.s_[y0 : rows[-1] + _ROOM_PX + 1, x0 : columns[-1] + _ROOM_PX + 1]
    fine = ndimage.zoom(field[near], FINER, order=3, mode="nearest", grid_mode=True)
    seen = np.repeat(np.repeat(imaged[near], FINER, axis=0), FINER, axis=1)
    fine = np.where(np.pad(seen, 1), np.pad(fine, 1, mode="edge"), np.abs(np.pad(fine, 1, mode="edge")))
    lines = contour_generator(z=fine, line_type=LineType.Separate).lines(0.0)
    # Sample i of the padded fine grid is centred at (i - 0.5) / FINER pixels from the window's corner.
    found = [
        (np.array(line, np.float64) - 0.5) / FINER + np.array([x0, y0]) for line in lines if len(line) >= _SMALLEST
    ]
    return tuple(sorted(found, key=len, reverse=True))


def apart(fields: Mapping[int, Field]) -> dict[int, Field]:
    """Fields of structures of which each point belongs to one only, where they overlap to the one further out."""
    made: dict[int, Field] = {}
    for structure, field in fields.items():
        others = [other for name, other in fields.items() if name != structure]
        made[structure] = field - np.minimum.reduce([np.zeros_like(field), *others])
    return made


def filled(polygons: tuple[Outline, ...], width: int, height: int) -> NDArray[np.bool_]:
    """(height, width) pixels whose centres lie inside an odd number of the polygons."""
    inside = np.zeros((height, width), np.bool_)
    for polygon in polygons:
        first, last = polygon[:-1], polygon[1:]
        y0, y1 = (int(np.clip(v, 0, height)) for v in (np.floor(polygon[:, 1].min()), np.ceil(polygon[:, 1].max())))
        for row in range(y0, y1):
            y = row + 0.5
            cut = (first[:, 1] <= y) != (last[:, 1] <= y)
            a, b = first[cut], last[cut]
            across = np.sort(a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0]))
            edges = np.clip(np.ceil(across - 0.5), 0, width).astype(int)
            for start, stop in zip(edges[::2], edges[1::2], strict=True):
                inside[row, start:stop] ^= True
    return inside
