from __future__ import annotations

import av
import numpy as np
import pytest

from edge3vt.core.frame import Frame, Layout, Pixels
from edge3vt.picture.colour import to_rgb
from edge3vt.picture.decoded import laid_out

COLOURS = np.array([[[250, 20, 30], [10, 240, 40]], [[30, 20, 220], [128, 128, 128]]], np.uint8)


def picture(height: int = 48, width: int = 64) -> Pixels:
    patches = COLOURS.repeat(height // 2, axis=0).repeat(width // 2, axis=1)
    return np.pad(patches, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def inside(rgb: Pixels) -> Pixels:
    """The patches without their edges, where chroma is interpolated."""
    return np.stack([rgb[y : y + 16, x : x + 24] for y in (4, 28) for x in (4, 36)])


def converted(pix_fmt: str, matrix: str = "ITU601", width: int = 64) -> av.VideoFrame:
    source = av.VideoFrame.from_ndarray(picture(width=width), format="rgb24")
    full = "JPEG" if "j" in pix_fmt else "MPEG"
    return source.reformat(format=pix_fmt, dst_colorspace=matrix, dst_color_range=full)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv422p", "yuvj422p"])
def test_planar_video_becomes_nv12_with_its_own_luma(pix_fmt: str) -> None:
    frame = converted(pix_fmt)
    pixels, layout, full = laid_out(frame)
    assert (layout, full, pixels.flags.writeable) == (Layout.NV12, "j" in pix_fmt, False)
    here = Frame(0, 0, pixels, layout, full_range=full)
    luma = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)[:48, :64]
    assert np.array_equal(here.luma, luma)
    assert np.abs(inside(to_rgb(here)).astype(int) - inside(picture())).max() <= 6


def test_the_range_matters() -> None:
    """The planted fault: limited taken for full."""
    pixels, layout, _ = laid_out(converted("yuv420p"))
    assert np.abs(to_rgb(Frame(0, 0, pixels, layout, full_range=True)).astype(int) - picture()).max() > 10


@pytest.mark.parametrize(
    ("matrix", "pix_fmt", "width"), [("ITU709", "yuv420p", 64), ("ITU601", "yuv444p", 64), ("ITU601", "yuv420p", 63)]
)
def test_what_is_no_nv12_becomes_rgb_in_its_own_colours(matrix: str, pix_fmt: str, width: int) -> None:
    frame = converted(pix_fmt, matrix, width)
    pixels, layout, full = laid_out(frame)
    assert (layout, full) == (Layout.RGB, True)
    assert np.abs(pixels[4:20, 4:20].astype(int) - picture()[4:20, 4:20]).max() <= 6


def test_grey_stays_grey() -> None:
    grey = np.arange(48 * 66, dtype=np.uint16).reshape(48, 66).astype(np.uint8)
    pixels, layout, full = laid_out(av.VideoFrame.from_ndarray(grey, format="gray"))
    assert (layout, full) == (Layout.GRAY, True)
    assert np.array_equal(pixels, grey)
