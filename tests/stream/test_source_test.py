from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.clock import ManualClock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Layout, Region
from edge3vt.picture.colour import to_rgb
from edge3vt.stream.barcode import read
from edge3vt.stream.sources.test import MARK, PATTERNS, Pattern, PatternSource


def source(clock: ManualClock | None = None, **asked: object) -> PatternSource:
    return PatternSource(Pattern(**{"width": 320, "height": 240} | asked), clock or ManualClock())  # type: ignore[arg-type]


@pytest.mark.parametrize("full_range", [True, False])
@pytest.mark.parametrize("layout", list(Layout))
def test_the_code_stands_in_every_layout_and_range(layout: Layout, full_range: bool) -> None:
    frames = list(islice(source(layout=layout, full_range=full_range), 5))
    assert [(f.index, f.layout, f.full_range, read(f.luma)) for f in frames] == [
        (i, layout, full_range, i) for i in range(5)
    ]
    assert [f.captured_ns for f in frames] == [round(i * 1e9 / 60) for i in range(5)]
    rgb = to_rgb(frames[0])
    assert read(rgb[..., 1]) == 0
    if layout is not Layout.GRAY:
        red = rgb[MARK.y0 + 4 : MARK.y1 - 4, MARK.x0 + 4 : MARK.x1 - 4].reshape(-1, 3).mean(axis=0)
        assert red[0] > 150 > 90 > max(red[1:])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_pictures_move(pattern: str) -> None:
    first, second = islice(source(pattern=pattern), 2)
    assert not np.array_equal(first.pixels, second.pixels)


def test_faults_are_in_the_pixels() -> None:
    frames = list(source(seconds=2, rate_hz=10, faults="black@0.5-0.7,frozen@1-1.3,corrupt@1.5-1.7,size@1.8:640x480"))
    assert [read(f.luma) for f in frames] == [0, 1, 2, 3, 4, None, None, 7, 8, 9, 9, 9, 9, 13, 14, 17, 18, 19]
    assert not frames[5].pixels.any()
    assert np.array_equal(frames[9].pixels, frames[12].pixels)
    assert [(f.epoch, f.width) for f in frames[-3:]] == [(0, 320), (1, 640), (1, 640)]
    assert [f.index for f in frames] == list(range(18))


def test_corrupt_pictures_are_counted_not_shown() -> None:
    corrupt = source(seconds=1, rate_hz=10, faults="corrupt@0.5-0.7")
    assert len(list(corrupt)) == 8
    assert dict(corrupt.tally.counts) == {"picture too short": 2}


def test_the_code_can_be_the_capture_time() -> None:
    clock = ManualClock(5_000_000_000)
    assert [read(f.luma) for f in islice(source(clock, code="ms", rate_hz=100), 3)] == [5000, 5010, 5020]


def test_the_device_is_there_while_its_file_is(tmp_path: Path) -> None:
    plug = tmp_path / "device"
    with pytest.raises(DataError, match="no such device"):
        source(present=plug)
    plug.touch()
    frames = iter(source(present=plug))
    next(frames)
    plug.unlink()
    with pytest.raises(DataError, match="no such device"):
        next(frames)


def test_a_loss_is_an_error_and_what_is_known_is_carried() -> None:
    frames = iter(source(faults="lost@0.01", region=Region(1, 2, 30, 40), mm_per_px=0.2))
    frame = next(frames)
    assert (frame.region, frame.mm_per_px) == (Region(1, 2, 30, 40), 0.2)
    with pytest.raises(DataError, match="the device is gone"):
        next(frames)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"pattern": "speckles"}, "known: speckle, bars, flat"),
        ({"rate_hz": 0}, "0 to 1000 Hz"),
        ({"width": 100}, "expected 176x64"),
        ({"width": 321, "layout": Layout.NV12}, "even for yuyv and nv12"),
        ({"faults": "size@1:9999x9999"}, "4096x4096"),
        ({"region": Region(0, 0, 400, 100)}, "not inside the picture"),
    ],
)
def test_what_cannot_be_drawn_is_refused(asked: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        source(**asked)
