"""The fetal upper mediastinum in its own plane, drawn from a seed: where the structures are and how wide.

Plane: millimetres, origin in the middle of the thorax, +x to the fetal left, +y to the front; the spine is at
-y. Vessel diameters: Zalel 2004 (core.anatomy). Thorax diameter: a straight line through 52 mm at 22 weeks and
83 mm at 34, our rounding of published thoracic circumferences; positions, trachea and tissue are our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.anatomy import ZALEL_2004, Structure

MIN_WEEKS, MAX_WEEKS = 22.0, 34.0
Path = NDArray[np.float64]  # (N, 2) mm


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """One fetus: diameters and courses in mm. Vessel courses run from the heart to where they join."""

    gestational_weeks: float
    thorax_mm: tuple[float, float]  # half axes, left-right and front-back
    diameter_mm: dict[Structure, float]
    pulmonary_artery: Path
    aortic_arch: Path
    superior_vena_cava: tuple[float, float]
    trachea: tuple[float, float]
    spine: tuple[float, float]
    spine_mm: tuple[float, float]  # half axes


def draw_anatomy(rng: np.random.Generator, gestational_weeks: float | None = None) -> Anatomy:
    """A normal fetus of 22-34 weeks (drawn, if not given). Raises ValueError outside that range."""
    weeks = float(rng.uniform(MIN_WEEKS, MAX_WEEKS)) if gestational_weeks is None else gestational_weeks
    if not MIN_WEEKS <= weeks <= MAX_WEEKS:
        raise ValueError(f"{weeks} weeks; this phantom covers {MIN_WEEKS:.0f} to {MAX_WEEKS:.0f}")
    radius = (52 + (weeks - 22) * (83 - 52) / 12) / 2 * rng.normal(1, 0.05)
    unit = radius / 34  # layout below is for a thorax of 68 mm
    diameter = {s: line.diameter_mm(weeks) * rng.normal(1, 0.08) for s, line in ZALEL_2004.items()}
    diameter[Structure.TRACHEA] = (0.12 * weeks - 0.5) * rng.normal(1, 0.08)
    pa, ao, svc, trachea = (
        diameter[s] / 2
        for s in (Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA, Structure.TRACHEA)
    )

    def near(x: float, y: float, spread: float = 1.0) -> NDArray[np.float64]:
        return np.array([x, y]) * unit + rng.normal(0, spread * unit, 2)

    spine = near(0, -23.5)
    junction = near(4.5, -13.0)
    pa_start = near(7.0, 14.0, 1.4)
    pa_course = _bezier(pa_start, (pa_start + junction) / 2 + near(1.2, 0, 0.8), junction)
    ao_start = np.array(
        [pa_start[0] - (pa + ao) * rng.uniform(1.25, 1.6) - 1.2, pa_start[1] - rng.uniform(1, 5) * unit]
    )
    ao_course = _bezier(ao_start, (ao_start + junction) / 2 + near(-1.2, 1.0, 0.9), junction)
    svc_at = ao_start + np.array([-(ao + svc) * rng.uniform(1.25, 1.9) - 0.8, -rng.uniform(0.5, 5) * unit])
    middle = ao_course[int(len(ao_course) * rng.uniform(0.62, 0.8))]
    trachea_at = middle + np.array([-(ao + trachea) * rng.uniform(1.15, 1.5) - 0.7, -rng.uniform(0, 2.0) * unit])
    return Anatomy(
        gestational_weeks=weeks,
        thorax_mm=(radius * rng.uniform(0.97, 1.1), radius * rng.uniform(0.9, 1.0)),
        diameter_mm={s: float(d) for s, d in diameter.items()},
        pulmonary_artery=pa_course,
        aortic_arch=ao_course,
        superior_vena_cava=(float(svc_at[0]), float(svc_at[1])),
        trachea=(float(trachea_at[0]), float(trachea_at[1])),
        spine=(float(spine[0]), float(spine[1])),
        spine_mm=(5.2 * unit * rng.normal(1, 0.08), 4.2 * unit * rng.normal(1, 0.08)),
    )


def _bezier(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], points: int = 24) -> Path:
    t = np.linspace(0, 1, points)[:, None]
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
