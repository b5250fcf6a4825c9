"""A screen in the making: what is known of the picture on it, and the parts that several layouts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.frame import Region
from edge3vt.phantom.captions import Captions
from edge3vt.phantom.lettering import Pen

MEASURED = 0.3
"""Share of screens with callipers or a dotted ellipse over the picture."""
BLACKENED = 0.1
"""Share of screens with a corner painted over."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the furniture tells of: the region spans ``top_mm`` to ``bottom_mm`` below the probe's face."""

    probe: Literal["convex", "sector", "linear"]
    mm_per_px: float
    top_mm: float
    bottom_mm: float
    imaged: NDArray[np.bool_]  # (h, w)


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """All that a layout draws with."""

    pen: Pen
    region: Region
    shown: Shown
    words: Captions
    rng: np.random.Generator

    @property
    def unit(self) -> float:
        return self.pen.unit

    def corner(self) -> tuple[float, float]:
        """Where the sector's left edge enters the region, for the mark of the probe's side."""
        row = min(round(18 * self.unit), self.region.height - 1)
        columns = np.flatnonzero(self.shown.imaged[row])
        first = int(columns[0]) if len(columns) else self.region.width // 2
        x = first - 22 * self.unit
        if x < 56 * self.unit:  # the sector fills the corner: below what is written there
            return self.region.x0 + 40 * self.unit, self.region.y0 + 88 * self.unit
        return self.region.x0 + x, self.region.y0 + 24 * self.unit

    def marks(self) -> list[tuple[int, float]]:
        """(cm, screen row) of each centimetre of depth inside the region."""
        first, last = max(int(np.ceil(self.shown.top_mm / 10)), 0), int(self.shown.bottom_mm / 10)
        return [
            (cm, self.region.y0 + (cm * 10 - self.shown.top_mm) / self.shown.mm_per_px) for cm in range(first, last + 1)
        ]

    def focus(self) -> float:
        return self.region.y0 + self.region.height * self.words.focus


def open_region(desk: Desk, edge: int | None = None) -> None:
    r = desk.region
    if edge is not None:
        desk.pen.box((r.x0 - 1, r.y0 - 1, r.x1 + 1, r.y1 + 1), edge)
    desk.pen.box((r.x0, r.y0, r.x1, r.y1), 0)


def measured(desk: Desk, level: int, size: float, *, box: bool = True) -> None:
    """Callippers or an ellipse over the picture, with their result in a corner, on some screens."""
    pen, rng, r, u = desk.pen, desk.rng, desk.region, desk.unit
    kind = rng.uniform()
    centre = np.array([r.x0 + r.width * rng.uniform(0.35, 0.65), r.y0 + r.height * rng.uniform(0.35, 0.65)])
    half = r.height * rng.uniform(0.04, 0.3) * np.array([1.0, rng.uniform(0.72, 1.0)])
    turn, turned = rng.uniform(0, np.pi), bool(rng.integers(2))
    line, ring = str(rng.choice(["D1", "Dist", "1 L", "+ A", "ThD", "FL"])), str(rng.choice(["AC", "HC", "1 C", "ThC"]))
    right = bool(rng.integers(2))
    if kind > MEASURED:
        return
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    if kind < 0.4 * MEASURED:
        t = np.linspace(0, 2 * np.pi, max(round(6.28 * half[0] / (4.5 * u)), 16), endpoint=False)
        points = centre + np.stack([np.cos(t) * half[0], np.sin(t) * half[1]], axis=1) @ axes
        name, value = ring, np.pi * (1.5 * half.sum() - np.sqrt(np.prod(half) * 1.0)) * desk.shown.mm_per_px
    else:
        first, last = centre - axes[0] * half[0], centre + axes[0] * half[0]
        for x, y in (first, last):
            pen.cross(float(x), float(y), 6, level, turned=turned)
        points = np.linspace(first, last, max(round(2 * half[0] / (5 * u)), 3))[1:-1]
        name, value = line, 2 * half[0] * desk.shown.mm_per_px
    pen.dotted([(float(x), float(y)) for x, y in points], level)
    rows = [f"{name}  {value:.1f}mm", f"GA  {desk.words.age}"][: int(rng.integers(1, 3))]
    wide, tall = 8.0 * size * u, (1.25 * len(rows) + 0.2) * size * u
    x = r.x1 - wide - 4 * u if right else r.x0 + 4 * u
    if box:
        pen.box((x, r.y1 - tall, x + wide, r.y1), 38)
    pen.lines(x + 4 * u, r.y1 - tall + 2, rows, size, max(level, 190))


def blackened(desk: Desk) -> None:
    """A corner that was painted over, as before a picture is passed on."""
    rng, r = desk.rng, desk.region
    wide, tall, right = r.width * rng.uniform(0.12, 0.2), r.height * rng.uniform(0.05, 0.15), bool(rng.integers(2))
    if rng.uniform() < BLACKENED:
        x = r.x1 - wide if right else r.x0
        desk.pen.box((x, r.y1 - tall, x + wide, r.y1), 1)


def scale(
    desk: Desk, x: float, side: int, level: int, *, short: float, long: float, every: int, numbers: float = 0
) -> None:
    """Depth marks from ``x`` to the ``side`` (-1 left, 1 right); a longer one, and a number, ``every`` centimetres."""
    u = desk.unit
    for cm, y in desk.marks():
        much = long if cm % every == 0 else short
        a, b = sorted((x, x + side * much * u))
        thick = 2 if cm % every == 0 or short <= 3 else 1
        desk.pen.box((a, y, max(b, a + 2), y + thick), level)
        if numbers and cm and cm % every == 0:
            anchor: Literal["la", "ra"] = "la" if side > 0 else "ra"
            desk.pen.text(x + side * (long + 3) * u, y - 0.6 * numbers * u, str(cm), numbers, level, anchor=anchor)


def keys(desk: Desk, y0: float, y1: float, count: int, level: int, ink: int) -> None:
    """A row of soft keys along the bottom."""
    wide = desk.pen.width / count
    for i in range(count):
        desk.pen.box((i * wide + 4 * desk.unit, y0, (i + 1) * wide - 4 * desk.unit, y1), level, level + 40)
        middle = (y0 + y1) / 2 - 8 * desk.unit
        desk.pen.text((i + 0.5) * wide, middle, desk.words.keys[i % len(desk.words.keys)], 13, ink, anchor="ma")
