"""A fetus in cross-section, as a tissue map: what lies around it, its chest wall, and the view itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.anatomy import Structure
from edge3vt.phantom.anatomy import Anatomy, Point
from edge3vt.phantom.canvas import (
    BLOOD_DB,
    BONE_DB,
    BONE_DB_PER_MM,
    CELLS,
    FLUID_DB,
    TISSUE_DB_PER_MM,
    Canvas,
    Shape,
    TissueMap,
    beyond,
    blob,
    draw_blur_mm,
    draw_texture,
    ellipse,
    shrunk,
    tube,
)
from edge3vt.phantom.texture import smooth
from edge3vt.phantom.truth import REACH_MM, Truth

Plane = tuple[TissueMap, Truth]


def draw_view(anatomy: Anatomy, rng: np.random.Generator) -> Callable[[float], Plane]:
    """The view of ``anatomy``: a function from vessel dilation (1.0 at rest) to its tissue map and truth.

    Everything but the vessels is drawn once. All of one function's maps share their texture.
    """
    unit, half = anatomy.unit, anatomy.thorax_mm
    base = Canvas(rng, FLUID_DB)
    chest = draw_chest(base, half, anatomy.spine, anatomy.spine_mm)
    front = max(float(anatomy.pulmonary_artery[0, 1]), 0.3 * half[1])
    width = half[0] * rng.uniform(0.36, 0.55)
    mediastinum = ellipse((rng.normal(0, 1.5), -0.5 * unit), (width, half[1] * rng.uniform(0.72, 0.85)))
    base.fill(mediastinum, rng.uniform(-10, -1), within=chest)
    thymus = ellipse(
        (rng.normal(0, 1), (front + half[1]) / 2), (half[0] * rng.uniform(0.3, 0.46), (half[1] - front) * 0.55)
    )
    base.rim(thymus, rng.uniform(-4, 3), 0.6, within=chest)
    base.fill(thymus, rng.uniform(-15, -6), within=shrunk(chest, 1.5))
    base.warp(rng.uniform(0.5, 1.8))
    draw_vertebra(base, anatomy.spine, anatomy.spine_mm)
    gullet = (anatomy.trachea[0] + rng.normal(1.2, 0.5) * unit, anatomy.trachea[1] - rng.uniform(2.6, 3.6) * unit)
    base.fill(ellipse(gullet, (1.5 * unit, 1.1 * unit)), rng.uniform(-2, 4))
    for _ in range(int(rng.integers(2, 8))):  # fat, pleura and the pericardium's folds between the vessels
        middle = np.array([rng.normal(0, width * 0.6), rng.normal(0, half[1] * 0.35)])
        reach = rng.normal(0, 3.0 * unit, 2)
        base.fill(
            tube(np.stack([middle - reach, middle + reach]), rng.uniform(0.3, 0.9)), rng.uniform(0, 9), within=chest
        )
    blood, wall = BLOOD_DB + rng.uniform(-6, 12), rng.uniform(-12, 1)
    trachea_db, trachea_wall = BLOOD_DB + rng.uniform(-2, 10), rng.uniform(1, 8)
    thick, trachea_thick = rng.uniform(0.35, 0.6), rng.uniform(0.6, 1.0)
    texture, blur_mm = draw_texture(rng), draw_blur_mm(rng)
    size = anatomy.diameter_mm
    courses = {
        Structure.PULMONARY_ARTERY: anatomy.pulmonary_artery,
        Structure.AORTIC_ARCH: anatomy.aortic_arch,
    }
    calibre = {s: _calibre(rng, len(course)) for s, course in courses.items()}

    flat, tilt = rng.uniform(0.85, 1.18), rng.uniform(0, np.pi)  # a vein gives way

    def at(dilation: float) -> Plane:
        canvas = base.copy()
        vessels: dict[Structure, list[Shape]] = {
            structure: [_tube(course, size[structure] * dilation * calibre[structure])]
            for structure, course in courses.items()
        } | {
            Structure.SUPERIOR_VENA_CAVA: [
                _disc(vein, size[Structure.SUPERIOR_VENA_CAVA] * (2 - dilation), flat, tilt) for vein in anatomy.veins
            ],
        }
        trachea = _disc(anatomy.trachea, size[Structure.TRACHEA])
        descending = _disc(anatomy.descending_aorta, size[Structure.AORTIC_ARCH] * 0.9 * dilation)
        lumens = [shape for shapes in vessels.values() for shape in shapes]
        for shape in (*lumens, descending):
            canvas.rim(shape, wall, thick)
        canvas.rim(trachea, trachea_wall, trachea_thick)
        for shape in (*lumens, descending):
            canvas.fill(shape, blood)
        canvas.fill(trachea, trachea_db)
        truth = Truth(
            [(s, shape) for s, shapes in vessels.items() for shape in shapes]
            + [
                (Structure.TRACHEA, trachea),
                (Structure.SPINE, ellipse(anatomy.spine, anatomy.spine_mm, reach=REACH_MM)),
            ]
        )
        return canvas.finish(texture, blur_mm), truth

    return at


def draw_surroundings(canvas: Canvas) -> None:
    """Amniotic fluid, uterine wall or placenta beyond wavy lines, and what floats beside the fetus."""
    rng = canvas.rng
    canvas.absorption[:] = 0.0
    wavy = smooth(rng, CELLS, 2) * np.float32(rng.uniform(1, 4))
    for _ in range(int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(30, 62)
        wall = beyond(angle, away, wavy)
        canvas.fill(wall, rng.uniform(-7, 5), TISSUE_DB_PER_MM)
        canvas.rim(wall, rng.uniform(-20, 4), 0.6)
        canvas.fill(beyond(angle, away + rng.uniform(8, 30), wavy), rng.uniform(-14, 2))
    for _ in range(int(rng.integers(0, 4))):  # limbs cut across, loops of cord
        turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(34, 60)
        at, radius = (float(away * np.cos(turn)), float(away * np.sin(turn))), rng.uniform(3, 9)
        limb = ellipse(at, (radius, radius * rng.uniform(0.7, 1.2)), turn)
        canvas.fill(limb, rng.uniform(-9, 0), TISSUE_DB_PER_MM)
        canvas.rim(limb, rng.uniform(-9, 2), 0.5)
        if rng.uniform() < 0.7:
            canvas.fill(ellipse(at, (radius * 0.3, radius * 0.24), turn), BONE_DB + rng.uniform(-4, 4), BONE_DB_PER_MM)


def draw_chest(canvas: Canvas, half: Point, spine: Point, spine_half: Point) -> Shape:
    """Surroundings, skin, muscle, ribs and lungs; returns the inside of the chest, over the whole plane."""
    rng = canvas.rng
    draw_surroundings(canvas)
    inner = blob(rng, half)
    wall_mm, skin_mm = rng.uniform(2.0, 5.5), rng.uniform(0.5, 1.0)
    canvas.rim(inner, rng.uniform(-9, 3), wall_mm + skin_mm)
    body = shrunk(inner, -wall_mm)
    canvas.fill(body, rng.uniform(-16, -5), TISSUE_DB_PER_MM)
    canvas.fill(shrunk(inner, -wall_mm * rng.uniform(0.35, 0.6)), rng.uniform(-10, -1))  # muscle
    canvas.rim(inner, rng.uniform(-6, 5), rng.uniform(0.3, 0.8))  # pleura
    canvas.fill(inner, rng.uniform(-5, 3))  # lungs
    for side in (-1, 1):
        for _ in range(int(rng.integers(1, 4))):
            start, length = rng.uniform(-1.0, 1.0), rng.uniform(0.15, 0.7)
            t = np.linspace(start, start + length, 8)
            away = wall_mm * rng.uniform(0.2, 0.5)
            rib = np.stack([side * np.cos(t) * (half[0] + away), np.sin(t) * (half[1] + away)], axis=1)
            canvas.fill(
                tube(rib, rng.uniform(0.5, 1.1)), BONE_DB + rng.uniform(-7, 3), rng.uniform(0.4, BONE_DB_PER_MM)
            )
    if rng.uniform() < 0.6:  # breast bone
        at = (float(rng.normal(0, 1)), half[1] + wall_mm * 0.3)
        canvas.fill(ellipse(at, (rng.uniform(1.5, 4), 0.9)), BONE_DB + rng.uniform(-8, 0), rng.uniform(0.2, 1.5))
    canvas.fill(ellipse(spine, (spine_half[0] * 2.2, spine_half[1] * 1.8)), rng.uniform(-10, -3), within=body)
    return inner


def draw_vertebra(canvas: Canvas, at: Point, half: Point) -> None:
    """The three ossification centres: the body in front and two arches behind."""
    rng = canvas.rng
    canvas.fill(ellipse(at, half), rng.uniform(-9, -2))
    for dx, dy, w, h in ((0.0, 0.35, 0.42, 0.4), (-0.62, -0.35, 0.26, 0.45), (0.62, -0.35, 0.26, 0.45)):
        centre = (at[0] + dx * half[0], at[1] + dy * half[1])
        part = ellipse(centre, (w * half[0], h * half[1]), rng.normal(0, 0.2))
        canvas.fill(part, BONE_DB + rng.uniform(-5, 4), BONE_DB_PER_MM)


def _calibre(rng: np.random.Generator, points: int) -> NDArray[np.float64]:
    """Diameter along a vessel: the one told at its first half, then narrower towards the junction, and uneven."""
    along = np.linspace(0, 1, points)
    narrowing = 1 - rng.uniform(0, 0.22) * np.clip(2 * along - 1, 0, 1)
    waves: NDArray[np.float64] = narrowing + rng.normal(0, 0.02) * np.sin(5 * along + rng.uniform(0, 6))
    return waves


def _tube(course: NDArray[np.float64], diameter_mm: NDArray[np.float64]) -> Shape:
    return tube(course, diameter_mm / 2, reach=REACH_MM)


def _disc(at: Point, diameter_mm: float, flat: float = 1.0, tilt: float = 0.0) -> Shape:
    """A round cross-section, or as large a one that is ``flat`` times as wide as round."""
    return ellipse(at, (diameter_mm / 2 * flat, diameter_mm / 2 / flat), tilt, reach=REACH_MM)
