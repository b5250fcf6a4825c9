"""Planes that are not the view: their truth is empty. And neck and arm vessels, as a linear probe shows them."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge3vt.phantom.anatomy import Point, thorax_mm
from edge3vt.phantom.body import Plane, draw_chest, draw_surroundings, draw_vertebra
from edge3vt.phantom.canvas import (
    BLOOD_DB,
    BONE_DB,
    BONE_DB_PER_MM,
    CELLS,
    FLUID_DB,
    TISSUE_DB_PER_MM,
    Canvas,
    blob,
    draw_blur_mm,
    draw_texture,
    ellipse,
    shrunk,
    tube,
)
from edge3vt.phantom.texture import smooth
from edge3vt.phantom.truth import REACH_MM, Truth

OtherView = Literal["four_chambers", "outflow", "abdomen", "head", "limb", "tissue", "air", "black", "frozen"]
OTHER_VIEWS: tuple[OtherView, ...] = get_args(OtherView)
OTHER_SHARES = (0.24, 0.22, 0.12, 0.08, 0.1, 0.14, 0.04, 0.02, 0.04)
ARM_CLASSES = ("background", "nerve", "vessel")
NERVE, VESSEL = 1, 2


def draw_other(view: OtherView, rng: np.random.Generator, weeks: float) -> Plane:
    """A plane of a fetus of ``weeks`` that is not the view; "air", "black" and "frozen" are states of a scanner."""
    canvas = Canvas(rng, FLUID_DB)
    radius = thorax_mm(weeks) / 2 * rng.normal(1, 0.07)
    half = (radius * rng.uniform(0.97, 1.1), radius * rng.uniform(0.88, 1.0))
    match view:
        case "four_chambers" | "outflow" | "frozen":
            _heart(canvas, half, outflow=view == "outflow" or (view == "frozen" and rng.uniform() < 0.5))
        case "abdomen":
            _abdomen(canvas, half)
            canvas.warp(rng.uniform(0.6, 2.0))
        case "head":
            _head(canvas, radius * 1.05)
            canvas.warp(rng.uniform(0.4, 1.2))
        case "limb":
            _limbs(canvas, radius)
            canvas.warp(rng.uniform(0.4, 1.5))
        case "tissue":
            _tissue(canvas)
        case "air" | "black":
            canvas.level[:] = -90
    return canvas.finish(draw_texture(rng), draw_blur_mm(rng)), Truth()


def _heart(canvas: Canvas, half: Point, *, outflow: bool) -> None:
    """One cavity, parted by septa and valves; with ``outflow`` the aorta leaves it instead of the atria."""
    rng = canvas.rng
    radius = (half[0] + half[1]) / 2
    spine, spine_half = (float(rng.normal(0, 1.5)), -half[1] * 0.7), (radius * 0.15, radius * 0.12)
    chest = draw_chest(canvas, half, spine, spine_half)
    at = np.array([half[0] * rng.uniform(0.05, 0.3), half[1] * rng.uniform(0.02, 0.25)])
    angle, size, slim = rng.uniform(0.5, 1.1), radius * rng.uniform(0.44, 0.58), rng.uniform(0.66, 0.8)
    blood, wall = BLOOD_DB + rng.uniform(-6, 12), rng.uniform(-8, 1)
    thick = size * rng.uniform(0.1, 0.2)
    axis, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])

    def line(start: tuple[float, float], end: tuple[float, float], share: float, db: float) -> None:
        ends = [at + size * (along * axis + slim * side * across) for along, side in (start, end)]
        canvas.fill(tube(np.stack(ends), size * share), db, within=chest)

    heart = ellipse(_at(at), (size, size * slim), angle)
    canvas.rim(heart, rng.uniform(-6, 4), 0.7, within=chest)
    canvas.fill(heart, rng.uniform(-10, -3), within=chest)
    canvas.fill(ellipse(_at(at), (size - thick, size * slim - thick), angle), blood, within=chest)
    valve = rng.uniform(-0.25, -0.05)  # along the axis, from the middle towards the atria
    line((0.95, 0.0), (valve, rng.normal(0, 0.08)), rng.uniform(0.05, 0.1), wall)  # between the ventricles
    for side in (-1.0, 1.0):  # valves, open or closed, and muscle at the ventricles' walls
        opened = rng.uniform(0.1, 0.6)
        line((valve, side * 0.95), (valve + opened * 0.4, side * rng.uniform(0.35, 0.6)), 0.025, wall)
        line((valve, side * 0.05), (valve + opened * 0.4, side * rng.uniform(0.3, 0.5)), 0.025, wall)
        line((0.75, side * 0.6), (rng.uniform(0.25, 0.5), side * rng.uniform(0.35, 0.6)), rng.uniform(0.03, 0.09), wall)
    if outflow:
        canvas.fill(
            ellipse(_at(at - 0.68 * size * axis), (size * 0.42, size * 0.7), angle), rng.uniform(-9, -2), within=chest
        )
        root = at + size * (valve - 0.05) * axis
        course = np.stack(
            [
                root + 0.2 * size * axis,
                root - size * (0.5 * axis - 0.25 * across),
                root - size * (0.9 * axis - 0.6 * across),
            ]
        )
        vessel = tube(course, rng.uniform(0.07, 0.12) * radius)
        canvas.rim(vessel, wall, 0.5)
        canvas.fill(vessel, blood)
    else:
        line((valve, 0.0), (-0.45, 0.05), 0.03, wall)  # between the atria, with the oval foramen open
        line((-0.75, 0.0), (-0.95, 0.0), 0.04, wall)
    canvas.warp(rng.uniform(0.6, 2.0))
    draw_vertebra(canvas, spine, spine_half)
    aorta = ellipse((spine[0] + 0.13 * radius, spine[1] + 0.26 * radius), (radius * 0.08, radius * 0.08))
    canvas.rim(aorta, wall, 0.5)
    canvas.fill(aorta, blood)


def _at(point: NDArray[np.float64]) -> Point:
    return float(point[0]), float(point[1])


def _abdomen(canvas: Canvas, half: Point) -> None:
    rng = canvas.rng
    radius = (half[0] + half[1]) / 2
    spine, spine_half = (float(rng.normal(0, 1.5)), -half[1] * 0.72), (radius * 0.15, radius * 0.12)
    inside = draw_chest(canvas, half, spine, spine_half)
    canvas.fill(shrunk(inside, 0.8), rng.uniform(-8, 0))  # liver
    draw_vertebra(canvas, spine, spine_half)
    stomach = ellipse(
        (half[0] * rng.uniform(0.35, 0.5), rng.uniform(-4, 6)), (radius * 0.26, radius * 0.17), rng.uniform(-0.6, 0.6)
    )
    canvas.rim(stomach, rng.uniform(-2, 4), 0.5)
    canvas.fill(stomach, FLUID_DB, 0.0)
    vein = np.array([[0.0, half[1] * 0.75], [-2.0, half[1] * 0.35], [-half[0] * 0.3, half[1] * 0.1]])
    for shape in (tube(vein, 0.05 * radius), ellipse((4.0, -half[1] * 0.42), (0.07 * radius, 0.07 * radius))):
        canvas.rim(shape, rng.uniform(-2, 5), 0.4)
        canvas.fill(shape, BLOOD_DB + rng.uniform(-5, 6))


def _head(canvas: Canvas, radius: float) -> None:
    rng = canvas.rng
    draw_surroundings(canvas)
    skull = blob(rng, (radius * 1.2, radius * 0.95), 0.02)
    canvas.rim(skull, 10 + rng.uniform(-4, 4), rng.uniform(1.2, 2.2))
    canvas.fill(skull, rng.uniform(-17, -9), TISSUE_DB_PER_MM)
    canvas.fill(tube(np.array([[-radius, 0.0], [radius, 0.0]]), 0.4), rng.uniform(-2, 5))  # falx
    for side in (-1, 1):
        horn = np.array(
            [[-radius * 0.6, side * radius * 0.3], [0.0, side * radius * 0.15], [radius * 0.6, side * radius * 0.3]]
        )
        ventricle = tube(horn, rng.uniform(0.04, 0.1) * radius)
        canvas.rim(ventricle, rng.uniform(-4, 4), 0.5)
        canvas.fill(ventricle, FLUID_DB)
        plexus = (float(-radius * 0.45), float(side * radius * 0.28))
        canvas.fill(ellipse(plexus, (radius * 0.16, radius * 0.06)), rng.uniform(0, 6))


def _limbs(canvas: Canvas, radius: float) -> None:
    rng = canvas.rng
    draw_surroundings(canvas)
    for _ in range(int(rng.integers(1, 4))):
        course = rng.uniform(-35, 35, (3, 2))
        course[1] = course[[0, 2]].mean(axis=0) + rng.normal(0, 2, 2)
        thick = rng.uniform(0.16, 0.32) * radius
        limb = tube(course, thick * np.array([1.2, 1.0, rng.uniform(0.6, 0.9)]))
        canvas.rim(limb, rng.uniform(-2, 6), 0.6)
        canvas.fill(limb, rng.uniform(-10, -1), TISSUE_DB_PER_MM)
        canvas.fill(tube(course, thick * rng.uniform(0.15, 0.3)), BONE_DB + rng.uniform(-2, 4), BONE_DB_PER_MM)


def _tissue(canvas: Canvas) -> None:
    """Placenta, uterus or mother: layers, stray vessels, cysts and bright lines, but no order of three vessels."""
    rng = canvas.rng
    canvas.level[:] = rng.uniform(-9, 1) + smooth(rng, CELLS, 2) * np.float32(rng.uniform(0.5, 4))
    for _ in range(int(rng.integers(0, 7))):
        at = (float(rng.uniform(-45, 45)), float(rng.uniform(-45, 45)))
        hole = ellipse(at, (rng.uniform(1, 9), rng.uniform(1, 9)), rng.uniform(0, np.pi))
        canvas.rim(hole, rng.uniform(-4, 5), 0.5)
        canvas.fill(hole, BLOOD_DB + rng.uniform(-6, 8), 0.02)
    for _ in range(int(rng.integers(0, 6))):
        y = rng.uniform(-50, 50)
        course = np.array([[-80.0, y + rng.uniform(-15, 15)], [0, y], [80.0, y + rng.uniform(-15, 15)]])
        canvas.fill(tube(course, rng.uniform(0.3, 1.5)), rng.uniform(4, 12), rng.choice([TISSUE_DB_PER_MM, 1.5]))


def draw_arm(rng: np.random.Generator) -> Plane:
    """Vessels and a nerve among the muscles of an arm or neck, under skin and fat; labels NERVE and VESSEL.

    +y is towards the skin. Sizes are our own choice within textbook ranges: arteries and veins of 3-8 mm, a nerve of
    3-9 mm with dark fascicles in bright connective tissue.
    """
    canvas = Canvas(rng, rng.uniform(-14, -6))
    skin, fat = 18.0, rng.uniform(4, 11)
    for top, bottom, db in ((skin, skin - 1.5, rng.uniform(2, 6)), (skin - 1.5, skin - fat, rng.uniform(-10, -2))):
        layer = tube(np.array([[-90.0, (top + bottom) / 2], [90.0, (top + bottom) / 2]]), (top - bottom) / 2)
        canvas.fill(layer, db)
    for depth in np.cumsum(rng.uniform(2.5, 9, 6)):  # fascia between the muscles
        y = skin - fat - depth + rng.uniform(2, 4)
        line = np.array([[-60.0, y + rng.normal(0, 2.5)], [0.0, y], [60.0, y + rng.normal(0, 2.5)]])
        canvas.fill(tube(line, rng.uniform(0.2, 0.6)), rng.uniform(2, 9))
    for _ in range(int(rng.integers(20, 60))):  # fibres
        middle, reach = rng.uniform([-28, -30], [28, skin - fat]), np.array([rng.uniform(1, 5), rng.normal(0, 0.3)])
        canvas.fill(tube(np.stack([middle - reach, middle + reach]), 0.15), rng.uniform(-4, 3))
    if rng.uniform() < 0.4:
        bone = (float(rng.uniform(-15, 15)), float(skin - fat - rng.uniform(18, 32)))
        canvas.fill(ellipse(bone, (rng.uniform(4, 9), rng.uniform(3, 6))), BONE_DB, BONE_DB_PER_MM)
    shapes, blood = [], BLOOD_DB + rng.uniform(-4, 9)
    way = rng.choice([-1.0, 1.0])  # side by side, in one direction
    size, count = rng.uniform(1.6, 4.5), int(rng.integers(1, 4))
    at = np.array([-way * (4.0 * count + rng.uniform(-3, 3)), skin - fat - rng.uniform(5, 13)])
    for _ in range(count):
        wide = rng.uniform(1.4, 4.0)
        tall = wide * (1.0 if rng.uniform() < 0.6 else rng.uniform(0.4, 0.9))
        vessel = ellipse(_at(at), (wide, tall), rng.normal(0, 0.2), reach=REACH_MM)
        canvas.rim(vessel, rng.uniform(0, 8), rng.uniform(0.3, 0.8))
        canvas.fill(vessel, blood, 0.02)
        shapes.append((VESSEL, vessel))
        at = at + np.array([way * (wide + max(4.2, size + 0.5) + rng.uniform(0.0, 3.0)), rng.normal(0, 1.5)])
    nerve = ellipse(_at(at), (size, size * rng.uniform(0.45, 0.95)), rng.normal(0, 0.4), reach=REACH_MM)
    canvas.rim(nerve, rng.uniform(2, 7), 0.4)
    canvas.fill(nerve, rng.uniform(-2, 4))
    for _ in range(round(size * 4)):
        spot = at + rng.normal(0, size * 0.4, 2) * [1, 0.6]
        canvas.fill(ellipse((float(spot[0]), float(spot[1])), (0.45, 0.4)), rng.uniform(-16, -9))
    return canvas.finish(draw_texture(rng), draw_blur_mm(rng)), Truth([*shapes, (NERVE, nerve)])
