"""What the view is measured for, of one frame: widths, their ratio, the arches' shape, order and sides.

Numbers with a confidence each, withheld where that is not earned; no diagnosis. What each one is: docs/measure.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edge3vt.clinic.arches import Arch, Axis, axis, oriented, passage, shape, side_of
from edge3vt.clinic.confidence import EARNED, Factor, Value, judged, missing, ramp
from edge3vt.clinic.vessel import Piece, course, pieces
from edge3vt.core.anatomy import CLASS_NAMES, Structure
from edge3vt.core.errors import DataError
from edge3vt.core.segmentation import Mask, Segmentation
from edge3vt.picture.view import Side

PA, AO, SVC, TRACHEA, SPINE = (
    Structure.PULMONARY_ARTERY,
    Structure.AORTIC_ARCH,
    Structure.SUPERIOR_VENA_CAVA,
    Structure.TRACHEA,
    Structure.SPINE,
)
WIDTHS = tuple(f"{CLASS_NAMES[s]}_width" for s in (PA, AO, SVC, TRACHEA))
NAMES = (*WIDTHS, "pa_ao", "arches", "vessels", "order", "arch_side", "duct_side")
"""In this order everywhere. Widths are numbers in mm or px, pa_ao and vessels numbers, the others words."""
NARROW_PX, WIDE_PX = 2.0, 6.0  # of the mask: no confidence, and all of it
UNEVEN = 0.6  # of the median width: no confidence where the 10th and 90th percentile lie so far apart


@dataclass(frozen=True, slots=True)
class FrameMeasure:
    """One frame. unit: of its widths, "mm", or "px" of the frame where its spacing is unknown.

    uncounted: why the frame cannot count, all is withheld then; empty for one that does. values: by NAMES.
    """

    frame: int
    captured_ns: int
    epoch: int
    unit: str
    uncounted: str
    values: dict[str, Value]


def measured(seg: Segmentation, classes: tuple[str, ...] | None = None, fetal_left: Side = "") -> FrameMeasure:
    """A frame that left the loop. classes: the engine's. Raises DataError for a spacing that is no length."""
    frame = seg.frame
    unit = spacing_unit(frame.mm_per_px, frame.index)
    why = uncounted(seg, classes)
    if why or seg.mask is None or seg.crop is None:
        values = dict.fromkeys(NAMES, missing(why))
    else:
        scale = seg.crop.side / seg.crop.size * (frame.mm_per_px or 1.0)
        values = measure(seg.mask, seg.scores, scale, fetal_left)
    return FrameMeasure(frame.index, frame.captured_ns, frame.epoch, unit, why, values)


def spacing_unit(mm_per_px: float | None, index: int) -> str:
    """The unit of the widths. Raises DataError for a spacing that is no length."""
    if mm_per_px is None:
        return "px"
    if not (math.isfinite(mm_per_px) and mm_per_px > 0):
        raise DataError(
            f"frame {index}: a spacing of {mm_per_px:g} mm, expected a positive number; "
            "correct the clip's scale, or leave it out and widths are in px"
        )
    return "mm"


def uncounted(seg: Segmentation, classes: tuple[str, ...] | None) -> str:
    """Why a frame cannot count, or "": its mask has to be its own, shown, and of a picture not seen before."""
    if classes is not None and classes != CLASS_NAMES:
        return "the engine's classes are not those of the view"
    if seg.mask is None or seg.crop is None:
        return seg.withheld or "no mask"
    if seg.mask_age_ns != 0:
        return "the mask is of an earlier frame"
    if not seg.shown:
        return seg.withheld or "not shown"
    return "" if seg.frame.repeat_of is None else "the picture repeats an earlier one"


def measure(mask: Mask, scores: Sequence[float], scale: float, fetal_left: Side = "") -> dict[str, Value]:
    """A mask of the view, by NAMES. scores: per class, 0 to 1; scale: length of a mask pixel's edge.

    fetal_left: where on the picture the left of the fetus lies, as the operator set it; without it, no sides.
    """
    parts = {s: pieces(mask, s) for s in (PA, AO, SVC, TRACHEA, SPINE)}
    there = {s: _there(s, parts[s], scores) for s in parts}
    sure = {s: _one(s, parts[s], there[s]) for s in parts}
    spine = parts[SPINE][0] if parts[SPINE] and scores[SPINE] >= EARNED else None
    arches = _arches(mask, parts[PA], parts[AO], spine)
    widths = {s: _arch_width(s, arches[s], sure[s], scale) for s in (PA, AO)}
    widths |= {s: _round_width(s, parts[s], sure[s], scale) for s in (SVC, TRACHEA)}
    values = {f"{CLASS_NAMES[s]}_width": value for s, value in widths.items()}
    values["pa_ao"] = _ratio(widths[PA], widths[AO])
    artery, aorta = arches[PA], arches[AO]
    known = min(sure[PA], sure[AO])
    if artery is None or aorta is None:
        uncut = missing(known[1] if known[0] < EARNED else "the arches are not cut along")
        values |= dict.fromkeys(("arches", "order", "arch_side", "duct_side"), uncut)
    else:
        along = axis(artery, aorta, spine)
        values |= _passing(artery, aorta, along, parts[TRACHEA], min(known, there[TRACHEA]), fetal_left)
        values["order"] = _order(artery, aorta, along, parts[SVC], min(known, sure[SVC]))
    values["vessels"] = _count(parts[SVC], min(known, sure[SVC]))
    return {name: values[name] for name in NAMES}


def _name(structure: Structure) -> str:
    return CLASS_NAMES[structure].replace("_", " ")


def _there(structure: Structure, parts: tuple[Piece, ...], scores: Sequence[float]) -> Factor:
    """How sure it is that a structure is there, as a whole."""
    name = _name(structure)
    if not parts:
        return 0.0, f"{name} not found"
    touching = 0.0 if any(part.cut for part in parts) else 1.0
    return min(
        (float(scores[structure]), f"the network is not sure of the {name}"),
        (touching, f"{name} touches the edge of the picture"),
    )


def _one(structure: Structure, parts: tuple[Piece, ...], there: Factor) -> Factor:
    """And in one piece. There may be two superior venae cavae."""
    second = parts[1].pixels / parts[0].pixels if len(parts) > 1 and structure != SVC else 0.0
    return min(there, (1 - second, f"{_name(structure)} in {len(parts)} pieces"))


def _arches(
    mask: Mask, artery: tuple[Piece, ...], aorta: tuple[Piece, ...], spine: Piece | None
) -> dict[Structure, Arch | None]:
    both = {
        s: course(parts[0], (mask != s) & (mask > 0)) if parts else None for s, parts in ((PA, artery), (AO, aorta))
    }
    found: dict[Structure, Arch | None] = {PA: None, AO: None}
    for own, other in ((PA, AO), (AO, PA)):
        if (way := both[own]) is not None:
            found[own] = oriented(way, both[other], spine)
    return found


def _arch_width(structure: Structure, arch: Arch | None, sure: Factor, scale: float) -> Value:
    """The median width of the heart's half of the course, a radius from its tip, where both walls are free."""
    if arch is None:
        return missing(sure[1] if sure[0] < 0.5 else f"{_name(structure)} is not cut along")
    along, radius = arch.course.along_px, arch.width_px / 2
    half = (along >= 1.1 * radius) & (along <= radius + (along[-1] - 2 * radius) / 2)
    widths = arch.course.width_px[half & arch.course.free]
    hidden = f"too little of the {_name(structure)} stands free"
    if len(widths) < 3:
        return missing(hidden)
    width = float(np.median(widths))
    low, high = np.percentile(widths, (10, 90))
    return judged(
        width * scale,
        sure,
        arch.heart,
        (min(ramp(len(widths), 0, width), ramp(len(widths) / int(half.sum()), 0.4, 1)), hidden),
        (1 - ramp(float(high - low) / width, 0, UNEVEN), f"the {_name(structure)} is of uneven width"),
        _wide(structure, width),
    )


def _round_width(structure: Structure, parts: tuple[Piece, ...], sure: Factor, scale: float) -> Value:
    """The diameter of a circle as large as the section of what is cut across; of several the largest."""
    if not parts:
        return missing(sure[1])
    slant = 1 - ramp(parts[0].ratio, 1, 3)
    return judged(
        parts[0].diameter_px * scale,
        sure,
        (slant, f"{_name(structure)} is not cut across"),
        _wide(structure, parts[0].diameter_px),
    )


def _wide(structure: Structure, width_px: float) -> Factor:
    return ramp(width_px, NARROW_PX, WIDE_PX), f"{_name(structure)} is {width_px:.1f} px wide, too few to measure"


def _ratio(artery: Value, aorta: Value) -> Value:
    for one in (artery, aorta):
        if not isinstance(one.value, float):
            return Value(None, one.confidence, one.withheld)
    assert isinstance(artery.value, float)
    assert isinstance(aorta.value, float)
    return judged(artery.value / aorta.value, (min(artery.confidence, aorta.confidence), ""))


def _passing(
    artery: Arch, aorta: Arch, along: Axis, tracheas: tuple[Piece, ...], known: Factor, fetal_left: Side
) -> dict[str, Value]:
    """ "arches", "arch_side" and "duct_side"; of a trachea in pieces, what holds whichever of them it is."""
    names = ("arches", "arch_side", "duct_side")
    if not tracheas:
        return dict.fromkeys(names, missing(known[1]))
    told = [_passing_one(artery, aorta, along, trachea, known, fetal_left) for trachea in tracheas]
    values = {}
    for name, each in zip(names, zip(*told, strict=True), strict=True):
        weakest = min(each, key=lambda value: value.confidence)
        alike = weakest.value is None or len({value.value for value in each}) == 1
        values[name] = weakest if alike else missing(f"trachea in {len(tracheas)} pieces")
    return values


def _passing_one(
    artery: Arch, aorta: Arch, along: Axis, trachea: Piece, known: Factor, fetal_left: Side
) -> tuple[Value, Value, Value]:
    duct, arch = (passage(one, trachea, along, name) for one, name in ((artery, "duct"), (aorta, "arch")))
    found = shape(artery, aorta, trachea, duct, arch, known)
    agreed: Factor = (found.confidence, found.withheld)
    return found, side_of(arch, along, fetal_left, agreed), side_of(duct, along, fetal_left, agreed)


def _count(veins: tuple[Piece, ...], known: Factor) -> Value:
    """Pulmonary artery, arch and every superior vena cava."""
    sizes = [_wide(SVC, vein.diameter_px) for vein in veins]
    if len(veins) > 1:
        alike = veins[-1].pixels / veins[0].pixels
        sizes.append((ramp(alike, 0.25, 0.75), "whether there is a second superior vena cava is not plain"))
    return judged(2 + len(veins), known, *sizes)


def _order(artery: Arch, aorta: Arch, along: Axis, veins: tuple[Piece, ...], known: Factor) -> Value:
    """The three vessels by how far in front of the spine their foremost ends lie, the nearest first."""
    if not along.by_spine:
        return missing("spine not found")
    if len(veins) != 1:
        return missing(f"{len(veins)} superior venae cavae" if veins else known[1])
    radius = veins[0].diameter_px / 2
    away = {
        PA: float(along.ahead(artery.course.line[0])),
        AO: float(along.ahead(aorta.course.line[0])),
        SVC: float(along.ahead(veins[0].at)) + radius,
    }
    order = sorted(away, key=lambda s: away[s])
    gap = min(away[b] - away[a] for a, b in pairwise(order))
    words = "two of the vessels reach equally far from the spine"
    names = ", ".join(_name(s) for s in order)
    return judged(names, known, artery.heart, aorta.heart, (ramp(gap, 0, radius), words))
