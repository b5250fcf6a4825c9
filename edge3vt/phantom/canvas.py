"""A tissue map in the making: shapes in millimetres, filled one over the other.

Scattering is an amplitude relative to soft tissue; levels in dB are our own choice, set by eye against fetal
cardiac pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from edge3vt.phantom.texture import Field, smooth, uneven

CELL_MM = 0.25
HALF_MM = 72.0
CELLS = round(2 * HALF_MM / CELL_MM)
Path = NDArray[np.float64]  # (N, 2) mm
Window = tuple[slice, slice]

TISSUE_DB_PER_MM = 0.08  # two-way; by eye: scanners even out most of what 0.5 dB/cm/MHz would make of it
FLUID_DB, BLOOD_DB, BONE_DB = -46.0, -34.0, 15.0
BONE_DB_PER_MM = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class TissueMap:
    """A square of the plane, CELLS x CELLS of CELL_MM, row 0 at +y.

    amplitude: of the scatterers. level: the same in dB without texture: where it jumps, there is an interface.
    absorption: dB per mm, two-way.
    """

    amplitude: Field
    level: Field
    absorption: Field


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A part of the plane: ``field`` is a distance in mm to its outline over the cells of ``window``, < 0 inside."""

    window: Window
    field: Field


WHOLE: Window = (slice(0, CELLS), slice(0, CELLS))
_AXIS = ((np.arange(CELLS) + 0.5) * CELL_MM - HALF_MM).astype(np.float32)
X, Y = _AXIS[None, :], _AXIS[::-1, None]


class Canvas:
    """Fill shapes, then ``finish``."""

    def __init__(self, rng: np.random.Generator, level_db: float) -> None:
        self.level = np.full((CELLS, CELLS), level_db, dtype=np.float32)
        self.absorption = np.full((CELLS, CELLS), TISSUE_DB_PER_MM, dtype=np.float32)
        self.rng = rng

    def copy(self) -> Canvas:
        other = Canvas.__new__(Canvas)
        other.level, other.absorption = self.level.copy(), self.absorption.copy()
        other.rng = self.rng
        return other

    def fill(
        self,
        shape: Shape,
        db: float,
        absorption: float | None = None,
        *,
        within: Shape | None = None,
    ) -> None:
        """Give the inside of ``shape``, and of ``within`` (a shape over the whole plane), a level."""
        inside = shape.field < 0
        if within is not None:
            inside &= within.field[shape.window] < 0
        self.level[shape.window][inside] = db
        if absorption is not None:
            self.absorption[shape.window][inside] = absorption

    def rim(self, shape: Shape, db: float, thick_mm: float, within: Shape | None = None) -> None:
        """Lift a band of ``thick_mm`` just outside the outline to at least ``db``."""
        band = (shape.field >= 0) & (shape.field < thick_mm)
        if within is not None:
            band &= within.field[shape.window] < 0
        part = self.level[shape.window]
        part[band] = np.maximum(part[band], db)

    def warp(self, reach_mm: float) -> None:
        """Bend all that is drawn so far by a smooth displacement of ``reach_mm`` standard deviation."""
        scale = np.float32(reach_mm / CELL_MM)
        axis = np.arange(CELLS, dtype=np.float32)
        columns = axis[None, :] + scale * smooth(self.rng, CELLS, 2)
        rows = axis[:, None] + scale * smooth(self.rng, CELLS, 2)
        cells = np.clip(columns, 0, CELLS - 1).astype(np.int32)
        cells += np.clip(rows, 0, CELLS - 1).astype(np.int32) * np.int32(CELLS)
        self.level, self.absorption = self.level.ravel()[cells], self.absorption.ravel()[cells]

    def finish(self, texture: Field, blur_mm: float) -> TissueMap:
        """The map. texture: (CELLS, CELLS) dB on all that is solid.

        blur_mm: how far what lies before and behind the plane spreads in it (standard deviation): a slice is
        millimetres thick, and cuts most outlines at a slant.
        """
        db = self.level + np.where(self.level > -22, texture, 0)
        amplitude: Field = np.exp(db * np.float32(np.log(10) / 20))
        sigma = blur_mm / CELL_MM
        amplitude, level = (ndimage.gaussian_filter(f, sigma, truncate=3.0) for f in (amplitude, self.level))
        return TissueMap(amplitude, level, self.absorption)


def draw_texture(rng: np.random.Generator) -> Field:
    """Unevenness of solid tissue in dB."""
    spread = (float(rng.uniform(0.5, 2.8)), float(rng.uniform(1.0, 4.5)), float(rng.uniform(1.5, 5.5)))
    return uneven(rng, CELLS, spread)


def draw_blur_mm(rng: np.random.Generator) -> float:
    """A slice's blur; our own choice."""
    return float(rng.uniform(0.1, 0.45))


def ellipse(at: tuple[float, float], half_mm: tuple[float, float], angle: float = 0.0, *, reach: float = 1.0) -> Shape:
    """An ellipse, turned by ``angle``; its field reaches ``reach`` mm beyond it."""
    wide, tall = max(float(half_mm[0]), 0.05), max(float(half_mm[1]), 0.05)
    c, s = float(np.cos(angle)), float(np.sin(angle))
    box = np.hypot(c * wide, s * tall) + reach, np.hypot(s * wide, c * tall) + reach
    window = _window(at[0] - box[0], at[0] + box[0], at[1] - box[1], at[1] + box[1])
    dx, dy = X[:, window[1]] - np.float32(at[0]), Y[window[0]] - np.float32(at[1])
    u, v = (np.float32(c) * dx + np.float32(s) * dy) / wide, (np.float32(c) * dy - np.float32(s) * dx) / tall
    field: Field = (np.sqrt(u * u + v * v) - 1) * np.float32(min(wide, tall))
    return Shape(window, field)


def tube(course: Path, radius_mm: float | NDArray[np.float64], *, reach: float = 1.0) -> Shape:
    """All within ``radius_mm`` of a polyline; one radius, or one a vertex, in between linear."""
    radii = np.broadcast_to(np.asarray(radius_mm, dtype=np.float64), len(course))
    low, high = course.min(axis=0) - radii.max() - reach, course.max(axis=0) + radii.max() + reach
    window = _window(low[0], high[0], low[1], high[1])
    x, y = X[:, window[1]], Y[window[0]]
    return Shape(window, distance(x, y, course, radii))


def distance(x: Field, y: Field, course: Path, radii: NDArray[np.float64]) -> Field:
    """Distance in mm of points to the surface of a tube, < 0 inside; x and y broadcast."""
    best: Field = np.full(np.broadcast_shapes(x.shape, y.shape), np.inf, dtype=np.float32)
    for (ax, ay), (bx, by), ra, rb in zip(
        course[:-1].tolist(), course[1:].tolist(), radii[:-1].tolist(), radii[1:].tolist(), strict=True
    ):
        ux, uy = bx - ax, by - ay
        length = max(ux * ux + uy * uy, 1e-9)
        dx, dy = x - np.float32(ax), y - np.float32(ay)
        t = np.clip(dx * np.float32(ux / length) + dy * np.float32(uy / length), 0, 1)
        gap = np.sqrt((dx - t * np.float32(ux)) ** 2 + (dy - t * np.float32(uy)) ** 2)
        gap -= np.float32(ra) if ra == rb else np.float32(ra) + t * np.float32(rb - ra)
        np.minimum(best, gap, out=best)
    return best


def blob(rng: np.random.Generator, half_mm: tuple[float, float], uneven_share: float = 0.05) -> Shape:
    """A rounded outline about the origin, over the whole plane: an ellipse with harmonics 2 to 4."""
    x, y = X / np.float32(half_mm[0]), Y / np.float32(half_mm[1])
    radius = np.sqrt(x * x + y * y)
    turn = (x + 1j * y) / np.maximum(radius, 1e-3)
    outline = np.ones_like(radius)
    power = turn
    for _ in range(3):
        power = power * turn
        a, b = rng.normal(0, uneven_share / 2, 2)
        outline += np.float32(a) * power.real + np.float32(b) * power.imag
    field: Field = ((radius - outline) * np.float32(min(half_mm))).astype(np.float32)
    return Shape(WHOLE, field)


def beyond(angle: float, distance_mm: float, wavy: Field) -> Shape:
    """The half plane further than ``distance_mm`` from the origin towards ``angle``, its edge moved by ``wavy`` mm."""
    field: Field = np.float32(distance_mm) - X * np.float32(np.cos(angle)) - Y * np.float32(np.sin(angle)) + wavy
    return Shape(WHOLE, field)


def shrunk(shape: Shape, by_mm: float) -> Shape:
    """The same, its outline moved inwards."""
    return Shape(shape.window, shape.field + np.float32(by_mm))


def bezier(a: Path, b: Path, c: Path, points: int = 14) -> Path:
    """A quadratic curve from a to c, drawn towards b."""
    t = np.linspace(0, 1, points)[:, None]
    course: Path = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
    return course


def _window(x0: float, x1: float, y0: float, y1: float) -> Window:
    columns = np.clip(np.array([np.floor((x0 + HALF_MM) / CELL_MM), np.ceil((x1 + HALF_MM) / CELL_MM)]), 0, CELLS)
    rows = np.clip(np.array([np.floor((HALF_MM - y1) / CELL_MM), np.ceil((HALF_MM - y0) / CELL_MM)]), 0, CELLS)
    return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))
