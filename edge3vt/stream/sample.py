"""A few thousand grey levels of a picture, from any layout: enough to tell one picture from the next, and cheap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from edge3vt.core.frame import Frame, Layout, Pixels, Region

ROWS = 40  # that are looked at
STEP_PX = 8  # neighbours in a row that make one level: their mean bears noise, and speckle still shows in it
LEAST_LIT = 0.05  # of the region: less is not told from black
SAME_SHARE = 0.01  # of what is lit may differ between pictures that are the same: a cursor over them
LIT = 12  # full-range grey levels above black
COLOUR = 60  # between the largest and the smallest of R, G and B; a tinted grey map stays far below
CHROMA = 24  # of U and V away from grey


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """inside: (h, w) uint8 levels of the region. around: (n,) uint8 levels outside.

    coloured: (h, w) uint8, not 0 where there is colour; None for a grey layout. lit_share: of the region.
    """

    inside: Pixels
    around: Pixels
    coloured: Pixels | None
    lit_share: float


def sample(frame: Frame) -> Sample:
    """The subsample of a frame. Its region decides what is inside."""
    height, width, bounds = frame.height, frame.width, frame.bounds
    step = max(height // ROWS, 1)
    columns = max(width // STEP_PX, 1)
    rows = np.s_[step // 2 :: step]
    levels, coloured = _thinned(_luma(frame, rows), columns), _coloured(frame, step, columns)
    box = _box(bounds, frame, levels.shape, step)
    part = np.s_[box.y0 : box.y1, box.x0 : box.x1]
    inside = np.ascontiguousarray(levels[part])
    around = np.concatenate(
        [
            levels[: box.y0].ravel(),
            levels[box.y1 :].ravel(),
            levels[box.y0 : box.y1, : box.x0].ravel(),
            levels[box.y0 : box.y1, box.x1 :].ravel(),
        ]
    )
    black = LIT if frame.full_range else 16 + LIT * 219 // 255
    lit = cv2.countNonZero(_above(inside, black)) / max(inside.size, 1)
    return Sample(inside, around, None if coloured is None else np.ascontiguousarray(coloured[part]), lit)


def changed_share(old: Pixels, new: Pixels, tolerance: int) -> float:
    """The share of levels that differ by more than ``tolerance``; 1 where the two have different sizes."""
    if old.shape != new.shape:
        return 1.0
    if not old.size:
        return 0.0
    return cv2.countNonZero(_above(cv2.absdiff(old, new), tolerance)) / old.size


def same(old: Sample, new: Sample, tolerance: int) -> bool:
    """Whether two samples are of one picture: hardly anything of what is lit in it differs."""
    lit = max(old.lit_share, new.lit_share, LEAST_LIT)
    return changed_share(old.inside, new.inside, tolerance) <= SAME_SHARE * lit


def coloured_share(old: Sample, new: Sample, tolerance: int) -> float:
    """The share of the region that is coloured and changing, as flow is and drawn marks are not."""
    if new.coloured is None or old.inside.shape != new.inside.shape or not cv2.countNonZero(new.coloured):
        return 0.0
    moving = _above(cv2.absdiff(old.inside, new.inside), tolerance)
    return cv2.countNonZero(cv2.bitwise_and(moving, new.coloured)) / new.inside.size


def _box(bounds: Region, frame: Frame, shape: tuple[int, ...], step: int) -> Region:
    """The region in samples: those whole inside, at least one each way; the whole picture has nothing around it."""
    rows, columns = shape
    wide = frame.width / columns
    x0, y0 = min(math.ceil(bounds.x0 / wide), columns - 1), min(max(math.ceil(bounds.y0 / step - 0.5), 0), rows - 1)
    x1 = columns if bounds.x1 >= frame.width else max(int(bounds.x1 / wide), x0 + 1)
    y1 = rows if bounds.y1 >= frame.height else max(math.ceil(bounds.y1 / step - 0.5), y0 + 1)
    return Region(x0, y0, x1, y1)


def _luma(frame: Frame, rows: slice) -> Pixels:
    """Luma of some rows; green, most of it, stands for that of RGB and BGR."""
    match frame.layout:
        case Layout.RGB | Layout.BGR:
            return _u8(cv2.extractChannel(frame.pixels[rows], 1))
        case Layout.YUYV:
            return _u8(cv2.extractChannel(frame.pixels[rows], 0))
        case _:
            return frame.luma[rows]


def _coloured(frame: Frame, step: int, columns: int) -> Pixels | None:
    """(rows, columns) not 0 where single pixels of the same grid are coloured; None for a layout without colour."""
    height, width, pixels = frame.height, frame.width, frame.pixels
    size = columns, len(range(step // 2, height, step))
    match frame.layout:
        case Layout.GRAY:
            return None
        case Layout.RGB | Layout.BGR:
            first, second, third = cv2.split(_points(pixels[step // 2 :: step], size))
            least, most = cv2.min(cv2.min(first, second), third), cv2.max(cv2.max(first, second), third)
            return _above(cv2.subtract(most, least), COLOUR)
        case Layout.YUYV:
            pairs = pixels[step // 2 :: step, : width // 2 * 2]
            _, u, _, v = cv2.split(_points(pairs.reshape(len(pairs), width // 2, 4), size))  # Y, U, Y, V
        case Layout.NV12:
            u, v = cv2.split(_points(pixels[height:].reshape(height // 2, width // 2, 2), size))
    grey = np.full(u.shape, 128, np.uint8)
    return _above(cv2.max(cv2.absdiff(u, grey), cv2.absdiff(v, grey)), CHROMA)


def _thinned(rows: Pixels, columns: int) -> Pixels:
    return _u8(cv2.resize(rows, (columns, rows.shape[0]), interpolation=cv2.INTER_AREA))


def _points(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    return _u8(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST))


def _above(levels: object, limit: int) -> Pixels:
    return _u8(cv2.threshold(_u8(levels), limit, 255, cv2.THRESH_BINARY)[1])


def _u8(values: object) -> Pixels:
    return np.asarray(values, dtype=np.uint8)
