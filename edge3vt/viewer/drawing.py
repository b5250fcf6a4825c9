"""What a reader draws on a picture, checked.

Points are continuous pixels of the picture, x to the right and y down, where pixel i reaches from i to i + 1: the
first pixel's centre is at (0.5, 0.5) and the picture reaches from (0, 0) to (width, height). So do the contours of
phantoms and of LabelMe.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge3vt.core.errors import DataError

MOST_POINTS = 2000
MOST_CONTOURS = 200
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Contour:
    """One closed line around a piece of a structure; the last point joins the first, which is not repeated.

    Raises DataError for fewer than 3 points, more than MOST_POINTS, and numbers that are not finite. One that crosses
    itself can be kept while it is worked on, but not be part of a drawing that is done.
    """

    structure: str
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        _check_points(self.structure, self.points)
        if len(self.points) < 3:
            raise DataError(f"{self.structure}: a contour of {len(self.points)} points, expected at least 3")


@dataclass(frozen=True, slots=True)
class Draft:
    """A line that its reader has not closed yet: one point or more. Raises DataError."""

    structure: str
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        _check_points(self.structure, self.points)
        if not self.points:
            raise DataError(f"{self.structure}: an open line without points; leave it out")


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a reader has drawn on one picture so far.

    seconds: for which the page was visible and its reader active. done: the reader's own word. not_seen: structures of
    which the reader says so; what is neither drawn nor said not seen is not dealt with yet. draft: a line still open.
    Raises DataError; for a drawing that is done also where a contour crosses itself or a line is still open.
    """

    contours: tuple[Contour, ...]
    seconds: float
    done: bool
    not_seen: tuple[str, ...] = ()
    draft: Draft | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise DataError(f"{self.seconds} seconds, expected 0 or more")
        if len(self.contours) > MOST_CONTOURS:
            raise DataError(f"{len(self.contours)} contours, expected at most {MOST_CONTOURS}")
        twice = next((name for name, count in Counter(self.not_seen).items() if count > 1), None)
        if twice is not None:
            raise DataError(f"{twice}: twice among those not seen; name it once")
        both = next((contour.structure for contour in self.contours if contour.structure in self.not_seen), None)
        if both is not None:
            raise DataError(f"{both}: drawn and said not to be seen; expected one of them")
        if not self.done:
            return
        if self.draft is not None:
            raise DataError(f"{self.draft.structure}: a line is still open; close or drop it before the case is done")
        for contour in self.contours:
            place = crossing(contour.points)
            if place is not None:
                x, y = place
                raise DataError(f"{contour.structure}: the contour crosses itself at ({x:.1f}, {y:.1f}); correct it")


def check(drawing: Drawing, structures: Sequence[str], width: int, height: int) -> None:
    """Raise DataError where a drawing does not fit its case: a structure of another study, a point outside the
    picture, or done before every structure is drawn or said not to be seen.
    """
    lines: list[Contour | Draft] = [*drawing.contours]
    if drawing.draft is not None:
        lines.append(drawing.draft)
    for name in (*(line.structure for line in lines), *drawing.not_seen):
        if name not in structures:
            raise DataError(f"{name!r} is no structure of this study; known: {', '.join(structures)}")
    for line in lines:
        for x, y in line.points:
            if not (0 <= x <= width and 0 <= y <= height):
                raise DataError(
                    f"{line.structure}: a point at ({x:.1f}, {y:.1f}) lies outside the picture of {width}x{height}"
                )
    dealt_with = {contour.structure for contour in drawing.contours} | set(drawing.not_seen)
    missing = [name for name in structures if name not in dealt_with]
    if drawing.done and missing:
        raise DataError(f"{missing[0]}: neither drawn nor said not to be seen; expected before the case is done")


def crossing(points: Sequence[Point]) -> Point | None:
    """Where a closed line first crosses or touches itself; None where it does not. Points said twice count once.

    Two edges that are no neighbours must have no point in common, and neighbours only their shared end.
    """
    line = [p for p, before in zip(points, [points[-1], *points], strict=False) if p != before]
    start = np.asarray(line, dtype=np.float64).reshape(-1, 2)
    end = np.roll(start, -1, axis=0)
    low, high = np.minimum(start, end), np.maximum(start, end)
    count = len(line)
    if count < 3:
        return points[0]
    for i in range(count - 1):
        near = (low[i] <= high[i + 1 :]) & (high[i] >= low[i + 1 :])
        for j in (np.flatnonzero(near.all(axis=1)) + i + 1).tolist():
            after = (j + 1) % count
            place = _meeting(line[i], line[i + 1], line[j], line[after], follows=j == i + 1, leads=after == i)
            if place is not None:
                return place
    return None


def _check_points(structure: str, points: Sequence[Point]) -> None:
    if not structure:
        raise DataError("a line without the name of its structure; name it")
    if len(points) > MOST_POINTS:
        raise DataError(f"{structure}: a line of {len(points)} points, expected at most {MOST_POINTS}; simplify it")
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            raise DataError(f"{structure}: a point at ({x}, {y}), expected finite numbers")


def _meeting(a: Point, b: Point, c: Point, d: Point, *, follows: bool, leads: bool) -> Point | None:
    """Where the edges ab and cd meet. follows: c is b, and only going straight back counts; leads: d is a, likewise."""
    if follows:
        return b if _side(a, b, d) == 0 and _ahead(a, b, d) < 0 else None
    if leads:
        return a if _side(c, a, b) == 0 and _ahead(c, a, b) < 0 else None
    from_a, from_b, from_c, from_d = _side(c, d, a), _side(c, d, b), _side(a, b, c), _side(a, b, d)
    if from_a * from_b < 0 and from_c * from_d < 0:
        along = from_a / (from_a - from_b)
        return a[0] + along * (b[0] - a[0]), a[1] + along * (b[1] - a[1])
    touching = ((from_a, a, c, d), (from_b, b, c, d), (from_c, c, a, b), (from_d, d, a, b))
    return next((p for side, p, q, r in touching if side == 0 and _within(p, q, r)), None)


def _side(a: Point, b: Point, p: Point) -> float:
    """Twice the area of the triangle abp: above 0 on one side of ab, below on the other."""
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def _ahead(a: Point, b: Point, p: Point) -> float:
    """Below 0 where the way from b to p goes back towards a."""
    return (b[0] - a[0]) * (p[0] - b[0]) + (b[1] - a[1]) * (p[1] - b[1])


def _within(p: Point, q: Point, r: Point) -> bool:
    return min(q[0], r[0]) <= p[0] <= max(q[0], r[0]) and min(q[1], r[1]) <= p[1] <= max(q[1], r[1])
