from __future__ import annotations

import av
import numpy as np
import pytest

from edge3vt.core.frame import Frame, Layout, Pixels
from edge3vt.picture.colour import to_rgb, ybr_to_rgb

COLOURS = np.array([[[250, 20, 30], [10, 240, 40]], [[30, 20, 220], [128, 128, 128]]], np.uint8)


def picture() -> Pixels:
    """Flat patches of 8 x 8, so that halved chroma is exact inside them."""
    return COLOURS.repeat(8, axis=0).repeat(8, axis=1)


def encoded(layout: str, full_range: bool) -> Pixels:
    """The picture as FFmpeg converts it to NV12 or YUYV, BT.601."""
    source = av.VideoFrame.from_ndarray(picture(), format="rgb24")
    frame = source.reformat(format="yuv444p", dst_colorspace="ITU601", dst_color_range="JPEG" if full_range else "MPEG")
    y, u, v = frame.to_ndarray()
    if layout == "NV12":
        return np.concatenate([y, np.dstack([u[::2, ::2], v[::2, ::2]]).reshape(8, 16)])
    yuyv = np.dstack([y, y])
    yuyv[:, ::2, 1], yuyv[:, 1::2, 1] = u[:, ::2], v[:, ::2]
    return yuyv


@pytest.mark.parametrize("full_range", [True, False])
@pytest.mark.parametrize("layout", [Layout.NV12, Layout.YUYV])
def test_yuv_gives_the_colours_back(layout: Layout, full_range: bool) -> None:
    frame = Frame(0, 0, encoded(layout.name, full_range), layout, full_range=full_range)
    assert np.abs(to_rgb(frame).astype(int) - picture()).max() <= 4


def test_the_yuv_test_sees_a_wrong_range() -> None:
    frame = Frame(0, 0, encoded("NV12", full_range=True), Layout.NV12, full_range=False)
    assert np.abs(to_rgb(frame).astype(int) - picture()).max() > 10


@pytest.mark.parametrize(("layout", "order"), [(Layout.RGB, slice(None)), (Layout.BGR, slice(None, None, -1))])
def test_rgb_and_bgr_are_exact_and_new(layout: Layout, order: slice) -> None:
    pixels = np.ascontiguousarray(picture()[..., order])
    pixels.flags.writeable = False
    rgb = to_rgb(Frame(0, 0, pixels, layout))
    assert np.array_equal(rgb, picture())
    assert rgb.flags.writeable
    assert not np.shares_memory(rgb, pixels)


def test_grey_is_exact() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(to_rgb(Frame(0, 0, grey)), np.dstack([grey] * 3))


@pytest.mark.parametrize("layout", [Layout.GRAY, Layout.RGB, Layout.BGR])
def test_limited_range_is_expanded(layout: Layout) -> None:
    values = np.array([[0, 16, 125, 235, 255]], np.uint8)
    pixels = values if layout is Layout.GRAY else np.dstack([values] * 3)
    assert to_rgb(Frame(0, 0, pixels, layout, full_range=False))[0, :, 1].tolist() == [0, 0, 127, 255, 255]


def test_ybr_of_dicom() -> None:
    """PS3.3 C.7.6.3.1.2: Cb before Cr."""
    red = ybr_to_rgb(np.full((4, 4, 3), (76, 85, 255), np.uint8))[0, 0]
    assert np.abs(red.astype(int) - (255, 0, 0)).max() <= 2
