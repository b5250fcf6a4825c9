"""What stands around a scanner's picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.phantom.furniture import LAYOUTS, draw_layout, layout
from edge3vt.phantom.scanner import DEPTHS, LINES, Scanner, Setup, draw_setup

NAMES = [name for site in LAYOUTS.values() for name in site]
SIZES = [(975, 735), (512, 512), (1280, 960)]


def machine(name: str, width: int, height: int, seed: int = 0) -> Setup:
    rng = np.random.default_rng(seed)
    drawn = draw_setup(rng, width, height, probe="convex", bare=False)
    arranged = layout(name, width, height, rng)
    return replace(drawn, layout=arranged, region=arranged.region)


def inside(scanner: Scanner) -> tuple[slice, slice]:
    r = scanner.region
    return np.s_[r.y0 : r.y1, r.x0 : r.x1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_every_layout_fits_every_screen_and_leaves_the_picture_open(name: str, size: tuple[int, int]) -> None:
    for seed in range(3):
        scanner = machine(name, *size, seed).scanner(90.0)
        assert scanner.furniture.shape == (size[1], size[0])
        r = scanner.region
        assert r == r.clipped(*size)
        assert r.width * r.height > 0.4 * size[0] * size[1]
        over = scanner.furniture[inside(scanner)] > 0
        assert over.mean() < 0.08
        outside = scanner.furniture.copy()
        outside[inside(scanner)] = 0
        assert len(np.unique(outside)) > 8
        assert (outside > 0).mean() > 0.003


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_fills_the_sector_except_under_the_furniture(name: str) -> None:
    scanner = machine(name, 975, 735, 4).scanner(80.0)
    white = scanner.picture(np.ones((DEPTHS, LINES), np.float32))
    black = scanner.picture(np.zeros((DEPTHS, LINES), np.float32))
    shown = np.zeros(white.shape, bool)
    shown[inside(scanner)] = scanner.imaged & (scanner.furniture[inside(scanner)] == 0)
    assert (white[shown] == 255).all()
    np.testing.assert_array_equal(white[~shown], scanner.furniture[~shown])
    np.testing.assert_array_equal(black, np.where(shown, 0, scanner.furniture))


def test_the_scale_marks_whole_centimetres_below_the_face() -> None:
    ribbon = replace(machine("ribbon", 975, 735, 2), zoom_mm=None, rise=0.0)
    scanner = ribbon.scanner(100.0)
    r, u = scanner.region, min(975 / 975, 735 / 735)
    column = scanner.furniture[r.y0 : r.y1, round(r.x1 + 8 * u)]
    rows = np.flatnonzero((column[1:] > 100) & (column[:-1] <= 100)) + 1
    rows = np.concatenate([[0], rows]) if column[0] > 100 else rows
    centimetres = scanner.pixel_mm[1][rows] / 10
    assert len(rows) == int(scanner.pixel_mm[1][-1] / 10) + 1
    np.testing.assert_allclose(centimetres, np.arange(len(rows)), atol=1.5 * scanner.mm_per_px / 10)


def test_the_sites_share_no_layout() -> None:
    assert not set(LAYOUTS["A"]) & set(LAYOUTS["B"])
    for site in ("A", "B"):
        drawn = {draw_layout(np.random.default_rng(seed), 975, 735, site).name for seed in range(60)}
        assert drawn == set(LAYOUTS[site])


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_screen_and_another_seed_another(name: str) -> None:
    a, b, c = (machine(name, 975, 735, seed).scanner(80.0).furniture for seed in (5, 5, 6))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_measurements_lie_over_some_pictures_and_not_over_others() -> None:
    crossed = 0
    for seed in range(40):
        scanner = machine("ribbon", 975, 735, seed).scanner(90.0)
        h, w = scanner.imaged.shape
        crossed += bool(scanner.furniture[inside(scanner)][h // 4 : 3 * h // 4, w // 4 : 3 * w // 4].any())
    assert 4 <= crossed <= 24


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(KeyError, match="bannner"):
        layout("bannner", 975, 735, np.random.default_rng(0))
