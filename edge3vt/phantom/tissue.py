"""Tissue maps: what each point of a plane scatters, absorbs and is, for the view and for pictures that are not it.

Scattering is an amplitude relative to soft tissue; levels in dB are our own choice, set by eye against fetal
cardiac pictures. Masks are rasterised from the same geometry, so the truth is exact to half a map cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from edge3vt.core.anatomy import Structure
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.anatomy import Anatomy, Path

CELL_MM = 0.25
HALF_MM = 72.0
CELLS = round(2 * HALF_MM / CELL_MM)
Field = NDArray[np.float32]
OtherView = Literal["four_chambers", "abdomen", "outflow", "limb", "tissue"]
OTHER_VIEWS: tuple[OtherView, ...] = ("four_chambers", "abdomen", "outflow", "limb", "tissue")

TISSUE_DB_PER_MM = 0.05
FLUID_DB, BLOOD_DB, TRACHEA_DB, BONE_DB, SKIN_DB, WALL_DB = -42.0, -32.0, -30.0, 13.0, 4.0, 0.0


@dataclass(frozen=True, slots=True, eq=False)
class TissueMap:
    """A square of the plane, CELLS x CELLS of CELL_MM, row 0 at +y. Absorption is in dB per mm, two-way."""

    amplitude: Field
    absorption: Field
    labels: Mask


class _Canvas:
    """A tissue map in the making."""

    def __init__(self, rng: np.random.Generator) -> None:
        axis = (np.arange(CELLS, dtype=np.float32) + 0.5) * CELL_MM - HALF_MM
        self.x, self.y = np.meshgrid(axis, axis[::-1])
        self.db = np.zeros_like(self.x)
        self.absorption = np.full_like(self.x, TISSUE_DB_PER_MM)
        self.labels = np.zeros(self.x.shape, dtype=np.uint8)
        self.rng = rng

    def ellipse(self, at: tuple[float, float], half_mm: tuple[float, float], angle: float = 0.0) -> Field:
        """Signed distance-like field in mm: negative inside."""
        c, s, wide, tall = float(np.cos(angle)), float(np.sin(angle)), float(half_mm[0]), float(half_mm[1])
        dx, dy = self.x - float(at[0]), self.y - float(at[1])
        u = (c * dx + s * dy) / wide if angle else dx / wide
        v = (c * dy - s * dx) / tall if angle else dy / tall
        field: Field = np.sqrt(u * u + v * v)
        field -= 1
        field *= min(wide, tall)
        return field

    def tube(self, course: Path, diameter_mm: float) -> Field:
        """Distance in mm to the surface of a tube along ``course``: negative inside. Far cells are +inf."""
        radius = diameter_mm / 2
        field: Field = np.full_like(self.x, np.inf)
        low, high = course.min(axis=0) - radius - 3, course.max(axis=0) + radius + 3
        columns = slice(*np.clip(((np.array([low[0], high[0]]) + HALF_MM) / CELL_MM).astype(int), 0, CELLS))
        rows = slice(*np.clip(((HALF_MM - np.array([high[1], low[1]])) / CELL_MM).astype(int), 0, CELLS))
        x, y = self.x[rows, columns], self.y[rows, columns]
        best = np.full_like(x, np.inf)
        for (ax, ay), (bx, by) in zip(course[:-1].tolist(), course[1:].tolist(), strict=True):
            ux, uy = bx - ax, by - ay
            dx, dy = x - ax, y - ay
            t = np.clip((dx * ux + dy * uy) / max(ux * ux + uy * uy, 1e-9), 0, 1)
            np.minimum(best, (dx - t * ux) ** 2 + (dy - t * uy) ** 2, out=best)
        field[rows, columns] = np.sqrt(best) - radius
        return field

    def fill(self, field: Field, db: float, absorption: float | None = None) -> None:
        self.db[field < 0] = db
        if absorption is not None:
            self.absorption[field < 0] = absorption

    def lumen(self, field: Field, db: float, wall_db: float, wall_mm: float) -> None:
        """A dark lumen inside ``field`` < 0 with an echogenic wall around it."""
        wall = np.abs(field - wall_mm / 2) < wall_mm / 2
        self.db[wall] = np.maximum(self.db[wall], wall_db)
        self.db[field < 0] = db

    def texture(self, scale_mm: float, spread_db: float) -> Field:
        """A smooth random field of ``spread_db`` standard deviation."""
        coarse = self.rng.standard_normal((CELLS // 8, CELLS // 8)).astype(np.float32)
        smooth = ndimage.gaussian_filter(coarse, scale_mm / CELL_MM / 8)
        field: Field = ndimage.zoom(smooth * np.float32(spread_db / max(float(smooth.std()), 1e-6)), 8, order=1)
        return field

    def grain(self) -> Field:
        """Unevenness of solid tissue in dB, from lobules to regions."""
        rng = self.rng
        fine = ndimage.gaussian_filter(rng.standard_normal(self.db.shape, dtype=np.float32), rng.uniform(2, 4))
        uneven = fine * np.float32(rng.uniform(0, 3.5) / max(float(fine.std()), 1e-6))
        uneven += self.texture(3.0, rng.uniform(0.5, 2.5)) + self.texture(9.0, rng.uniform(0.5, 3.0))
        field: Field = np.where(self.db > -20, uneven, 0).astype(np.float32)
        return field

    def finish(self) -> TissueMap:
        self.db += self.grain()
        amplitude = (10 ** (self.db / 20)).astype(np.float32)
        return TissueMap(amplitude, self.absorption.astype(np.float32), self.labels)


def draw_view(anatomy: Anatomy, rng: np.random.Generator) -> Callable[[float], TissueMap]:
    """The view of ``anatomy``: a function from vessel dilation (1.0 at rest) to its tissue map.

    Everything but the vessels is drawn once. All of one function's maps share their texture.
    """
    base = _Canvas(rng)
    _body(base, anatomy.thorax_mm, anatomy.spine, anatomy.spine_mm)
    thorax = base.ellipse((0, 0), anatomy.thorax_mm)
    mediastinum = base.ellipse((0, -1), (anatomy.thorax_mm[0] * rng.uniform(0.38, 0.55), anatomy.thorax_mm[1] * 0.8))
    base.fill(np.maximum(mediastinum, thorax + 3), rng.uniform(-9, -3))
    thymus = base.ellipse(
        (rng.normal(0, 1), anatomy.thorax_mm[1] * 0.62), (anatomy.thorax_mm[0] * 0.36, anatomy.thorax_mm[1] * 0.2)
    )
    base.fill(np.maximum(thymus, thorax + 2), rng.uniform(-14, -8))
    spine = base.ellipse(anatomy.spine, anatomy.spine_mm)
    _vertebra(base, anatomy.spine, anatomy.spine_mm)
    base.labels[spine < 0] = Structure.SPINE
    blood = BLOOD_DB + rng.uniform(-4, 6)
    trachea_db = TRACHEA_DB + rng.uniform(-5, 6)
    wall = rng.uniform(-5, 2)
    trachea_wall = rng.uniform(0, 7)
    texture = base.grain()

    def at(dilation: float) -> TissueMap:
        db, labels = base.db + texture, base.labels.copy()
        size = {s: d * (dilation if s is not Structure.TRACHEA else 1.0) for s, d in anatomy.diameter_mm.items()}
        fields = {
            Structure.PULMONARY_ARTERY: base.tube(anatomy.pulmonary_artery, size[Structure.PULMONARY_ARTERY]),
            Structure.AORTIC_ARCH: base.tube(anatomy.aortic_arch, size[Structure.AORTIC_ARCH]),
            Structure.SUPERIOR_VENA_CAVA: base.tube(
                _dot(anatomy.superior_vena_cava), size[Structure.SUPERIOR_VENA_CAVA]
            ),
            Structure.TRACHEA: base.tube(_dot(anatomy.trachea), size[Structure.TRACHEA]),
        }
        nearest = np.minimum.reduce(list(fields.values()))
        for structure, field in fields.items():
            rim = (field > 0) & (field < (0.8 if structure is Structure.TRACHEA else 0.5))
            db[rim] = np.maximum(db[rim], trachea_wall if structure is Structure.TRACHEA else wall)
        for structure, field in fields.items():
            inside = (field < 0) & (field <= nearest)
            db[inside] = trachea_db if structure is Structure.TRACHEA else blood
            labels[inside] = structure
        return TissueMap((10 ** (db / 20)).astype(np.float32), base.absorption.astype(np.float32), labels)

    return at


def draw_other(kind: OtherView, rng: np.random.Generator) -> TissueMap:
    """A plane that is not the view: its labels are empty."""
    canvas = _Canvas(rng)
    radius = rng.uniform(24, 44)
    half = (radius * rng.uniform(0.95, 1.1), radius * rng.uniform(0.88, 1.0))
    if kind == "limb":
        _surroundings(canvas)
        for _ in range(int(rng.integers(1, 4))):
            a, b = rng.uniform(-35, 35, 2), rng.uniform(-35, 35, 2)
            course = np.stack([a, b])
            canvas.fill(canvas.tube(course, rng.uniform(10, 22)), rng.uniform(-8, 0))
            canvas.fill(canvas.tube(course, rng.uniform(2.5, 6)), BONE_DB, 2.0)
        return canvas.finish()
    if kind == "tissue":
        canvas.db[:] = rng.uniform(-8, 0) + canvas.texture(rng.uniform(2, 12), rng.uniform(1, 6))
        for _ in range(int(rng.integers(0, 7))):  # stray vessels, cysts and bright lines, but no 3VT order
            at = (float(rng.uniform(-40, 40)), float(rng.uniform(-40, 40)))
            canvas.lumen(canvas.ellipse(at, tuple(rng.uniform(1, 9, 2)), rng.uniform(0, np.pi)), BLOOD_DB, WALL_DB, 0.5)
        for _ in range(int(rng.integers(0, 5))):
            y = rng.uniform(-50, 50)
            course = np.array([[-80.0, y + rng.uniform(-15, 15)], [0, y], [80.0, y + rng.uniform(-15, 15)]])
            canvas.fill(canvas.tube(course, rng.uniform(0.6, 3)), rng.uniform(4, 16), rng.choice([0.05, 1.5]))
        return canvas.finish()
    spine, spine_half = (float(rng.normal(0, 1.5)), -half[1] * 0.7), (radius * 0.15, radius * 0.12)
    _body(canvas, half, spine, spine_half)
    _vertebra(canvas, spine, spine_half)
    if kind == "abdomen":
        canvas.fill(canvas.ellipse((0, 0), (half[0] - 4, half[1] - 4)), rng.uniform(-7, -1))
        _vertebra(canvas, spine, spine_half)
        stomach = (half[0] * rng.uniform(0.35, 0.5), rng.uniform(-4, 6))
        canvas.lumen(
            canvas.ellipse(stomach, (radius * 0.26, radius * 0.18), rng.uniform(-0.6, 0.6)), FLUID_DB, WALL_DB, 0.6
        )
        vein = np.array([[0.0, half[1] * 0.75], [-2.0, half[1] * 0.35], [-half[0] * 0.3, half[1] * 0.1]])
        canvas.lumen(canvas.tube(vein, rng.uniform(3, 6)), BLOOD_DB, WALL_DB, 0.5)
        canvas.lumen(canvas.ellipse((4.0, -half[1] * 0.42), (2.2, 2.2)), BLOOD_DB, WALL_DB, 0.4)
        return canvas.finish()
    heart_at = (half[0] * rng.uniform(0.1, 0.3), half[1] * rng.uniform(0.05, 0.25))
    angle, size = rng.uniform(0.5, 1.1), radius * rng.uniform(0.42, 0.55)
    heart = canvas.ellipse(heart_at, (size, size * 0.72), angle)
    canvas.fill(heart, rng.uniform(-6, 0))
    axis, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    blood = BLOOD_DB + rng.uniform(-4, 6)
    chambers = (
        ((0.38, 0.3), (0.38, -0.3), (-0.42, 0.28), (-0.42, -0.28))
        if kind == "four_chambers"
        else ((0.3, 0.25), (0.3, -0.3))
    )
    for along, side in chambers:
        at_mm = np.array(heart_at) + size * (along * axis + side * across)
        half_mm = (size * rng.uniform(0.3, 0.4), size * rng.uniform(0.19, 0.26))
        canvas.lumen(canvas.ellipse((float(at_mm[0]), float(at_mm[1])), half_mm, angle), blood, WALL_DB, 0.5)
    if kind == "outflow":
        start = np.array(heart_at) + size * 0.2 * axis
        course = np.stack(
            [start, start - size * 0.7 * axis + size * 0.2 * across, start - size * (1.1 * axis - 0.5 * across)]
        )
        canvas.lumen(canvas.tube(course, rng.uniform(3, 7)), blood, WALL_DB, 0.5)
    canvas.lumen(canvas.ellipse((4.5, -half[1] * 0.45), (2.4, 2.4)), blood, WALL_DB, 0.4)
    return canvas.finish()


def _dot(at: tuple[float, float]) -> Path:
    return np.array([at, at], dtype=np.float64)


def _surroundings(canvas: _Canvas) -> None:
    """Amniotic fluid, and uterine wall or placenta beyond a random line."""
    canvas.db[:] = FLUID_DB
    canvas.absorption[:] = 0.0
    angle = canvas.rng.uniform(0, 2 * np.pi)
    beyond = canvas.x * np.cos(angle) + canvas.y * np.sin(angle) + canvas.texture(14, 3.0) > canvas.rng.uniform(34, 60)
    canvas.db[beyond] = canvas.rng.uniform(-6, 1)
    canvas.absorption[beyond] = 0.05


def _body(
    canvas: _Canvas, half: tuple[float, float], spine: tuple[float, float], spine_half: tuple[float, float]
) -> None:
    """Fluid outside, skin, muscle, ribs, and lungs inside."""
    rng = canvas.rng
    _surroundings(canvas)
    bumps = canvas.texture(8, 0.5)
    skin_mm = rng.uniform(3.5, 6.5)
    outer = canvas.ellipse((0, 0), (half[0] + skin_mm, half[1] + skin_mm)) + bumps
    inner = canvas.ellipse((0, 0), half) + bumps
    canvas.fill(outer, rng.uniform(-10, -3), 0.06)
    canvas.fill(np.abs(outer + 0.5) - 0.5, SKIN_DB + rng.uniform(-4, 3))
    canvas.fill(inner, rng.uniform(-5, 2), 0.05)  # lungs
    canvas.fill(np.abs(inner) - 0.3, rng.uniform(-6, 2))
    for side in (-1, 1):
        for _ in range(int(rng.integers(1, 4))):
            start, length = rng.uniform(-0.9, 1.0), rng.uniform(0.15, 0.7)
            t = np.linspace(start, start + length, 10)
            course = np.stack([side * np.cos(t) * (half[0] + 1), np.sin(t) * (half[1] + 1)], axis=1)
            canvas.fill(canvas.tube(course, rng.uniform(1.2, 2.4)), BONE_DB + rng.uniform(-6, 2), 2.5)
    canvas.fill(canvas.ellipse(spine, (spine_half[0] * 2.1, spine_half[1] * 1.7)), rng.uniform(-9, -3))


def _vertebra(canvas: _Canvas, at: tuple[float, float], half: tuple[float, float]) -> None:
    """The three ossification centres: the body in front and two arches behind."""
    rng = canvas.rng
    canvas.fill(canvas.ellipse(at, half), rng.uniform(-8, -2))
    for dx, dy, w, h in ((0.0, 0.35, 0.42, 0.4), (-0.62, -0.35, 0.26, 0.45), (0.62, -0.35, 0.26, 0.45)):
        centre = (at[0] + dx * half[0], at[1] + dy * half[1])
        canvas.fill(canvas.ellipse(centre, (w * half[0], h * half[1])), BONE_DB + rng.uniform(-5, 3), 3.0)
