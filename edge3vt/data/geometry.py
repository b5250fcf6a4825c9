"""Where a changed picture is sampled in its source: a square of it, turned, mirrored, in a bent sector.

Positions are continuous pixels: a pixel's centre is at its index + 0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask

NODE_PX = 8
"""Smooth maps and fields are computed at every 8th pixel of the result and interpolated between."""
Field = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where in the source each position of the result is sampled: a square of it, turned, in a changed sector.

    centre: of the square, on the sector as changed. side: of the square in source px. mirrored: before the turn,
    which is in rad. apex: x, y where the sector's lines meet; pivot: distance from it that stays in place.
    """

    size: int
    centre: tuple[float, float]
    side: float
    turn: float = 0.0
    mirrored: bool = False
    apex: tuple[float, float] = (0.0, 0.0)
    pivot: float = 0.0
    opening: float = 1.0
    depth: float = 1.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 3): positions of the result to the changed sector."""
        scale = self.side / self.size
        c, s, hand = math.cos(self.turn) * scale, math.sin(self.turn) * scale, -1 if self.mirrored else 1
        linear = np.array([[c * hand, -s], [s * hand, c]])
        offset = np.array(self.centre) - linear @ np.full(2, self.size / 2)
        return np.column_stack((linear, offset))

    @property
    def affine(self) -> bool:
        """Whether the sector is left as it is."""
        return self.opening == 1 and self.depth == 1

    def to_source(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Positions of the result to positions of the source."""
        (a, b, c), (d, e, f) = self.matrix.astype(np.float32)
        x, y = a * x + b * y + c, d * x + e * y + f
        return (x, y) if self.affine else self._bent(x, y, 1 / self.opening, self.depth)

    def _bent(self, x: Field, y: Field, angle_factor: float, depth_factor: float) -> tuple[Field, Field]:
        across, down = x - np.float32(self.apex[0]), y - np.float32(self.apex[1])
        reach = np.float32(self.pivot) + (np.hypot(across, down) - np.float32(self.pivot)) * np.float32(depth_factor)
        angle = np.arctan2(across, down) * np.float32(angle_factor)
        return reach * np.sin(angle) + np.float32(self.apex[0]), reach * np.cos(angle) + np.float32(self.apex[1])

    def on_sector(self, x: float, y: float) -> tuple[float, float]:
        """A position of the source to where the changed sector shows it."""
        if self.affine:
            return x, y
        moved = self._bent(np.array([x], np.float32), np.array([y], np.float32), self.opening, 1 / self.depth)
        return float(moved[0][0]), float(moved[1][0])

    def polar(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Angle (rad) and distance (source px) from the apex, of positions of the result."""
        at_x, at_y = self.to_source(x, y)
        across, down = at_x - np.float32(self.apex[0]), at_y - np.float32(self.apex[1])
        return np.arctan2(across, down), np.hypot(across, down)


def whole(height: int, width: int, size: int) -> Geometry:
    """The smallest square that covers a picture, as the network sees it in acquire."""
    return Geometry(size, (width / 2, height / 2), max(height, width))


def sampled(pixels: Pixels, mask: Mask, geometry: Geometry) -> tuple[Pixels, Mask]:
    """Picture and mask through ``geometry``; what lies outside the source is 0.

    The picture is bilinear where it grows, and the mean of 2 x 2 (4 x 4, ...) bilinear samples where it shrinks, as
    ``picture.crop.cut`` does it; the mask is nearest.
    """
    if pixels.shape != mask.shape:
        raise ValueError(f"the picture is {pixels.shape}, its mask {mask.shape}")
    fine, shrink = 1, geometry.side / geometry.size
    while shrink > 1.001 * fine and (fine == 1 or shrink > 1.5 * fine):
        fine *= 2
    picture = _warped(pixels, geometry, fine, cv2.INTER_LINEAR)
    while fine > 1:
        fine //= 2
        side = geometry.size * fine
        picture = np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return picture, _warped(mask, geometry, 1, cv2.INTER_NEAREST)


def _warped(source: Pixels, geometry: Geometry, fine: int, interpolation: int) -> Pixels:
    """The source at (size * fine) px a side."""
    side = geometry.size * fine
    if geometry.affine:
        matrix = geometry.matrix
        matrix[:, :2] /= fine
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # positions to OpenCV's indices, on both sides
        flags = interpolation | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(source, matrix, (side, side), flags=flags), dtype=np.uint8)
    at_x, at_y = geometry.to_source(*nodes(geometry.size))
    x, y = (spread(at - np.float32(0.5), side, NODE_PX * fine) for at in (at_x, at_y))
    return np.asarray(cv2.remap(source, x, y, interpolation, borderMode=cv2.BORDER_CONSTANT), dtype=np.uint8)


def nodes(size: int) -> tuple[Field, Field]:
    """Positions in the result of the nodes, which begin half a step outside it: x (1, n) and y (n, 1)."""
    along = (np.arange(-(-size // NODE_PX) + 2, dtype=np.float32) - np.float32(0.5)) * NODE_PX
    return along[None, :], along[:, None]


def spread(at_nodes: Field, side: int, step: int) -> Field:
    """Values at the nodes to (side, side) pixels, bilinear; nodes are ``step`` pixels apart."""
    full = len(at_nodes) * step
    spread = np.asarray(cv2.resize(at_nodes, (full, full), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    return spread[step : step + side, step : step + side]
