from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge3vt.core.frame import Crop, Frame, Layout, Pixels, Region
from edge3vt.core.segmentation import Mask
from edge3vt.picture.crop import TRACK_MARGIN, TRACK_MM, TRACK_MULTIPLE, acquire, cut, track


def smooth(height: int, width: int) -> Pixels:
    """A picture without detail finer than a few pixels, so that every good resampling agrees on it."""
    noise = np.random.default_rng(3).integers(0, 256, (height, width), dtype=np.uint8)
    return np.asarray(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 6), None, 20, 235, cv2.NORM_MINMAX), dtype=np.uint8)


def cut_new(frame: Frame, crop: Crop) -> Pixels:
    out = np.full((crop.size, crop.size), 77, dtype=np.uint8)
    cut(frame, crop, out)
    return out


@given(
    x0=st.integers(0, 90),
    y0=st.integers(0, 60),
    width=st.integers(1, 120),
    height=st.integers(1, 120),
    known=st.booleans(),
)
def test_acquire_is_the_smallest_centred_square(x0: int, y0: int, width: int, height: int, known: bool) -> None:
    region = Region(x0, y0, x0 + width, y0 + height) if known else None
    frame = Frame(0, 0, np.zeros((80, 120), np.uint8), region=region)
    crop, bounds = acquire(frame, 32), frame.bounds
    assert crop.side == max(bounds.width, bounds.height)
    assert crop.x <= bounds.x0 <= bounds.x1 <= crop.region.x1
    assert crop.y <= bounds.y0 <= bounds.y1 <= crop.region.y1
    assert abs((bounds.x0 - crop.x) - (crop.region.x1 - bounds.x1)) <= 1
    assert abs((bounds.y0 - crop.y) - (crop.region.y1 - bounds.y1)) <= 1


@pytest.mark.parametrize("side", [96, 100, 128, 150, 192, 200, 256, 300, 400, 480])
def test_shrinking_agrees_with_area_averaging(side: int) -> None:
    pixels = smooth(side, side)
    expected = cv2.resize(pixels, (96, 96), interpolation=cv2.INTER_AREA).astype(int)
    error = np.abs(cut_new(Frame(0, 0, pixels), Crop(0, 0, side, 96)) - expected)
    assert error.mean() < 0.5
    assert error.max() <= 6


@pytest.mark.parametrize("side", [150, 192, 240, 300, 500])
def test_shrinking_does_not_alias(side: int) -> None:
    """Noise finer than the network's pixels is averaged away as area averaging would; plain bilinear keeps more."""
    noise = np.random.default_rng(5).integers(0, 256, (side, side), dtype=np.uint8)
    area = cv2.resize(noise, (96, 96), interpolation=cv2.INTER_AREA)
    assert cut_new(Frame(0, 0, noise), Crop(0, 0, side, 96)).std() < 1.15 * area.std()
    if side >= 240:
        assert cv2.resize(noise, (96, 96), interpolation=cv2.INTER_LINEAR).std() > 1.15 * area.std()


def test_enlarging_is_bilinear() -> None:
    pixels = smooth(40, 40)
    expected = cv2.resize(pixels, (96, 96), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(cut_new(Frame(0, 0, pixels), Crop(0, 0, 40, 96)), expected)


def test_same_size_is_a_copy() -> None:
    pixels = smooth(80, 120)
    assert np.array_equal(cut_new(Frame(0, 0, pixels), Crop(30, 10, 64, 64)), pixels[10:74, 30:94])


def test_what_lies_outside_the_region_is_black() -> None:
    pixels = np.full((100, 100), 200, np.uint8)
    frame = Frame(0, 0, pixels, region=Region(20, 40, 80, 60))
    out = cut_new(frame, acquire(frame, 60))
    assert np.all(out[:20] == 0)
    assert np.all(out[40:] == 0)
    assert np.all(out[20:40] == 200)


def test_what_hangs_over_the_picture_is_black() -> None:
    out = cut_new(Frame(0, 0, np.full((50, 50), 200, np.uint8)), Crop(-10, 30, 40, 40))
    assert np.all(out[:20, 10:] == 200)
    assert np.all(out[:, :10] == 0)
    assert np.all(out[20:] == 0)


@pytest.mark.parametrize("crop", [Crop(200, 0, 30, 30), Crop(-100, -100, 50, 30)])
def test_a_crop_beside_the_picture_is_black(crop: Crop) -> None:
    assert not cut_new(Frame(0, 0, np.full((50, 50), 200, np.uint8)), crop).any()


def test_every_layout_gives_the_same_luma() -> None:
    grey = smooth(60, 80)
    chroma = np.full((60, 80), 128, np.uint8)
    layouts = {
        Layout.RGB: np.dstack([grey] * 3),
        Layout.BGR: np.dstack([grey] * 3),
        Layout.YUYV: np.dstack([grey, chroma]),
        Layout.NV12: np.concatenate([grey, chroma[:30]]),
    }
    crop = Crop(5, 5, 50, 48)
    expected = cut_new(Frame(0, 0, grey), crop)
    for layout, pixels in layouts.items():
        assert np.array_equal(cut_new(Frame(0, 0, pixels, layout), crop), expected), layout


def test_red_and_blue_are_not_confused() -> None:
    rgb = np.zeros((40, 40, 3), np.uint8)
    rgb[..., 0] = 255
    crop = Crop(0, 0, 40, 40)
    assert np.all(cut_new(Frame(0, 0, rgb, Layout.RGB), crop) == 76)
    assert np.all(cut_new(Frame(0, 0, rgb, Layout.BGR), crop) == 29)


def test_limited_range_is_expanded_and_padding_stays_black() -> None:
    pixels = np.repeat(np.array([[16], [235]], np.uint8), 20, axis=0).repeat(60, axis=1)
    frame = Frame(0, 0, pixels, full_range=False)
    out = cut_new(frame, acquire(frame, 60))
    assert set(np.unique(out)) == {0, 255}
    assert np.all(out[30:50] == 255)
    assert np.all(out[50:] == 0)


def test_a_buffer_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="64 px"):
        cut(Frame(0, 0, np.zeros((80, 80), np.uint8)), Crop(0, 0, 80, 64), np.zeros((32, 32), np.uint8))


BOUNDS = Region(40, 20, 840, 620)
WHOLE = acquire(Frame(0, 0, np.zeros((640, 900), np.uint8), region=BOUNDS), 200)  # 4 frame px each
FOUND = np.zeros((200, 200), np.uint8)
FOUND[90:110, 100:130] = 1
FOUND[100:115, 120:135] = 5


def closer(mask: Mask, mm_per_px: float | None, size: int = 200) -> Crop:
    crop = track(mask, WHOLE, BOUNDS, size, mm_per_px)
    assert crop is not None
    assert crop.mode == "track"
    assert crop.size == size
    return crop


def test_track_is_a_square_of_mm_around_what_was_found() -> None:
    crop = closer(FOUND, 0.15, size=96)
    assert crop.side == round(TRACK_MM / 0.15)
    centre = (WHOLE.x + 117.5 * 4, WHOLE.y + 102.5 * 4)
    assert abs(crop.x + crop.side / 2 - centre[0]) <= 1
    assert abs(crop.y + crop.side / 2 - centre[1]) <= 1


def test_track_takes_in_all_that_was_found_and_never_more_than_acquire() -> None:
    assert closer(FOUND, 0.9).side == round(TRACK_MARGIN * 35 * 4)
    wide = FOUND.copy()
    wide[5:195, 5:195] = 2
    assert closer(wide, 0.1).region == WHOLE.region


def test_track_without_a_scale_is_a_multiple_of_what_was_found() -> None:
    large = cv2.resize(FOUND[80:130, 90:140], (200, 200), interpolation=cv2.INTER_NEAREST)
    large[:, 120:] = 0
    box = max(cv2.boundingRect(large)[2:])
    assert closer(large, None).side == round(TRACK_MULTIPLE * box * 4)
    speck = np.zeros_like(FOUND)
    speck[100, 100] = 1
    assert closer(speck, None).side == round(WHOLE.side / 3)


def test_a_stray_speck_moves_nothing() -> None:
    strayed = FOUND.copy()
    strayed[3:6, 3:6], strayed[190, 190] = 1, 5
    assert closer(strayed, 0.15) == closer(FOUND, 0.15)
    strayed[3:40, 3:40] = 1  # now the larger piece
    assert closer(strayed, 0.15) != closer(FOUND, 0.15)


def test_nothing_found_is_nothing_to_look_closer_at() -> None:
    assert track(np.zeros_like(FOUND), WHOLE, BOUNDS, 200, 0.2) is None


@given(x=st.integers(0, 199), y=st.integers(0, 199), w=st.integers(1, 90), h=st.integers(1, 90), known=st.booleans())
def test_track_lies_within_acquire_and_holds_what_was_found(x: int, y: int, w: int, h: int, known: bool) -> None:
    mask = np.zeros((200, 200), np.uint8)
    mask[y : y + h, x : x + w] = 3
    outer, inner = WHOLE.region, closer(mask, 0.5 if known else None).region
    assert outer.x0 <= inner.x0 < inner.x1 <= outer.x1
    assert outer.y0 <= inner.y0 < inner.y1 <= outer.y1
    x1, y1 = min(x + w, 200), min(y + h, 200)
    assert inner.x0 <= outer.x0 + 4 * x <= outer.x0 + 4 * x1 <= inner.x1
    assert inner.y0 <= outer.y0 + 4 * y <= outer.y0 + 4 * y1 <= inner.y1


def test_track_from_a_mask_on_the_frames_own_pixels() -> None:
    """A square or not: as the true mask of a picture is."""
    truth = np.zeros((640, 900), np.uint8)
    truth[300:340, 500:560] = 2
    crop = track(truth, Crop(0, 0, 900, 900), BOUNDS, 96, 0.3)
    assert crop == Crop(530 - 75, 320 - 75, 150, 96, "track")
