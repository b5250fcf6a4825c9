from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.clock import ManualClock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Layout
from edge3vt.picture.images import write_image
from edge3vt.stream.sources.folder import FolderSource


def numbered(folder: Path, count: int = 12) -> Path:
    for index in range(count):
        write_image(folder / f"{index}.png", np.full((10, 20), index, np.uint8))
    return folder


def test_pictures_come_in_natural_order_at_the_rate(tmp_path: Path) -> None:
    source = FolderSource(numbered(tmp_path), ManualClock(), paced=True, rate_hz=50)
    frames = list(source)
    assert [int(f.pixels[0, 0]) for f in frames] == list(range(12))
    assert [f.captured_ns // 1_000_000 for f in frames] == [20 * i for i in range(12)]
    assert frames[0].layout is Layout.GRAY
    assert (source.width, source.height, source.frames, source.rate_hz) == (20, 10, 12, 50)


def test_the_default_is_25_hz(tmp_path: Path) -> None:
    assert FolderSource(numbered(tmp_path, 1), ManualClock(), paced=False).rate_hz == 25


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    write_image(numbered(tmp_path) / "7.png", np.zeros((10, 21), np.uint8))
    with pytest.raises(DataError, match=r"7\.png: 21x10 px, but 0\.png is 20x10"):
        list(FolderSource(tmp_path, ManualClock(), paced=False))


@pytest.mark.parametrize("rate_hz", [0, -1, float("nan"), float("inf")])
def test_a_senseless_rate_is_refused(tmp_path: Path, rate_hz: float) -> None:
    with pytest.raises(ConfigError, match="positive number"):
        FolderSource(numbered(tmp_path, 1), ManualClock(), paced=False, rate_hz=rate_hz)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no pictures"):
        FolderSource(tmp_path, ManualClock(), paced=True)
