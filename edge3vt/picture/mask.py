"""Masks from logits: bilinear upsampling and argmax, computed only where the answer is not plain."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.errors import EngineError
from edge3vt.core.frame import Crop
from edge3vt.core.segmentation import Mask
from edge3vt.core.session import Logits

Indices = NDArray[np.intp]


def make_mask(logits: Logits, scale: int) -> tuple[Mask, tuple[float, ...]]:
    """(1, C, h, w) logits to the (h * scale, w * scale) class indices and a score per class.

    The mask is the argmax of the bilinearly upsampled logits (half-pixel centres, edges clamped). A cell between
    four logits of one class needs no interpolation: the class that wins at all corners wins between them. A score is
    the mean softmax probability where the class wins, 0.0 where it wins nowhere. Raises EngineError when not finite.
    """
    planes = logits[0]
    if not np.isfinite(planes).all():
        raise EngineError(f"the engine gave {np.sum(~np.isfinite(planes))} logits that are not finite; verify it")
    labels, best = _argmax(planes)
    scores = _scores(planes, labels, best)
    return (labels if scale == 1 else _upsampled(planes, labels, scale)), scores


def place(mask: Mask, crop: Crop, shape: tuple[int, int]) -> Mask:
    """The mask on the pixels of a (H, W) frame, by nearest neighbour; 0 outside the crop."""
    placed = np.zeros(shape, dtype=np.uint8)
    (y0, rows), (x0, columns) = (
        _covered(start, crop, len(mask), end) for start, end in zip((crop.y, crop.x), shape, strict=True)
    )
    placed[y0 : y0 + len(rows), x0 : x0 + len(columns)] = mask[rows[:, None], columns]
    return placed


def areas_and_centres(mask: Mask, labels: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels of each class, (n,), and their mean position, (n, 2) x, y; the position of nothing is (0, 0)."""
    x, y, width, height = cv2.boundingRect(mask)
    part = mask[y : y + height, x : x + width]
    sums = [cv2.moments(cv2.inRange(part, int(label), int(label)), binaryImage=True) for label in labels if part.size]
    raw = np.array([(s["m00"], s["m10"], s["m01"]) for s in sums] or [(0.0, 0.0, 0.0)] * len(labels))
    areas = raw[:, 0]
    centres = raw[:, 1:] / np.maximum(areas, 1)[:, None] + (areas > 0)[:, None] * np.array((x, y))
    return areas, centres


def _covered(start: int, crop: Crop, size: int, end: int) -> tuple[int, Indices]:
    """Along one axis: the first frame pixel under the crop, and the mask index of each one from there on."""
    first = min(max(start, 0), end)
    pixels = np.arange(first, min(max(start + crop.side, first), end))
    return first, ((pixels - start) * 2 + 1) * size // (2 * crop.side)


def _argmax(planes: NDArray[np.float32]) -> tuple[Mask, NDArray[np.float32]]:
    """Winning class and its value over the first axis: a running maximum, several times faster than np.argmax."""
    labels = np.zeros(planes.shape[1:], dtype=np.uint8)
    best = planes[0].copy()
    for index, plane in enumerate(planes[1:], start=1):
        np.copyto(labels, np.uint8(index), where=plane > best)
        np.maximum(best, plane, out=best)
    return labels, best


def _scores(planes: NDArray[np.float32], labels: Mask, best: NDArray[np.float32]) -> tuple[float, ...]:
    beside = np.subtract(planes, best, order="C").reshape(len(planes), -1)  # logits may lie channels last
    probability = 1 / cv2.exp(beside, dst=beside).sum(axis=0)
    winners = labels.ravel().astype(np.intp)  # as bincount would do, twice
    wins = np.bincount(winners, minlength=len(planes))
    sums = np.bincount(winners, weights=probability, minlength=len(planes))
    return tuple((sums / np.maximum(wins, 1)).tolist())


def _upsampled(planes: NDArray[np.float32], labels: Mask, scale: int) -> Mask:
    classes, height, width = planes.shape
    # Cell (r, c) lies between logits r - 1, r and c - 1, c, clamped: (height + 1, width + 1) cells, each
    # ``scale`` pixels wide, of which the outermost are cut.
    edged = np.asarray(cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_REPLICATE), dtype=np.uint8)
    cells = edged[:-1, :-1]
    mixed = (cells != edged[:-1, 1:]) | (cells != edged[1:, :-1]) | (cells != edged[1:, 1:])
    found = np.flatnonzero(mixed)
    rows, columns = np.divmod(found, width + 1)
    corners = _corners(height, width).take(found, axis=1)
    values = _weights(scale) @ planes.reshape(classes, -1).take(corners, axis=1)  # (C, scale², cells)
    inside, _ = _argmax(values)

    full = cv2.resize(cells, ((width + 1) * scale, (height + 1) * scale), interpolation=cv2.INTER_NEAREST)
    blocks = full.reshape(height + 1, scale, width + 1, scale)
    blocks[rows, :, columns, :] = inside.T.reshape(-1, scale, scale)
    first = scale - scale // 2
    return np.ascontiguousarray(
        cast(Mask, full)[first : first + height * scale, first : first + width * scale], dtype=np.uint8
    )


@lru_cache(maxsize=8)
def _corners(height: int, width: int) -> Indices:
    """(4, (height + 1) * (width + 1)): where the four logits of each cell lie among height * width, clamped."""
    rows, columns = np.divmod(np.arange((height + 1) * (width + 1)), width + 1)
    above, below = np.maximum(rows - 1, 0) * width, np.minimum(rows, height - 1) * width
    left, right = np.maximum(columns - 1, 0), np.minimum(columns, width - 1)
    return np.stack((above + left, above + right, below + left, below + right))


@cache
def _weights(scale: int) -> NDArray[np.float32]:
    """(scale², 4) bilinear weights of a cell's corners at each pixel inside it."""
    toward = (scale // 2 + np.arange(scale) + 0.5) / scale - 0.5
    pairs = np.stack([1 - toward, toward], axis=1)
    weights: NDArray[np.float32] = np.einsum("ia,jb->ijab", pairs, pairs).reshape(-1, 4).astype(np.float32)
    return weights
