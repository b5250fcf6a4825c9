"""The course of a vessel in a mask, and its widths across that course, to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from edge3vt.core.segmentation import Mask

SMOOTH_PX = 0.8
"""Standard deviation of the blur that makes of a mask a field whose level of one half lies between pixels."""
STEP_PX = 0.25  # along a chord
BESIDE_PX = 1.5  # beyond a wall: what lies there touches it
LEAST_PIXELS = 4  # of a piece: less has no shape
SECOND = 1 / 3  # of the largest piece: what is smaller is a speck
LONG = 1.8  # times as long as wide: a vessel that is cut along has a course, one that is cut across has none
Points = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A connected part of a structure. at: its mean x, y in px of the mask, pixel i centred at i.

    inside: (S, S). diameter_px: of a circle as large. ratio: of its axes, at least 1. cut: it touches the mask's edge.
    """

    inside: Flags
    pixels: int
    at: Points
    diameter_px: float
    ratio: float
    cut: bool


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A vessel cut along. line: (N, 2) x, y of its middle, about a pixel apart, from one tip to the other.

    width_px: (N,) across the line, NaN where no wall was met. free: (N,) neither wall lies against another structure.
    """

    line: Points
    width_px: NDArray[np.float64]
    free: Flags

    @property
    def along_px(self) -> NDArray[np.float64]:
        """(N,) way from the first tip."""
        return _along(self.line)

    def reversed(self) -> Course:
        return Course(self.line[::-1], self.width_px[::-1], self.free[::-1])


def pieces(mask: Mask, label: int) -> tuple[Piece, ...]:
    """The parts of a structure, the largest first; specks are left out."""
    own = np.ascontiguousarray(mask == label, dtype=np.uint8)
    count, labels, boxes, middles = cv2.connectedComponentsWithStats(own, connectivity=8)
    areas = boxes[:, cv2.CC_STAT_AREA]
    order = sorted(range(1, count), key=lambda i: -int(areas[i]))
    kept = [i for i in order if areas[i] >= max(LEAST_PIXELS, SECOND * areas[order[0]])]
    found = []
    for i in kept:
        x, y, width, height = (int(v) for v in boxes[i, :4])
        cut = min(x, y) == 0 or x + width == mask.shape[1] or y + height == mask.shape[0]
        inside = labels == i
        ratio = _axes_ratio(inside[y : y + height, x : x + width])
        diameter = 2 * float(np.sqrt(areas[i] / np.pi))
        found.append(Piece(inside, int(areas[i]), np.asarray(middles[i], np.float64), diameter, ratio, cut))
    return tuple(found)


def course(piece: Piece, others: Flags) -> Course | None:
    """The course of a piece that is cut along, None for one that is not. others: (S, S) the other structures.

    The middle line joins the middles of the lines on which the ways to both tips differ by the same amount, and is
    then moved, twice, to the middles of the chords across it.
    """
    rows, columns = (np.flatnonzero(piece.inside.any(axis=axis)) for axis in (1, 0))
    room = 8
    y0, x0 = max(int(rows[0]) - room, 0), max(int(columns[0]) - room, 0)
    near = np.s_[y0 : int(rows[-1]) + room + 1, x0 : int(columns[-1]) + room + 1]
    inside, beside = piece.inside[near], others[near].astype(np.float32)
    line = _middle_line(inside)
    if line is None:
        return None
    blurred = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), SMOOTH_PX, borderType=cv2.BORDER_CONSTANT)
    field = np.asarray(blurred, np.float32)
    reach = 2 * float(cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 5).max()) + 3
    window = max(round(reach), 5) | 1
    for _ in range(2):
        line = _even(_smooth(line, window))
        left, right = _walls(field, line, reach)
        middles = (left + right) / 2
        met = ~np.isnan(middles[:, 0])
        if met.sum() < 3:
            return None
        line = np.where(met[:, None], middles, line)
    line = _even(_smooth(line, window))
    left, right = _walls(field, line, reach)
    width = np.hypot(*(left - right).T)
    free = ~np.isnan(width)
    for wall, other in ((left, right), (right, left)):
        outward = (wall - other) / np.maximum(width, 1e-6)[:, None]
        free &= ~(_sampled(beside, wall + BESIDE_PX * outward) > 0.5)
    if _along(line)[-1] < LONG * float(np.nanmedian(width)):
        return None
    return Course(line + np.array((x0, y0)), width, free)


def _middle_line(inside: Flags) -> Points | None:
    """From tip to tip, a point a pixel; None where there is hardly a way between them."""
    rows, columns = np.nonzero(inside)
    graph = _neighbours(inside, rows, columns)
    first = int(np.argmax(_ways(graph, 0)))
    from_first = _ways(graph, first)
    last = int(np.argmax(from_first))
    length = float(from_first[last])
    bins = int(length)
    if bins < 6 or not np.isfinite(length):
        return None
    place = (from_first - _ways(graph, last) + length) / 2
    which = np.clip((place / length * bins).astype(int), 0, bins - 1)
    sizes = np.bincount(which, minlength=bins)
    sums = [np.bincount(which, weights=axis, minlength=bins) for axis in (columns, rows)]
    filled = sizes > 0
    line = np.stack([total[filled] / sizes[filled] for total in sums], axis=1)
    tips = [np.array([[columns[i], rows[i]]], np.float64) for i in (first, last)]
    return np.concatenate([tips[0], line[1:-1], tips[1]])


def _neighbours(inside: Flags, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> coo_matrix:
    number = np.full((inside.shape[0] + 2, inside.shape[1] + 2), -1)
    number[rows + 1, columns + 1] = np.arange(len(rows))
    edges = []
    for down, right, way in ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 2**0.5), (1, -1, 2**0.5)):
        there = number[rows + 1 + down, columns + 1 + right]
        linked = np.flatnonzero(there >= 0)
        edges.append((linked, there[linked], np.full(len(linked), way)))
    start, end, ways = (np.concatenate(part) for part in zip(*edges, strict=True))
    return coo_matrix((ways, (start, end)), shape=(len(rows),) * 2).tocsr()


def _ways(graph: coo_matrix, start: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = dijkstra(graph, directed=False, indices=start)
    return found


def _walls(field: NDArray[np.float32], line: Points, reach: float) -> tuple[Points, Points]:
    """Where the normals of a line leave the vessel, on either side: (N, 2) each, NaN where they do not."""
    ahead = np.gradient(line, axis=0)
    across = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1) / np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    steps = np.arange(0, reach + STEP_PX, STEP_PX)
    walls = []
    for side in (1.0, -1.0):
        points = line[:, None] + side * steps[None, :, None] * across[:, None]
        levels = _sampled(field, points.reshape(-1, 2)).reshape(len(line), -1)
        outside = levels < 0.5
        first = outside.argmax(axis=1)
        met = outside.any(axis=1) & (first > 0)
        before = np.maximum(first - 1, 0)
        high, low = (np.take_along_axis(levels, at[:, None], axis=1)[:, 0] for at in (before, first))
        way = (before + (high - 0.5) / np.maximum(high - low, 1e-6)) * STEP_PX
        walls.append(np.where(met[:, None], line + side * way[:, None] * across, np.nan))
    return walls[0], walls[1]


def _sampled(field: NDArray[np.float32], points: Points) -> NDArray[np.float32]:
    """Bilinear values at (N, 2) x, y; 0 outside, and at NaN."""
    at = np.nan_to_num(points, nan=-9.0).astype(np.float32)
    chunks = [  # remap takes at most 32,767 a side
        cv2.remap(field, part[:, None, 0], part[:, None, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)[:, 0]
        for part in (at[i : i + 30_000] for i in range(0, len(at), 30_000))
    ]
    return np.concatenate(chunks)


def _smooth(line: Points, window: int) -> Points:
    """The mean over ``window`` points; near the ends of as many as there are on either side."""
    sums = np.cumsum(np.concatenate([np.zeros((1, 2)), line]), axis=0)
    index = np.arange(len(line))
    half = np.minimum(window // 2, np.minimum(index, len(line) - 1 - index))
    smoothed: Points = (sums[index + half + 1] - sums[index - half]) / (2 * half + 1)[:, None]
    return smoothed


def _even(line: Points) -> Points:
    """The same line with its points about a pixel apart."""
    along = _along(line)
    at = np.linspace(0, along[-1], max(int(along[-1]) + 1, 3))
    return np.stack([np.interp(at, along, axis) for axis in line.T], axis=1)


def _along(line: Points) -> NDArray[np.float64]:
    way: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    return way


def _axes_ratio(inside: Flags) -> float:
    """Of a piece's longer to its shorter axis, by its second moments and those of a pixel."""
    points = np.argwhere(inside).astype(np.float64)
    spread = np.linalg.eigvalsh(np.cov(points.T, bias=True) + np.eye(2) / 12)
    return float(np.sqrt(spread[1] / spread[0]))
