"""The fetal upper mediastinum in its own plane, drawn from a seed: where the structures are and how wide.

Plane: millimetres, origin in the middle of the thorax, +x to the fetal left, +y to the front; the spine is at -y.
Vessel diameters: Zalel 2004 (core.anatomy), whose PA/Ao is 1.14-1.18; it spreads as 1.16 +- 0.18 does (966 normal
fetuses, Ultrasound Obstet Gynecol 2007), cut off where the variants begin, half of it in either vessel. These begin at
Ao/PA 0.7 and 1.2 (10.1007/s40556-021-00328-0). Thorax diameter: a straight line through 52 mm at 22 weeks and 83 mm at
34, our rounding of published thoracic circumferences; spreads, positions, trachea and tissue are our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.anatomy import ZALEL_2004, Structure
from edge3vt.phantom.canvas import Path, bezier

MIN_WEEKS, MAX_WEEKS = 18.0, 36.0
Variant = Literal["normal", "right_arch_left_duct", "right_arch_right_duct", "small_arch", "large_aorta", "left_svc"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
VARIANT_SHARES = (0.7, 0.06, 0.06, 0.06, 0.06, 0.06)
PA_AO_MEAN, PA_AO_SD = 1.16, 0.18
SMALL_ARCH, LARGE_AORTA = 0.7, 1.2  # Ao/PA below and above
PA, AO, SVC, TRACHEA = (
    Structure.PULMONARY_ARTERY,
    Structure.AORTIC_ARCH,
    Structure.SUPERIOR_VENA_CAVA,
    Structure.TRACHEA,
)
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """One fetus: diameters and courses in mm. Vessel courses run from the heart to where they join.

    veins: the superior vena cava, and a left one in that variant. arch_right: the arch passes the trachea on the
    fetal right. thorax_mm: half axes, left-right and front-back.
    """

    gestational_weeks: float
    variant: Variant
    thorax_mm: Point
    diameter_mm: dict[Structure, float]
    pulmonary_artery: Path
    aortic_arch: Path
    veins: tuple[Point, ...]
    trachea: Point
    descending_aorta: Point
    spine: Point
    spine_mm: Point  # half axes
    arch_right: bool

    @property
    def unit(self) -> float:
        """Size relative to a thorax of 68 mm."""
        return (self.thorax_mm[0] + self.thorax_mm[1]) / 68


def draw_anatomy(
    rng: np.random.Generator, gestational_weeks: float | None = None, variant: Variant | None = None
) -> Anatomy:
    """A fetus of MIN_WEEKS to MAX_WEEKS; what is not given is drawn. Raises ValueError outside that range."""
    drawn = float(rng.uniform(MIN_WEEKS, MAX_WEEKS))
    weeks = drawn if gestational_weeks is None else gestational_weeks
    if not MIN_WEEKS <= weeks <= MAX_WEEKS:
        raise ValueError(f"{weeks} weeks; this phantom covers {MIN_WEEKS:.0f} to {MAX_WEEKS:.0f}")
    kind: Variant = VARIANTS[int(rng.choice(len(VARIANTS), p=VARIANT_SHARES))]
    kind = kind if variant is None else variant
    radius = thorax_mm(weeks) / 2 * float(rng.normal(1, 0.05))
    unit = radius / 34  # the layout below is for a thorax of 68 mm
    diameter = draw_diameters(rng, weeks, kind)
    pa, ao, svc, trachea = (diameter[s] / 2 for s in (PA, AO, SVC, TRACHEA))
    gap = 0.5 + 0.25 * unit

    def near(x: float, y: float, spread: float = 1.0) -> NDArray[np.float64]:
        return np.array([x, y]) * unit + rng.normal(0, spread * unit, 2)

    spine = near(0, -23.5)
    right_arch, right_duct = kind.startswith("right_arch"), kind == "right_arch_right_duct"
    side = -1.0 if right_arch else 1.0  # of the trachea, on which the arch passes
    trachea_at = near(1.5 if right_arch else -3.5, -8.0, 0.8)
    junction = near(5.0 * side, -14.5)
    pa_start = near(7.5, 13.5, 1.4)
    ao_start = pa_start + np.array([-(pa + ao) * rng.uniform(1.4, 2.0) - gap, -rng.uniform(1, 4.5) * unit])
    beside = trachea + 0.8 + float(rng.uniform(0.2, 1.2))  # from the trachea's middle to the nearest vessel's wall
    if right_duct:  # the duct runs between arch and trachea
        duct_at = np.array([trachea_at[0] - beside - pa, trachea_at[1]])
        arch_at = duct_at - [pa + ao + gap, 0.0]
    else:
        arch_at = np.array([trachea_at[0] + side * (beside + ao), trachea_at[1]])
        duct_at = np.array([trachea_at[0] + beside + pa, trachea_at[1]])
    junction[0] = 0.5 * junction[0] + 0.5 * (arch_at[0] + 1.2 * side * unit)
    if right_arch and not right_duct:  # the duct passes left of the trachea and joins the arch behind it: a U
        behind = np.array([junction[0] + ao * 0.5, junction[1] - 0.5])
        arch = _through(ao_start, arch_at, junction)
        first = bezier(pa_start, np.array([duct_at[0] + 2.0 * unit, pa_start[1] * 0.4]), duct_at, 9)
        duct = np.concatenate([first, bezier(duct_at, np.array([duct_at[0] + 0.5, behind[1] - 2.0]), behind, 7)[1:]])
    else:
        arch = _through(ao_start, arch_at, junction)
        way = (pa_start + junction) / 2 + near(1.0, 0, 0.8) if not right_duct else duct_at
        duct = _through(pa_start, way, junction)
        aside = np.array([0.4 * unit, 0.0])
        for _ in range(0 if right_duct else 20):  # two lumens over the first third at least
            if _gap(arch, duct) > pa + ao + gap:
                break
            pa_start, way = pa_start + aside, way + aside
            duct = _through(pa_start, way, junction)
    svc_at = ao_start + np.array([-(ao + svc) * rng.uniform(1.25, 1.9) - gap, -rng.uniform(0.5, 5) * unit])
    svc_at[0] = min(svc_at[0], arch[:, 0].min() - (ao + svc + gap) * (1.0 if right_arch else 0.0))
    veins = [_point(svc_at)]
    if kind == "left_svc":
        left = np.array([(pa + svc) * rng.uniform(1.2, 1.7) + gap, -rng.uniform(0, 6) * unit])
        veins.append(_point(pa_start + left))
    descending = junction + (spine - junction) * min(ao * 0.9 / max(float(np.hypot(*(spine - junction))), 1e-6), 0.5)
    return Anatomy(
        gestational_weeks=weeks,
        variant=kind,
        thorax_mm=(radius * float(rng.uniform(0.97, 1.1)), radius * float(rng.uniform(0.88, 1.0))),
        diameter_mm=diameter,
        pulmonary_artery=duct,
        aortic_arch=arch,
        veins=tuple(veins),
        trachea=_point(trachea_at),
        descending_aorta=_point(descending),
        spine=_point(spine),
        spine_mm=(5.2 * unit * float(rng.normal(1, 0.08)), 4.2 * unit * float(rng.normal(1, 0.08))),
        arch_right=right_arch,
    )


def thorax_mm(weeks: float) -> float:
    """Mean thorax diameter."""
    return 52 + (weeks - 22) * (83 - 52) / 12


def draw_diameters(rng: np.random.Generator, weeks: float, variant: Variant) -> dict[Structure, float]:
    """Diameters in mm. Normal: Ao/PA stays between the cut-offs of the variants, which lie beyond them."""
    expected = {s: line.diameter_mm(weeks) for s, line in ZALEL_2004.items()}
    usual, spread_ratio = expected[PA] / expected[AO], PA_AO_SD / PA_AO_MEAN
    ratio = usual * float(rng.normal(1, spread_ratio))
    while not 1 / LARGE_AORTA < ratio < 1 / SMALL_ARCH:
        ratio = usual * float(rng.normal(1, spread_ratio))
    spread, small, large, vein, pipe = (
        float(v)
        for v in (rng.normal(1, 0.07), rng.uniform(0.45, 0.68), rng.uniform(1.22, 1.7), *rng.normal(1, 0.09, 2))
    )
    middle = np.sqrt(expected[PA] * expected[AO]) * spread
    if variant == "small_arch":
        great, arch = expected[PA] * spread * 1.05, expected[PA] * spread * 1.05 * small
    elif variant == "large_aorta":
        arch = expected[AO] * spread * 1.15
        great = arch / large
    else:
        great, arch = middle * np.sqrt(ratio), middle / np.sqrt(ratio)
    return {
        PA: float(great),
        AO: float(arch),
        SVC: expected[SVC] * vein,
        TRACHEA: (0.12 * weeks - 0.5) * pipe,
    }


def _through(start: Path, middle: Path, end: Path) -> Path:
    """A curve that passes ``middle`` half-way."""
    return bezier(start, 2 * middle - (start + end) / 2, end)


def _gap(arch: Path, duct: Path) -> float:
    """Least distance of the two courses over the arch's first third, in mm."""
    third = arch[: len(arch) // 3 + 1, None, :]
    return float(np.hypot(*(third - duct[None]).transpose(2, 0, 1)).min())


def _point(at: NDArray[np.float64]) -> Point:
    return float(at[0]), float(at[1])
