"""The scanner: where its beams run, the conversion of their echoes to a picture, and the furniture around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from edge3vt.core.frame import Pixels, Region

Field = NDArray[np.float32]
DEPTHS, LINES = 384, 224


@dataclass(frozen=True, slots=True, eq=False)
class Scanner:
    """A convex probe's picture on a screen of ``width`` x ``height``.

    sample_mm: (2, DEPTHS, LINES) across and depth of each polar sample. pixel_mm: the same for the region's pixels,
    as two axes. imaged: (h, w) whether a pixel of the region is inside the sector.
    """

    width: int
    height: int
    region: Region
    mm_per_px: float
    depth_step_mm: float
    line_spacing_mm: Field
    sample_mm: Field
    pixel_mm: tuple[Field, Field]
    imaged: NDArray[np.bool_]
    conversion: sparse.csr_matrix
    furniture: Pixels

    def picture(self, polar: Field) -> Pixels:
        """(height, width) uint8 screen from a (DEPTHS, LINES) picture of 0..1."""
        screen = self.furniture.copy()
        inside = (self.conversion @ polar.ravel()).reshape(self.imaged.shape)
        values = np.minimum(inside * 255 + 0.5, 255).astype(np.uint8)
        r = self.region
        screen[r.y0 : r.y1, r.x0 : r.x1] = np.where(self.imaged, values, screen[r.y0 : r.y1, r.x0 : r.x1])
        return screen


def draw_scanner(
    rng: np.random.Generator, width: int, height: int, region_mm: tuple[float, float] = (60.0, 100.0)
) -> Scanner:
    """A screen whose region is ``region_mm`` (smallest, largest) wide, with the sector whole or zoomed into."""
    bare = width < 500  # small pictures are regions already cut out
    if bare:
        region = Region(0, 0, width, height)
    else:
        left, top = round(width * rng.uniform(0.05, 0.16)), round(height * rng.uniform(0.06, 0.13))
        region = Region(
            left, top, width - round(width * rng.uniform(0.03, 0.14)), height - round(height * rng.uniform(0.01, 0.06))
        )
    width_mm = float(rng.uniform(*region_mm))
    mm_per_px = width_mm / region.width
    height_mm = region.height * mm_per_px
    zoomed = bool(rng.uniform() < 0.5)
    top_mm = float(rng.uniform(15, 45)) if zoomed else 0.0
    curvature_mm = float(rng.uniform(38, 62))
    across = (np.arange(region.width, dtype=np.float32) + 0.5) * mm_per_px - width_mm / 2
    depth = (np.arange(region.height, dtype=np.float32) + 0.5) * mm_per_px + top_mm
    far = float(np.hypot(width_mm / 2, curvature_mm + top_mm + height_mm)) - curvature_mm
    deepest = far if zoomed else top_mm + height_mm * float(rng.uniform(0.97, 1.0))
    widest = float(np.arctan2(width_mm / 2, curvature_mm + top_mm + height_mm * 0.15))
    half_angle = (
        widest * 1.25 if zoomed else float(np.arcsin(min(width_mm / 2 / (curvature_mm + deepest * 0.85), 0.95)))
    )
    radius = np.hypot(across[None, :], depth[:, None] + curvature_mm) - curvature_mm
    angle = np.arctan2(across[None, :], depth[:, None] + curvature_mm)
    start = max(float(radius.min()), 0.0)
    step = (deepest - start) / (DEPTHS - 1)
    u, v = (radius - start) / step, (angle / half_angle + 1) * (LINES - 1) / 2
    imaged = (u >= 0) & (u <= DEPTHS - 1.001) & (v >= 0) & (v <= LINES - 1.001)
    depths = start + np.arange(DEPTHS, dtype=np.float32) * np.float32(step)
    angles = np.linspace(-half_angle, half_angle, LINES, dtype=np.float32)
    arm = depths[:, None] + np.float32(curvature_mm)
    samples = np.stack([arm * np.sin(angles), arm * np.cos(angles) - np.float32(curvature_mm) - np.float32(top_mm)])
    return Scanner(
        width=width,
        height=height,
        region=region,
        mm_per_px=mm_per_px,
        depth_step_mm=step,
        line_spacing_mm=((depths + curvature_mm) * (2 * half_angle / (LINES - 1))).astype(np.float32),
        sample_mm=samples.astype(np.float32),
        pixel_mm=(across, depth - np.float32(top_mm)),
        imaged=imaged,
        conversion=_bilinear(u, v, imaged),
        furniture=np.zeros((height, width), np.uint8) if bare else _furniture(rng, width, height, region),
    )


def _bilinear(u: Field, v: Field, imaged: NDArray[np.bool_]) -> sparse.csr_matrix:
    """(pixels, samples) matrix: each imaged pixel from its four polar neighbours."""
    rows = np.flatnonzero(imaged)
    ui, vi = u.ravel()[rows], v.ravel()[rows]
    i, j = ui.astype(np.int32), vi.astype(np.int32)
    fu, fv = (ui - i).astype(np.float32), (vi - j).astype(np.float32)
    columns = np.stack([i * LINES + j, i * LINES + j + 1, (i + 1) * LINES + j, (i + 1) * LINES + j + 1], axis=1)
    weights = np.stack([(1 - fu) * (1 - fv), (1 - fu) * fv, fu * (1 - fv), fu * fv], axis=1)
    counts = np.zeros(imaged.size + 1, dtype=np.int32)
    counts[rows + 1] = 4
    return sparse.csr_matrix(
        (weights.ravel(), columns.ravel(), np.cumsum(counts)), shape=(imaged.size, DEPTHS * LINES), dtype=np.float32
    )


def _furniture(rng: np.random.Generator, width: int, height: int, region: Region) -> Pixels:
    """A dark screen with a grey bar, depth marks and blocks of lettering; nothing of it inside the region."""
    screen = np.zeros((height, width), dtype=np.uint8)
    bar = min(max(region.x0 // 4, 4), 14)
    ramp = np.linspace(235, 10, height // 3).astype(np.uint8)
    screen[region.y0 : region.y0 + len(ramp), 3 : 3 + bar] = ramp[:, None]
    for y in np.linspace(region.y0, region.y1 - 2, int(rng.integers(6, 12))).astype(int):
        screen[y : y + 2, max(region.x0 - 8, 0) : max(region.x0 - 3, 0)] = 190
    for _ in range(int(rng.integers(4, 9))):
        letters, tall = int(rng.integers(5, 16)), int(rng.integers(8, 15))
        wide = letters * tall * 2 // 3
        x, y = int(rng.integers(2, max(width - wide - 2, 3))), int(rng.integers(2, max(region.y0 - tall, 3)))
        strokes = ndimage.zoom(
            (rng.uniform(size=(5, letters * 3)) > 0.5).astype(np.float32), (tall / 5, tall * 2 / 9), order=0
        )
        block = screen[y : min(y + tall, region.y0), x : x + wide]
        cut = strokes[: block.shape[0], : block.shape[1]] * int(rng.integers(120, 230))
        block[: cut.shape[0], : cut.shape[1]] = cut.astype(np.uint8)
    return screen
