"""What lies between probe and fetus: the mother's skin, fat, muscle and womb, in depth below the probe's face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge3vt.phantom.canvas import TISSUE_DB_PER_MM
from edge3vt.phantom.scanner import LINES, Scanner
from edge3vt.phantom.texture import Field


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """bottom_mm: (layers, LINES) depth of each layer's lower face, level_db: its scattering; both from the skin down.

    ring_mm: period of what a probe in air shows.
    """

    bottom_mm: Field
    level_db: tuple[float, ...]
    ring_mm: float

    def cover(self, amplitude: Field, level: Field, absorption: Field, scanner: Scanner) -> None:
        """Put the layers over what ``scanner`` meets, in place."""
        rows = int(np.searchsorted(scanner.depth_mm, self.bottom_mm[-1].max()))
        if rows == 0:
            return
        depth = scanner.depth_mm[:rows, None]
        for bottom, db in zip(self.bottom_mm[::-1], self.level_db[::-1], strict=True):
            above = depth < bottom[None, :]
            level[:rows][above] = db
            amplitude[:rows][above] = 10 ** (db / 20)
            absorption[:rows][above] = TISSUE_DB_PER_MM

    def ring(self, amplitude: Field, scanner: Scanner) -> None:
        """A probe without contact: bands that repeat and fade; in place."""
        depth = np.maximum(scanner.depth_mm, 0)
        band = np.exp(-depth / (1.6 * self.ring_mm)) * (0.2 + np.cos(2 * np.pi * depth / self.ring_mm) ** 8)
        amplitude[:] = (10 ** (84 / 20) * band).astype(np.float32)[:, None]


def draw_layers(rng: np.random.Generator, room_mm: float) -> Layers:
    """Two to five layers down to 5-30 mm, or ``room_mm`` where that is less; thicknesses are our own choice."""
    count = int(rng.integers(2, 6))
    thick = rng.uniform(0.2, 1.0, count)
    total = max(min(float(rng.uniform(5, 30)), room_mm), 2.0)
    lines = np.linspace(-1, 1, LINES)
    tilt = rng.normal(0, 0.06, count)[:, None] * lines + rng.normal(0, 0.05, count)[:, None] * np.cos(3 * lines + 1)
    bottom = (np.cumsum(thick) / thick.sum() * total)[:, None] * (1 + tilt)
    levels = tuple(float(db) for db in rng.uniform(-12, 3, count))
    return Layers(np.maximum.accumulate(bottom, axis=0).astype(np.float32), levels, float(rng.uniform(3, 7)))
