"""Buffers as devices and networks give them: checked, shaped into a picture's layout, or counted as corrupt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Layout, Pixels, Region

BYTES_PER_PX = {Layout.GRAY: 1, Layout.RGB: 3, Layout.BGR: 3, Layout.YUYV: 2, Layout.NV12: 1}
"""Of a row of luma; NV12's rows of chroma are as long."""


class CorruptError(DataError):
    """A picture that cannot be what its source says it is. It is dropped and counted; the message is the reason."""


class Tally:
    """Counts of what a source dropped, by reason. watch: called with each reason as it is counted."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.watch: Callable[[str], None] = lambda reason: None

    def add(self, reason: str) -> None:
        self.counts[reason] += 1
        self.watch(reason)

    @property
    def total(self) -> int:
        return self.counts.total()


def shaped(data: bytes | memoryview | Pixels, layout: Layout, width: int, height: int, stride: int = 0) -> Pixels:
    """A copy of the buffer as read-only pixels of ``layout``. stride: bytes from row to row, 0 for no gap.

    What follows the picture (padding of the device) is left out. Raises CorruptError for too few bytes, or a stride or
    sides that cannot be.
    """
    if odd := odd_sides(layout, width, height):
        raise CorruptError(odd)
    row = width * BYTES_PER_PX[layout]
    rows = height * 3 // 2 if layout is Layout.NV12 else height
    stride = stride or row
    if stride < row:
        raise CorruptError(f"stride of {stride} bytes for rows of {row}")
    raw = np.frombuffer(data, np.uint8)
    needed = stride * (rows - 1) + row
    if raw.size < needed:
        raise CorruptError("picture too short")
    padded = np.lib.stride_tricks.as_strided(raw, (rows, row), (stride, 1))
    pixels = padded.copy().reshape((rows, width) if BYTES_PER_PX[layout] == 1 else (rows, width, -1))
    pixels.flags.writeable = False
    return pixels


def odd_sides(layout: Layout, width: int, height: int) -> str:
    """Why pictures of this size cannot have this layout, whose chroma is of two columns, or two rows; else empty."""
    halved = {Layout.YUYV: width % 2, Layout.NV12: width % 2 or height % 2}.get(layout, 0)
    return f"{width}x{height} px as {layout.name}, which has even sides" if halved else ""


def checked_region(region: Region | None, width: int, height: int, where: str) -> Region | None:
    """``region`` if it lies in the picture; raises ConfigError otherwise."""
    if region is None or (0 <= region.x0 < region.x1 <= width and 0 <= region.y0 < region.y1 <= height):
        return region
    raise ConfigError(
        f"{where}: the region {region.x0},{region.y0},{region.x1},{region.y1} is not inside the picture of "
        f"{width}x{height} px; expected x0,y0,x1,y1 with 0 <= x0 < x1 <= {width} and 0 <= y0 < y1 <= {height}"
    )
