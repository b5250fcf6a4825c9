"""The subsample of a picture: the same of every layout, inside and around the region."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge3vt.core.frame import Frame, Layout, Pixels, Region
from edge3vt.stream.sample import changed_share, same, sample

GREY: Pixels = np.asarray(cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (240, 320), np.uint8), (0, 0), 5))
REGION = Region(80, 60, 240, 180)


def laid_out(layout: Layout) -> Frame:
    match layout:
        case Layout.GRAY:
            pixels = GREY
        case Layout.RGB | Layout.BGR:
            pixels = np.repeat(GREY[..., None], 3, axis=2)
        case Layout.YUYV:
            pixels = np.dstack((GREY, np.full_like(GREY, 128)))
        case Layout.NV12:
            pixels = np.concatenate([GREY, np.full((120, 320), 128, np.uint8)])
    return Frame(0, 0, pixels, layout, region=REGION)


@pytest.mark.parametrize("layout", list(Layout))
def test_grey_gives_the_same_levels_in_every_layout(layout: Layout) -> None:
    expected, found = sample(laid_out(Layout.GRAY)), sample(laid_out(layout))
    assert np.array_equal(found.inside, expected.inside)
    assert np.array_equal(found.around, expected.around)
    assert found.coloured is None or not found.coloured.any()
    assert found.inside.shape == (20, 20)


def test_inside_is_the_region_and_around_is_the_rest() -> None:
    pixels = np.full((240, 320), 200, np.uint8)
    pixels[60:180, 80:240] = 0
    found = sample(Frame(0, 0, pixels, region=REGION))
    assert not found.inside.any()
    assert found.lit_share == 0
    assert (found.around == 200).all()
    assert not sample(Frame(0, 0, pixels)).around.size, "a region that is all has nothing around it"


def test_a_region_smaller_than_the_grid_is_still_looked_at() -> None:
    assert sample(Frame(0, 0, GREY, region=Region(101, 101, 103, 103))).inside.size >= 1
    assert sample(Frame(0, 0, GREY[:1, :1].copy())).inside.size == 1


def test_a_share_counts_levels_beyond_the_tolerance() -> None:
    old = np.zeros((10, 10), np.uint8)
    new = old.copy()
    new[0] = 3
    assert changed_share(old, new, 2) == 0.1
    assert changed_share(old, new, 3) == 0
    assert changed_share(old, new[:5], 2) == 1


def test_what_is_the_same_is_measured_by_what_is_lit() -> None:
    dark = np.zeros((240, 320), np.uint8)
    dark[100:140, 100:200] = 90
    moved = dark.copy()
    moved[100:140, 100:110] = 120
    one, other = (sample(Frame(0, 0, p)) for p in (dark, moved))
    assert changed_share(one.inside, other.inside, 2) <= 0.01
    assert not same(one, other, 2)
    assert same(one, one, 2)
