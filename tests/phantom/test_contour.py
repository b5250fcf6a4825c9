"""Outlines finer than a pixel."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.anatomy import Structure
from edge3vt.phantom.contour import Outline, apart, filled, outlines

PA, ARCH = Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH


def area_px(outline: Outline) -> float:
    """What an outline encloses, in square pixels."""
    x, y = outline[:, 0], outline[:, 1]
    return abs(float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))) / 2


def circle(x: float, y: float, radius: float, width: int = 80, height: int = 60) -> np.ndarray:
    """Signed distance of pixel centres to a circle, in pixels."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return (np.hypot(columns - x, rows - y) - radius).astype(np.float32)


@pytest.mark.parametrize("radius", [2.5, 4.0, 7.3, 20.0])
def test_a_circle_keeps_its_diameter_and_place_to_a_twentieth_of_a_pixel(radius: float) -> None:
    rng = np.random.default_rng(int(radius * 10))
    for _ in range(20):
        x, y = 40 + rng.uniform(-1, 1), 30 + rng.uniform(-1, 1)
        (outline,) = outlines(circle(x, y, radius))
        np.testing.assert_array_equal(outline[0], outline[-1])
        assert 2 * np.sqrt(area_px(outline) / np.pi) == pytest.approx(2 * radius, abs=0.05)
        np.testing.assert_allclose(np.hypot(*(outline - (x, y)).T), radius, atol=0.06)
        assert (outline.min(axis=0) + outline.max(axis=0)) / 2 == pytest.approx((x, y), abs=0.05)


def test_an_outline_ends_at_the_edge_of_the_picture() -> None:
    (outline,) = outlines(circle(0.0, 30.0, 10.0))
    assert outline[:, 0].min() == pytest.approx(0, abs=1e-6)
    assert area_px(outline) == pytest.approx(np.pi * 50, rel=0.01)
    (whole,) = outlines(np.full((30, 40), -3, np.float32))
    assert area_px(whole) == pytest.approx(30 * 40, abs=1)


def test_an_outline_ends_where_the_sector_does() -> None:
    imaged = np.zeros((60, 80), bool)
    imaged[:, :40] = True
    (outline,) = outlines(circle(40.0, 30.0, 10.0), imaged)
    assert outline[:, 0].max() == pytest.approx(40, abs=0.01)
    assert area_px(outline) == pytest.approx(np.pi * 50, rel=0.01)


def test_two_parts_and_a_hole_have_outlines_of_their_own() -> None:
    ring = np.maximum(circle(25, 30, 15), -circle(25, 30, 5))
    found = outlines(np.minimum(ring, circle(60, 30, 8)))
    assert [round(area_px(o)) for o in found] == pytest.approx([np.pi * 225, np.pi * 64, np.pi * 25], abs=2)
    assert outlines(np.ones((10, 10), np.float32)) == ()


def test_a_filled_outline_is_the_mask_again() -> None:
    field = np.maximum(circle(30.2, 28.7, 14.3), -circle(30, 30, 4.6))
    np.testing.assert_array_equal(filled(outlines(field), 80, 60), field < 0)


def test_structures_that_overlap_part_where_both_are_as_deep() -> None:
    fields = {PA: circle(30, 30, 10), ARCH: circle(40, 30, 10)}
    both = apart(fields)
    labels = np.where(fields[PA] < fields[ARCH], PA, ARCH)
    for structure, field in fields.items():
        np.testing.assert_array_equal(both[structure] < 0, (field < 0) & (labels == structure))
    assert outlines(both[PA])[0][:, 0].max() == pytest.approx(35, abs=0.1)
    assert set(apart({PA: fields[PA]})) == {PA}
