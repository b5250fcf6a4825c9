from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge3vt.core.documents import parse_json, to_json
from edge3vt.core.errors import DataError
from edge3vt.viewer.drawing import MOST_CONTOURS, MOST_POINTS, Contour, Draft, Drawing, Point, check, crossing

SQUARE = ((1.0, 1.0), (9.0, 1.0), (9.0, 9.0), (1.0, 9.0))
BOW = ((0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0))
STRUCTURES = ("aortic_arch", "trachea")


def contour(points: tuple[Point, ...] = SQUARE, structure: str = "trachea") -> Contour:
    return Contour(structure, points)


def star(radii: list[float]) -> tuple[Point, ...]:
    """A line around (50, 50), which no choice of radii makes cross itself."""
    angles = [2 * math.pi * i / len(radii) for i in range(len(radii))]
    return tuple((50 + r * math.cos(a), 50 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True))


@pytest.mark.parametrize("points", [SQUARE, SQUARE[:3], SQUARE[::-1], (SQUARE[0], *SQUARE)])
def test_a_plain_line_does_not_cross_itself(points: tuple[Point, ...]) -> None:
    assert crossing(points) is None


@pytest.mark.parametrize(
    ("points", "place"),
    [
        (BOW, (5, 5)),
        (((0, 0), (10, 0), (10, 10), (5, 0), (0, 10)), (5, 0)),  # a corner touches an edge
        (((0, 0), (10, 0), (5, 5), (10, 10), (0, 10), (5, 5)), (5, 5)),  # two corners are one
        (((0, 0), (10, 0), (4, 0)), (10, 0)),  # there and back
        (((0, 0), (10, 0), (10, 10), (10, 4), (0, 4)), (10, 10)),  # a spike
        (((3, 3), (3, 3), (3, 3)), (3, 3)),
    ],
)
def test_where_a_line_crosses_or_touches_itself(points: tuple[Point, ...], place: Point) -> None:
    for turn in range(len(points)):
        assert crossing(points[turn:] + points[:turn]) is not None
    assert crossing(points) == pytest.approx(place)


@given(st.lists(st.floats(1, 40), min_size=3, max_size=40))
def test_a_star_never_crosses_itself(radii: list[float]) -> None:
    assert crossing(star(radii)) is None


@given(st.lists(st.floats(0, 100), min_size=10, max_size=16))
def test_what_is_said_not_to_cross_winds_once(numbers: list[float]) -> None:
    points = list(zip(numbers[::2], numbers[1::2], strict=False))
    if crossing(points) is None:
        assert winds_once(points)


def test_a_line_that_winds_twice_is_seen() -> None:
    assert not winds_once([(50 + r * math.cos(a), 50 + r * math.sin(a)) for r, a in ((40, i * 2.2) for i in range(6))])


def winds_once(points: list[Point]) -> bool:
    """Whether the line goes around each place of a grid in one sense, once or not at all."""
    grid = np.stack(np.meshgrid(np.arange(1.3, 99, 3.1), np.arange(1.7, 99, 3.1)), axis=-1).reshape(-1, 2)
    winding = np.zeros(len(grid))
    for (ax, ay), (bx, by) in pairwise([*points, points[0]]):
        side = (bx - ax) * (grid[:, 1] - ay) - (by - ay) * (grid[:, 0] - ax)
        winding += (ay <= grid[:, 1]) & (by > grid[:, 1]) & (side > 0)
        winding -= (ay > grid[:, 1]) & (by <= grid[:, 1]) & (side < 0)
    return set(winding.tolist()) in ({0.0}, {0.0, 1.0}, {0.0, -1.0}, {1.0}, {-1.0})


def test_the_longest_line_is_looked_through() -> None:
    round_line = star([40.0 + 0.01 * (i % 2) for i in range(MOST_POINTS)])
    assert crossing(round_line) is None
    planted = (*round_line[:1990], round_line[1995], *round_line[1991:1995], round_line[1990], *round_line[1996:])
    assert crossing(planted) is not None


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: contour(SQUARE[:2]), "a contour of 2 points, expected at least 3"),
        (lambda: contour(SQUARE * 501), "a line of 2004 points, expected at most 2000"),
        (lambda: contour((*SQUARE, (math.nan, 1))), r"a point at \(nan, 1\), expected finite"),
        (lambda: contour((*SQUARE, (1, math.inf))), r"a point at \(1, inf\), expected finite"),
        (lambda: contour(SQUARE, ""), "without the name"),
        (lambda: Draft("trachea", ()), "without points"),
        (lambda: Draft("trachea", ((math.nan, 0),)), "expected finite"),
        (lambda: Drawing((), -1.0, False), "-1.0 seconds, expected 0 or more"),
        (lambda: Drawing((), math.nan, False), "nan seconds"),
        (lambda: Drawing((contour(),) * (MOST_CONTOURS + 1), 1.0, False), "201 contours, expected at most 200"),
        (lambda: Drawing((contour(),), 1.0, False, ("trachea",)), "drawn and said not to be seen"),
        (lambda: Drawing((), 1.0, False, ("trachea", "trachea")), "twice"),
        (lambda: Drawing((contour(BOW),), 1.0, True), r"trachea: the contour crosses itself at \(5.0, 5.0\)"),
        (lambda: Drawing((contour(),), 1.0, True, (), Draft("trachea", ((1, 1),))), "a line is still open"),
    ],
)
def test_what_is_no_drawing_is_refused(make, told: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=told):
        make()


def test_what_is_still_worked_on_may_cross_and_be_open() -> None:
    Drawing((contour(BOW),), 1.0, False, ("aortic_arch",), Draft("trachea", ((1, 1),)))


def test_a_drawing_is_a_document() -> None:
    drawing = Drawing((contour(),), 12.5, False, ("aortic_arch",), Draft("trachea", ((1.25, 1.0),)))
    assert parse_json(Drawing, to_json(drawing), where="here") == drawing
    with pytest.raises(DataError, match=r"^here: contours\[0\]: trachea: a contour of 1 points"):
        parse_json(
            Drawing,
            '{"contours": [{"structure": "trachea", "points": [[1, 1]]}], "seconds": 1, "done": false}',
            where="here",
        )


@pytest.mark.parametrize(
    ("drawing", "told"),
    [
        (Drawing((contour(structure="heart"),), 1.0, False), "'heart' is no structure of this study"),
        (Drawing((), 1.0, False, ("heart",)), "'heart' is no structure"),
        (Drawing((), 1.0, False, (), Draft("heart", ((1, 1),))), "'heart' is no structure"),
        (Drawing((contour(((0, 0), (10.1, 0), (5, 5))),), 1.0, False), r"\(10.1, 0.0\) lies outside"),
        (Drawing((), 1.0, False, (), Draft("trachea", ((1, -0.1),))), r"\(1.0, -0.1\) lies outside"),
        (Drawing((contour(),), 1.0, True), "aortic_arch: neither drawn nor said not to be seen"),
    ],
)
def test_what_does_not_fit_its_case_is_refused(drawing: Drawing, told: str) -> None:
    with pytest.raises(DataError, match=told):
        check(drawing, STRUCTURES, 10, 10)


def test_what_fits_its_case_passes() -> None:
    check(Drawing((contour(((0, 0), (10, 0), (10, 10))),), 1.0, False), STRUCTURES, 10, 10)
    check(Drawing((contour(), contour()), 1.0, True, ("aortic_arch",)), STRUCTURES, 10, 10)
