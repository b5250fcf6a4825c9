"""What a picture of the phantom truly shows: the distance of each point to each structure's outline, and the mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.segmentation import Mask
from edge3vt.phantom.canvas import CELL_MM, CELLS, HALF_MM, Shape
from edge3vt.phantom.texture import Field

REACH_MM = 1.5  # how far beyond a structure its distance is known


class Truth:
    """The structures of one plane. shapes: (label, shape) of each part, its field reaching REACH_MM beyond it.

    Distances are sampled bilinearly from cells of CELL_MM; a distance is smooth, so that the outline is exact to a
    few hundredths of a millimetre.
    """

    def __init__(self, shapes: Sequence[tuple[int, Shape]] = ()) -> None:
        self._shapes = tuple((int(label), shape) for label, shape in shapes)
        self._near = np.zeros((CELLS, CELLS), dtype=np.bool_)
        for _, shape in self._shapes:
            self._near[shape.window] |= shape.field < 2 * CELL_MM

    def mask(self, x: Field, y: Field) -> Mask:
        """Labels at points of the plane in mm; where two structures overlap, the one whose outline is further out."""
        labels = np.zeros(x.shape, dtype=np.uint8)
        row, column = _cell(x, y)
        near = np.flatnonzero(self._near.ravel()[row.astype(np.int32) * CELLS + column.astype(np.int32)])
        row, column = row.ravel()[near], column.ravel()[near]
        best, found = np.zeros(len(near), dtype=np.float32), np.zeros(len(near), dtype=np.uint8)
        for label, shape in self._shapes:
            field = _sampled(shape, row, column)
            deeper = field < best
            best[deeper], found[deeper] = field[deeper], label
        labels.ravel()[near] = found
        return labels

    def distance(self, label: int, x: Field, y: Field) -> Field:
        """Signed distance in mm of points to one structure's outline, < 0 inside, at most REACH_MM."""
        row, column = _cell(x, y)
        field: Field = np.full(x.shape, REACH_MM, dtype=np.float32)
        for own, shape in self._shapes:
            if own == label:
                np.minimum(field, _sampled(shape, row, column), out=field)
        return field

    @property
    def labels(self) -> tuple[int, ...]:
        """Those that stand in the plane, each once."""
        return tuple(sorted({label for label, _ in self._shapes}))


def _cell(x: Field, y: Field) -> tuple[Field, Field]:
    """Row and column of points, in cells from the first cell's centre, kept on the map."""
    column = np.clip((x + np.float32(HALF_MM)) * np.float32(1 / CELL_MM) - np.float32(0.5), 0, CELLS - 1.001)
    row = np.clip((np.float32(HALF_MM) - y) * np.float32(1 / CELL_MM) - np.float32(0.5), 0, CELLS - 1.001)
    return row, column


def _sampled(shape: Shape, row: Field, column: Field) -> Field:
    rows, columns = shape.window
    height, width = shape.field.shape
    r, c = row - np.float32(rows.start), column - np.float32(columns.start)
    inside = (r >= 0) & (r < height - 1) & (c >= 0) & (c < width - 1)
    field: Field = np.full(row.shape, REACH_MM, dtype=np.float32)
    r, c = r[inside], c[inside]
    i, j = r.astype(np.int32), c.astype(np.int32)
    fr, fc = r - i, c - j
    flat: NDArray[np.float32] = np.ascontiguousarray(shape.field).ravel()
    k = i * width + j
    upper = flat[k] * (1 - fc) + flat[k + 1] * fc
    lower = flat[k + width] * (1 - fc) + flat[k + width + 1] * fc
    field[inside] = np.minimum(upper * (1 - fr) + lower * fr, np.float32(REACH_MM))
    return field
