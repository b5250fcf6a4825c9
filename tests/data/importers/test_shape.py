from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge3vt.data.importers.shape import circle, polygon, rectangle


def points(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs, np.float64)


def test_an_outline_along_the_edges_of_pixels_gives_these_pixels() -> None:
    inside = polygon(points((2, 1), (6, 1), (6, 3), (4, 3), (4, 5), (2, 5)), 8, 9)
    expected = np.zeros((8, 9), bool)
    expected[1:3, 2:6] = expected[3:5, 2:4] = True
    assert np.array_equal(inside, expected)


def test_a_pixel_counts_by_its_centre() -> None:
    assert np.argwhere(polygon(points((0.4, 0.4), (1.6, 0.4), (1.6, 1.6), (0.4, 1.6)), 3, 3)).tolist() == [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
    ]
    assert not polygon(points((0.6, 0.6), (1.4, 0.6), (1.4, 1.4), (0.6, 1.4)), 3, 3).any()


def test_shapes_may_hang_over_the_edge() -> None:
    assert rectangle(points((-1e6, -5))[0], points((2, 1e6))[0], 4, 5)[:, :2].all()
    assert rectangle(points((-1e6, -5))[0], points((2, 1e6))[0], 4, 5).sum() == 8
    assert not rectangle(points((10, 10))[0], points((20, 20))[0], 4, 5).any()
    assert not polygon(points((1, 1), (3, 3), (2, 2)), 4, 5).any()  # no area


def test_a_circle() -> None:
    inside = circle(points((50, 40))[0], points((50, 70))[0], 100, 90)
    assert inside.sum() == pytest.approx(np.pi * 30**2, rel=0.01)
    assert inside[40, 50]
    assert not inside[40, 81]


def test_a_long_outline_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    angle = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    star = np.stack([60 + 50 * np.cos(angle * 7), 50 + 45 * np.sin(angle * 3)], axis=1)
    whole = polygon(star, 100, 120)
    monkeypatch.setattr("edge3vt.data.importers.shape._AT_ONCE", 64)
    assert np.array_equal(polygon(star, 100, 120), whole)


corner = st.tuples(st.floats(-5, 25), st.floats(-5, 25))


@given(st.lists(corner, min_size=3, max_size=12))
def test_inside_agrees_with_a_winding_test_at_every_centre(corners: list[tuple[float, float]]) -> None:
    """OpenCV's point test on a fine grid is the referee, away from the outline, for polygons that do not cross."""
    assume(len(set(corners)) > 2)
    hull = cv2.convexHull(np.array(corners, np.float32))
    inside = polygon(hull[:, 0].astype(np.float64), 20, 20)
    for row in range(20):
        for column in range(20):
            distance = cv2.pointPolygonTest(hull, (column + 0.5, row + 0.5), True) if len(hull) > 2 else 0.0
            if abs(distance) > 1e-3:
                assert inside[row, column] == (distance > 0)
