"""What every recorded clip is, whatever file it came from: a size, a rate, and pictures decoded one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Layout, Pixels, Region

MAX_SIDE_PX = 8192
DEFAULT_RATE_HZ = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded picture. time_ns: when it is due, from the clip's start. The rest as in Frame.

    region, mm_per_px: where they differ from the clip's.
    """

    time_ns: int
    pixels: Pixels
    layout: Layout
    full_range: bool = True
    epoch: int = 0
    region: Region | None = None
    mm_per_px: float | None = None


class Clip(Protocol):
    """A clip that was opened and found sound. notes: what had to be assumed, one line each."""

    @property
    def name(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def rate_hz(self) -> float: ...
    @property
    def frames(self) -> int: ...
    @property
    def region(self) -> Region | None: ...
    @property
    def mm_per_px(self) -> float | None: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def pictures(self) -> Iterator[Picture]:
        """Every picture in order, from the start at each call; times increase. Raises DataError for damage."""
        ...


def file_size(path: Path) -> int:
    """Bytes of a file that is there and holds something; else DataError."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    if path.is_dir():
        raise DataError(f"{path}: is a folder, expected a file; write {path}/ for a folder of pictures")
    if size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes); copy it again")
    return size


def check_size(width: int, height: int, where: str) -> None:
    """Refuse a picture that no ultrasound machine makes, before memory is spent on it."""
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
        raise DataError(f"{where}: claims {width}x{height} px, expected at most {MAX_SIDE_PX} a side; convert it first")


def steady_times_ns(frames: int, rate_hz: float) -> tuple[int, ...]:
    """Due times of ``frames`` pictures at a constant rate."""
    return tuple(math.floor(i * NS_PER_S / rate_hz) for i in range(frames))
