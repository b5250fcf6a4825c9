"""Shapes in millimetres."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.phantom.canvas import CELL_MM, CELLS, Canvas, X, Y, beyond, bezier, blob, ellipse, shrunk, tube


def area_mm2(field: np.ndarray) -> float:
    return float((field < 0).sum()) * CELL_MM**2


def test_an_ellipse_has_its_area_and_stays_in_its_window() -> None:
    shape = ellipse((3.0, -5.0), (6.0, 2.0), 0.7)
    assert area_mm2(shape.field) == pytest.approx(np.pi * 12, rel=0.02)
    edge = np.ones(shape.field.shape, bool)
    edge[1:-1, 1:-1] = False
    assert (shape.field[edge] > 0).all()


def test_a_tube_has_the_width_it_is_given_and_may_narrow() -> None:
    course = np.array([[-20.0, 0.0], [20.0, 0.0]])
    even, tapered = tube(course, 2.0), tube(course, np.array([3.0, 1.0]))
    assert area_mm2(even.field) == pytest.approx(40 * 4 + np.pi * 4, rel=0.02)
    left, right = tapered.field[:, 40], tapered.field[:, -40]
    assert (left < 0).sum() > 1.5 * (right < 0).sum()


def test_fill_writes_inside_only_and_a_rim_just_outside() -> None:
    canvas = Canvas(np.random.default_rng(0), 0.0)
    disc = ellipse((0.0, 0.0), (5.0, 5.0))
    canvas.rim(disc, 7.0, 0.5)
    canvas.fill(disc, -30.0, 0.0)
    radius = np.hypot(X, Y)
    assert (canvas.level[radius < 4.9] == -30).all()
    assert (canvas.absorption[radius < 4.9] == 0).all()
    assert (canvas.level[(radius > 5.1) & (radius < 5.4)] == 7).all()
    assert (canvas.level[radius > 5.8] == 0).all()


def test_what_is_filled_within_another_shape_stays_there() -> None:
    canvas = Canvas(np.random.default_rng(0), 0.0)
    canvas.fill(ellipse((0.0, 0.0), (9.0, 9.0)), 5.0, within=beyond(0.0, 0.0, np.zeros((CELLS, CELLS), np.float32)))
    assert (canvas.level[:, CELLS // 2 :] == 5).any()
    assert not (canvas.level[:, : CELLS // 2 - 1] == 5).any()


def test_a_blob_is_about_as_large_as_its_axes_and_shrinks() -> None:
    shape = blob(np.random.default_rng(3), (30.0, 25.0))
    assert area_mm2(shape.field) == pytest.approx(np.pi * 30 * 25, rel=0.1)
    assert area_mm2(shrunk(shape, 3.0).field) < area_mm2(shape.field)


def test_warping_bends_but_keeps_levels() -> None:
    canvas = Canvas(np.random.default_rng(0), 0.0)
    canvas.fill(ellipse((0.0, 0.0), (20.0, 20.0)), -10.0)
    before = canvas.level.copy()
    canvas.warp(1.5)
    assert set(np.unique(canvas.level)) == {-10.0, 0.0}
    moved = (canvas.level != before).mean()
    assert 0.001 < moved < 0.1


def test_a_curve_runs_from_start_to_end() -> None:
    a, b, c = np.array([0.0, 0.0]), np.array([5.0, 5.0]), np.array([10.0, 0.0])
    course = bezier(a, b, c)
    np.testing.assert_allclose(course[[0, -1]], [a, c])
