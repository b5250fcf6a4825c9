from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Frame, Layout, Region
from edge3vt.stream.sources.raw import BYTES_PER_PX, CorruptError, Tally, checked_region, odd_sides, shaped


@pytest.mark.parametrize("padding", [0, 1, 24])
@pytest.mark.parametrize("layout", list(Layout))
def test_every_layout_is_shaped_with_and_without_a_stride(layout: Layout, padding: int) -> None:
    width, height = 32, 24
    rows, row = height * (3 if layout is Layout.NV12 else 2) // 2, width * BYTES_PER_PX[layout]
    buffer = np.random.default_rng(1).integers(0, 256, (rows, row + padding), dtype=np.uint8)
    pixels = shaped(buffer.tobytes() + b"more", layout, width, height, row + padding)
    frame = Frame(0, 0, pixels, layout)
    assert (frame.width, frame.height) == (width, height)
    assert np.array_equal(pixels.reshape(rows, row), buffer[:, :row])
    assert not pixels.flags.writeable


def test_the_last_row_needs_no_padding() -> None:
    assert shaped(bytes(10 * 3 + 8), Layout.GRAY, 8, 4, 10).shape == (4, 8)


@pytest.mark.parametrize("layout", list(Layout))
def test_a_byte_too_few_is_corrupt(layout: Layout) -> None:
    rows = 24 * (3 if layout is Layout.NV12 else 2) // 2
    whole = bytes(rows * 32 * BYTES_PER_PX[layout])
    shaped(whole, layout, 32, 24)
    with pytest.raises(CorruptError, match="too short"):
        shaped(whole[:-1], layout, 32, 24)
    with pytest.raises(CorruptError, match="stride"):
        shaped(whole, layout, 32, 24, 31)


def test_a_tally_counts_by_reason_and_tells() -> None:
    tally, told = Tally(), list[str]()
    tally.watch = told.append
    for reason in ("short", "torn", "short"):
        tally.add(reason)
    assert (tally.total, dict(tally.counts), told) == (3, {"short": 2, "torn": 1}, ["short", "torn", "short"])


def test_a_region_outside_the_picture_is_one_line() -> None:
    assert checked_region(None, 64, 48, "x") is None
    assert checked_region(Region(0, 0, 64, 48), 64, 48, "x") == Region(0, 0, 64, 48)
    for wrong in (Region(0, 0, 65, 48), Region(-1, 0, 10, 10), Region(10, 10, 10, 20), Region(30, 30, 20, 40)):
        with pytest.raises(ConfigError, match="is not inside the picture of 64x48 px") as refused:
            checked_region(wrong, 64, 48, "v4l2://x")
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("layout", "width", "height"), [(Layout.YUYV, 7, 4), (Layout.NV12, 7, 4), (Layout.NV12, 8, 5), (Layout.NV12, 1, 1)]
)
def test_sides_that_a_layout_cannot_have_are_corrupt(layout: Layout, width: int, height: int) -> None:
    with pytest.raises(CorruptError, match=f"{width}x{height} px as {layout.name}, which has even sides"):
        shaped(bytes(1000), layout, width, height)
    assert not odd_sides(Layout.GRAY, 7, 5)
    assert not odd_sides(Layout.YUYV, 8, 5)
