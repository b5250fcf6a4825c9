from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError

import cv2
import numpy as np
import pytest

from edge3vt.core.frame import Crop, Frame, Layout, Pixels, Region


def noise(*shape: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        (Layout.GRAY, (48, 64)),
        (Layout.RGB, (48, 64, 3)),
        (Layout.BGR, (48, 64, 3)),
        (Layout.YUYV, (48, 64, 2)),
        (Layout.NV12, (72, 64)),
    ],
)
def test_size_and_luma_of_every_layout(layout: Layout, shape: tuple[int, ...]) -> None:
    frame = Frame(0, 0, noise(*shape), layout)
    assert (frame.height, frame.width) == (48, 64)
    assert frame.luma.shape == (48, 64)
    assert frame.luma.dtype == np.uint8
    assert frame.bounds == Region(0, 0, 64, 48)
    assert np.shares_memory(frame.luma, frame.pixels) == (layout not in (Layout.RGB, Layout.BGR))


def test_luma_is_opencvs_bit_by_bit() -> None:
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
    for pixels in (np.ascontiguousarray(colours), noise(97, 101, 3)):
        for layout, code in ((Layout.RGB, cv2.COLOR_RGB2GRAY), (Layout.BGR, cv2.COLOR_BGR2GRAY)):
            np.testing.assert_array_equal(Frame(0, 0, pixels, layout).luma, cv2.cvtColor(pixels, code))


def test_luma_of_packed_and_planar_video_is_its_y() -> None:
    y, chroma = noise(4, 6), noise(4, 6)[::-1]
    np.testing.assert_array_equal(Frame(0, 0, np.stack([y, chroma], axis=-1), Layout.YUYV).luma, y)
    np.testing.assert_array_equal(Frame(0, 0, np.concatenate([y, chroma[:2]]), Layout.NV12).luma, y)


@pytest.mark.parametrize(
    ("layout", "pixels"),
    [
        (Layout.GRAY, noise(4, 4, 1)),
        (Layout.RGB, noise(4, 4)),
        (Layout.BGR, noise(4, 4, 4)),
        (Layout.YUYV, noise(4, 4, 3)),
        (Layout.NV12, noise(4, 4)),
        (Layout.GRAY, noise(4, 4).astype(np.float32)),
        (Layout.GRAY, noise(4, 4).astype(np.int8)),
    ],
)
def test_pixels_that_are_not_their_layout_are_refused(layout: Layout, pixels: Pixels) -> None:
    with pytest.raises(ValueError, match=rf"frame 7: {layout.name} pixels cannot be {pixels.dtype} \("):
        Frame(7, 0, pixels, layout)


def test_bounds_stay_inside_the_picture() -> None:
    frame = Frame(0, 0, noise(48, 64), region=Region(-5, 10, 70, 40))
    assert frame.bounds == Region(0, 10, 64, 40)
    assert (frame.bounds.width, frame.bounds.height) == (64, 30)
    outside = Region(100, 100, 120, 130).clipped(64, 48)
    assert (outside.width, outside.height) == (0, 0)
    inverted = Region(30, 30, 10, 10).clipped(64, 48)
    assert (inverted.width, inverted.height) == (0, 0)


def test_a_crop_is_a_square_of_the_frame() -> None:
    crop = Crop(-8, 4, 32, 256)
    assert crop.region == Region(-8, 4, 24, 36)
    assert crop.mode == "acquire"


def test_a_frame_does_not_change() -> None:
    frame = Frame(0, 0, noise(4, 4))
    with pytest.raises(FrozenInstanceError):
        frame.index = 1  # type: ignore[misc]
    assert dataclasses.replace(frame, index=1).pixels is frame.pixels
