"""A frame of ultrasound video, the region that holds the picture, and the square that the network looks at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
CropMode = Literal["acquire", "track"]


class Layout(Enum):
    """How ``Frame.pixels`` is laid out."""

    GRAY = "gray"  # (H, W)
    RGB = "rgb"  # (H, W, 3)
    BGR = "bgr"  # (H, W, 3)
    YUYV = "yuyv"  # (H, W, 2), Y in channel 0
    NV12 = "nv12"  # (H * 3 / 2, W), Y in the first H rows


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a picture in pixels, half-open: columns x0 <= x < x1, rows y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    def clipped(self, width: int, height: int) -> Region:
        """This region's part inside a picture of ``width`` x ``height``; may be empty."""
        x0, y0 = min(max(self.x0, 0), width), min(max(self.y0, 0), height)
        return Region(x0, y0, min(max(self.x1, x0), width), min(max(self.y1, y0), height))


@dataclass(frozen=True, slots=True)
class Crop:
    """A square of the frame, ``side`` px wide with its corner at (x, y), seen by the network at ``size`` px.

    The square may hang over the frame's edge; what lies outside is black to the network.
    """

    x: int
    y: int
    side: int
    size: int
    mode: CropMode = "acquire"

    @property
    def region(self) -> Region:
        return Region(self.x, self.y, self.x + self.side, self.y + self.side)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source. ``pixels`` is read-only uint8 and belongs to whoever made the frame.

    captured_ns: when it was captured, on the one monotonic clock.
    full_range: luma runs 0-255 (else 16-235).
    epoch: changes with source, format or model; masks never cross it.
    region: where the ultrasound picture is, without the scanner's furniture; None means everywhere.
    mm_per_px: edge of a (square) pixel, None where unknown.
    repeat_of: index of the frame whose picture this one repeats.
    """

    index: int
    captured_ns: int
    pixels: Pixels
    layout: Layout = Layout.GRAY
    full_range: bool = True
    epoch: int = 0
    region: Region | None = None
    mm_per_px: float | None = None
    repeat_of: int | None = None

    def __post_init__(self) -> None:
        expected_ndim, channels = {
            Layout.GRAY: (2, None),
            Layout.NV12: (2, None),
            Layout.YUYV: (3, 2),
            Layout.RGB: (3, 3),
            Layout.BGR: (3, 3),
        }[self.layout]
        shape = self.pixels.shape
        if (
            self.pixels.dtype != np.uint8
            or len(shape) != expected_ndim
            or (channels is not None and shape[2] != channels)
            or (self.layout is Layout.NV12 and shape[0] % 3 != 0)
        ):
            raise ValueError(f"frame {self.index}: {self.layout.name} pixels cannot be {self.pixels.dtype} {shape}")

    @property
    def height(self) -> int:
        rows: int = self.pixels.shape[0]
        return rows * 2 // 3 if self.layout is Layout.NV12 else rows

    @property
    def width(self) -> int:
        columns: int = self.pixels.shape[1]
        return columns

    @property
    def bounds(self) -> Region:
        """The region of interest, clipped to the picture; the whole picture where none is known."""
        whole = Region(0, 0, self.width, self.height)
        return whole if self.region is None else self.region.clipped(self.width, self.height)

    @property
    def luma(self) -> Pixels:
        """(H, W) uint8 luma as the source has it: a view, except for RGB and BGR, where it is computed (BT.601)."""
        match self.layout:
            case Layout.GRAY:
                return self.pixels
            case Layout.NV12:
                return self.pixels[: self.height]
            case Layout.YUYV:
                return self.pixels[..., 0]
            case _:
                weights = np.array([9798, 19235, 3735], dtype=np.uint32)  # BT.601 in 15 bits, as OpenCV rounds it
                if self.layout is Layout.BGR:
                    weights = weights[::-1]
                return ((self.pixels @ weights + 16384) >> 15).astype(np.uint8)
