"""What stands around a scanner's picture: names, settings, depth scale, grey bar, marks and measurements.

Words, people and numbers are invented from the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge3vt.core.frame import Pixels, Region
from edge3vt.phantom.captions import draw_captions
from edge3vt.phantom.consoles import banner, column, drawer, inset, matrix, panel, ribbon
from edge3vt.phantom.desk import Desk, Shown
from edge3vt.phantom.lettering import Pen

Edges = tuple[float, float, float, float]
LAYOUTS: dict[str, dict[str, tuple[Callable[[Desk], None], Edges]]] = {
    "A": {
        "banner": (banner, (0.0, 0.1, 0.984, 1.0)),
        "ribbon": (ribbon, (0.11, 0.085, 0.925, 0.96)),
        "column": (column, (0.15, 0.075, 0.985, 0.935)),
        "panel": (panel, (0.02, 0.065, 0.83, 0.955)),
    },
    "B": {
        "inset": (inset, (0.285, 0.075, 0.965, 0.93)),
        "drawer": (drawer, (0.07, 0.1, 0.93, 0.76)),
        "matrix": (matrix, (0.05, 0.075, 0.78, 0.95)),
    },
}
"""Per site and name: what draws it, and its region as shares of the screen (0 and 1 stay, the rest moves a little)."""
_ARRANGED = {**LAYOUTS["A"], **LAYOUTS["B"]}
_GROUNDS = {"panel": (150, False), "inset": (30, False), "drawer": (236, False), "matrix": (0, True)}


@dataclass(frozen=True, slots=True)
class Layout:
    """A screen's arrangement. seed: of all that is written and drawn on it, whatever the depth."""

    name: str
    width: int
    height: int
    region: Region
    seed: int


def draw_layout(rng: np.random.Generator, width: int, height: int, site: Literal["A", "B"]) -> Layout:
    """One of the site's arrangements; the two sites share none."""
    names = list(LAYOUTS[site])
    name = names[int(rng.integers(len(names)))]
    return layout(name, width, height, rng)


def layout(name: str, width: int, height: int, rng: np.random.Generator) -> Layout:
    """The arrangement ``name`` with its region's edges moved a little. Raises KeyError for an unknown name."""
    edges = np.array(_ARRANGED[name][1])
    edges = np.where((edges > 0) & (edges < 1), edges + rng.uniform(-0.012, 0.012, 4), edges)
    x0, y0, x1, y1 = (round(float(e) * side) for e, side in zip(edges, (width, height, width, height), strict=True))
    return Layout(name, width, height, Region(x0, y0, x1, y1), int(rng.integers(2**31)))


def furnished(layout: Layout, shown: Shown) -> Pixels:
    """(height, width) uint8 screen without its picture: inside the region 0 wherever the picture is to be seen."""
    rng = np.random.default_rng([layout.seed, 0xF04])
    place, _ = _ARRANGED[layout.name]
    ground, dots = _GROUNDS.get(layout.name, (0, False))
    pen = Pen(layout.width, layout.height, ground, dots=dots)
    desk = Desk(pen, layout.region, shown, draw_captions(rng, shown.bottom_mm), rng)
    place(desk)
    return pen.pixels()
