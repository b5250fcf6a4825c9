"""The square that the network looks at: where it lies, and how its pixels are made. The same for every stage."""

from __future__ import annotations

import threading

import cv2
import numpy as np

from edge3vt.core.frame import Crop, Frame, Layout, Pixels, Region
from edge3vt.core.segmentation import Mask
from edge3vt.picture.colour import FULL_RANGE

TRACK_MM = 45.0  # a side of the square that is looked closer at; less shows too little of the chest to tell a vessel
TRACK_MARGIN = 1.1  # but no less than this many times what was found
TRACK_MULTIPLE = 1.6  # times what was found, where the scale is unknown
SCRATCH_SIZES = 8  # of squares that a thread keeps: a network has two or three
TRACK_CLOSEST = 3  # and then no less than this part of the acquire square: a speck is no reason to go nearer


def acquire(frame: Frame, size: int) -> Crop:
    """The smallest square that covers the frame's region of interest, centred on it; it may hang over the picture."""
    return _around(frame.bounds, size)


def track(mask: Mask, crop: Crop, bounds: Region, size: int, mm_per_px: float | None) -> Crop | None:
    """The square of a frame to look closer at, by what ``mask``, on the grid of ``crop``, found; None for nothing.

    It is centred on the largest piece of each structure, so that a stray speck moves nothing, and lies within the
    acquire square of ``bounds``, the frame's region of interest. mm_per_px: of the frame, None where unknown.
    """
    found = _box(mask)
    if found is None:
        return None
    largest, pixels_each = _around(bounds, size), crop.side / crop.size
    box = max(found.width, found.height) * pixels_each
    if mm_per_px:
        wanted = max(TRACK_MM / mm_per_px, TRACK_MARGIN * box)
    else:
        wanted = max(TRACK_MULTIPLE * box, largest.side / TRACK_CLOSEST)
    side = min(max(round(wanted), 1), largest.side)
    middle = (crop.x + (found.x0 + found.x1) / 2 * pixels_each, crop.y + (found.y0 + found.y1) / 2 * pixels_each)
    x, y = (
        min(max(round(centre - side / 2), corner), corner + largest.side - side)
        for centre, corner in zip(middle, (largest.x, largest.y), strict=True)
    )
    return Crop(x, y, side, size, "track")


def cut(frame: Frame, crop: Crop, out: Pixels) -> None:
    """Fill ``out`` (size, size) with the crop's full-range luma; what lies outside ``frame.bounds`` is 0."""
    if out.shape != (crop.size, crop.size):
        raise ValueError(f"the crop is {crop.size} px, its buffer {out.shape}")
    x0, y0 = max(crop.x, frame.bounds.x0), max(crop.y, frame.bounds.y0)
    inside = Region(x0, y0, min(crop.region.x1, frame.bounds.x1), min(crop.region.y1, frame.bounds.y1))
    if inside.width <= 0 or inside.height <= 0:
        out.fill(0)
        return
    square = _luma(frame, inside)
    if square.shape != (crop.side, crop.side):
        square = _SCRATCH.padded(square, crop.side, x0 - crop.x, y0 - crop.y)
    _resize(square, out)
    if not frame.full_range:
        cv2.LUT(out, FULL_RANGE, dst=out)


def _around(bounds: Region, size: int) -> Crop:
    side = max(bounds.width, bounds.height, 1)
    return Crop(bounds.x0 - (side - bounds.width) // 2, bounds.y0 - (side - bounds.height) // 2, side, size)


def _box(mask: Mask) -> Region | None:
    """The rectangle around the largest connected piece of each class but the background, in pixels of the mask."""
    left, top, width, height = cv2.boundingRect(mask)
    part = mask[top : top + height, left : left + width]
    boxes = []
    for label in range(1, int(part.max(initial=0)) + 1):
        count, _, pieces, _ = cv2.connectedComponentsWithStats(cv2.inRange(part, label, label), connectivity=8)
        if count > 1:  # piece 0 is what is not the class
            x, y, w, h, _ = max(pieces[1:].tolist(), key=lambda piece: piece[cv2.CC_STAT_AREA])
            boxes.append((left + x, top + y, left + x + w, top + y + h))
    if not boxes:
        return None
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return Region(min(x0), min(y0), max(x1), max(y1))


def _luma(frame: Frame, region: Region) -> Pixels:
    """Luma of a part of the frame: a view, except for RGB and BGR."""
    part = (slice(region.y0, region.y1), slice(region.x0, region.x1))
    match frame.layout:
        case Layout.RGB:
            return np.asarray(cv2.cvtColor(frame.pixels[part], cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        case Layout.BGR:
            return np.asarray(cv2.cvtColor(frame.pixels[part], cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        case Layout.YUYV:
            return np.ascontiguousarray(frame.pixels[..., 0][part])
        case _:
            return frame.luma[part]


def _resize(square: Pixels, out: Pixels) -> None:
    """Resample into ``out``.

    Enlarging is bilinear. Shrinking is bilinear to the size times two (four, eight, ...), then halving by the mean
    of 2 x 2 pixels: within 0.2 grey levels of INTER_AREA on average, at a third of its time.
    """
    side, size = square.shape[0], out.shape[0]
    if side > size:
        larger = 2 * size
        while side > 1.5 * larger:
            larger *= 2
        if side != larger:
            square = _into(square, _SCRATCH.square(larger), cv2.INTER_LINEAR)
        while larger > 2 * size:
            larger //= 2
            square = _into(square, _SCRATCH.square(larger), cv2.INTER_AREA)
        cv2.resize(square, (size, size), dst=out, interpolation=cv2.INTER_AREA)
    elif side < size:
        cv2.resize(square, (size, size), dst=out, interpolation=cv2.INTER_LINEAR)
    else:
        np.copyto(out, square)


def _into(square: Pixels, out: Pixels, interpolation: int) -> Pixels:
    cv2.resize(square, out.shape, dst=out, interpolation=interpolation)
    return out


class _Scratch(threading.local):
    """A thread's own buffers: memory that the system has to find, and to clear, costs as much as the resizing."""

    def __init__(self) -> None:
        self._squares: dict[int, Pixels] = {}
        self._padded: Pixels = np.zeros((0, 0), np.uint8)
        self._drawn: tuple[int, ...] = ()

    def square(self, side: int) -> Pixels:
        """(side, side), whatever it holds."""
        if side not in self._squares:
            if len(self._squares) == SCRATCH_SIZES:
                self._squares.clear()
            self._squares[side] = np.empty((side, side), np.uint8)
        return self._squares[side]

    def padded(self, part: Pixels, side: int, x: int, y: int) -> Pixels:
        """(side, side) with ``part`` at (x, y) and 0 around it; valid until the next one is asked for."""
        height, width = part.shape
        if len(self._padded) != side:
            self._padded, self._drawn = np.zeros((side, side), np.uint8), (x, y, width, height)
        elif self._drawn != (x, y, width, height):
            self._padded.fill(0)
            self._drawn = (x, y, width, height)
        self._padded[y : y + height, x : x + width] = part
        return self._padded


_SCRATCH = _Scratch()
