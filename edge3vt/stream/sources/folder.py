"""A folder of numbered pictures as a source."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from edge3vt.core.clock import Clock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Layout, Region
from edge3vt.picture.clip import Picture, steady_times_ns
from edge3vt.picture.images import pictures_in, read_image
from edge3vt.stream.sources.pace import Replay

RATE_HZ = 25.0


class FolderSource(Replay):
    """The PNG and JPEG files of a folder in natural order, ``rate_hz`` of them a second.

    Raises ConfigError for a rate that is not positive, DataError for a folder without pictures or, at the picture in
    question, for one that differs in size from the first.
    """

    def __init__(self, path: Path, clock: Clock, *, paced: bool, rate_hz: float = RATE_HZ) -> None:
        if not 0 < rate_hz < math.inf:
            raise ConfigError(f"{path}: a rate of {rate_hz} Hz, expected a positive number of pictures a second")
        super().__init__(_FolderClip(path, rate_hz), clock, paced=paced)


class _FolderClip:
    notes: tuple[str, ...] = ()
    region: Region | None = None
    mm_per_px: float | None = None

    def __init__(self, folder: Path, rate_hz: float) -> None:
        self.name, self.rate_hz = folder.name, rate_hz
        self._paths = pictures_in(folder)
        self.frames = len(self._paths)
        self.height, self.width = read_image(self._paths[0]).shape[:2]

    def pictures(self) -> Iterator[Picture]:
        for path, time_ns in zip(self._paths, steady_times_ns(self.frames, self.rate_hz), strict=True):
            pixels = read_image(path)
            if pixels.shape[:2] != (self.height, self.width):
                raise DataError(
                    f"{path}: {pixels.shape[1]}x{pixels.shape[0]} px, but {self._paths[0].name} is "
                    f"{self.width}x{self.height}; a folder holds pictures of one size"
                )
            yield Picture(time_ns, pixels, Layout.GRAY if pixels.ndim == 2 else Layout.RGB)
