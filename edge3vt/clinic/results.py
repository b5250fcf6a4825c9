"""What a study's readings come to, drawing by drawing: scores against the reference, areas and widths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edge3vt.clinic.collection import Readings
from edge3vt.clinic.measure import WIDTHS, measure
from edge3vt.clinic.outline import mask_of
from edge3vt.clinic.reference import overlap, reference
from edge3vt.clinic.study import AI, SECRET, Case, Key, Study, given_of
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.errors import DataError
from edge3vt.core.metrics import confusion, dice, iou, pixel_accuracy
from edge3vt.core.segmentation import Mask
from edge3vt.picture.images import read_image

Arm = Literal["reader", "ai", "assisted"]
ARMS: tuple[Arm, ...] = ("reader", "ai", "assisted")
Measures = Callable[[Mask, float | None], Mapping[str, float | None]]
"""Of a mask and its mm per px: named numbers, None where one is withheld."""


@dataclass(frozen=True, slots=True)
class Score:
    """One structure. dice, iou, pa: counted where the reference holds it, as in docs/accuracy.md."""

    dice: float | None
    iou: float | None
    pa: float | None
    found_px: int
    true_px: int


@dataclass(frozen=True, slots=True)
class Result:
    """One drawing of a case. reader: "" in the AI's arm. seconds: None where they were not taken.

    measures: name -> found and reference. planted: the structure given wrong in this case, "" for none; followed:
    whether what was drawn of it is nearer to the wrong contour than to the reference.
    """

    arm: Arm
    reader: str
    case: str
    patient: str
    session: int
    seconds: float | None
    scores: dict[str, Score]
    measures: dict[str, tuple[float | None, float | None]]
    planted: str = ""
    followed: bool | None = None

    def mean(self, measure: Literal["dice", "iou", "pa"]) -> float | None:
        """Over the structures that the reference holds."""
        values = [value for score in self.scores.values() if (value := getattr(score, measure)) is not None]
        return float(np.mean(values)) if values else None


def widths(mask: Mask, mm_per_px: float | None) -> dict[str, float | None]:
    """Widths in mm, None without a scale, and PA/Ao of a mask of the view, as ``clinic.measure`` has them."""
    found = measure(mask, [1.0] * len(CLASS_NAMES), mm_per_px or 1.0)
    values: dict[str, float | None] = {}
    for name in (*WIDTHS, "pa_ao"):
        value = found[name].value
        values[name] = value if isinstance(value, float) and (mm_per_px or name == "pa_ao") else None
    return values


def measures_of(study: Study) -> Measures:
    """Widths for classes of the view, nothing for others."""
    return widths if study.classes == CLASS_NAMES else lambda mask, mm_per_px: {}


def results(
    folder: Path,
    study: Study,
    key: Key,
    readings: Readings,
    measures: Measures,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Result], dict[str, tuple[str, ...]]]:
    """Every drawing that is done, and the structures that the adjudicator decided in each case.

    Raises DataError where the reference is not whole.
    """
    masks, decided = reference(folder, study)
    found = []
    for place, case in enumerate(study.cases):
        origin, true = key.of(case.id), masks[case.id]
        own = measures(true, origin.mm_per_px)
        wrong = None
        if origin.planted:
            wrong = mask_of(given_of(folder, case.id), study.classes, case.width, case.height)
        for drawn in _drawings(folder, study, readings, case):
            theirs = measures(drawn.mask, origin.mm_per_px)
            found.append(
                Result(
                    drawn.arm,
                    drawn.reader,
                    case.id,
                    origin.patient,
                    drawn.session,
                    drawn.seconds,
                    scores(true, drawn.mask, study),
                    {name: (theirs[name], own[name]) for name in own},
                    origin.planted,
                    None if wrong is None else follows(drawn.mask, wrong, true, study.classes.index(origin.planted)),
                )
            )
        told(place + 1, len(study.cases))
    return found, decided


def scores(true: Mask, mask: Mask, study: Study) -> dict[str, Score]:
    """Of each structure of the study."""
    counts = confusion(true, mask, len(study.classes))
    shares = [np.asarray(share(counts), np.float64) for share in (dice, iou, pixel_accuracy)]
    found = {}
    for name in study.structures:
        label = study.classes.index(name)
        true_px = int(counts[label].sum())
        own_dice, own_iou, own_pa = (float(share[label]) if true_px else None for share in shares)
        found[name] = Score(own_dice, own_iou, own_pa, int(counts[:, label].sum()), true_px)
    return found


def follows(drawn: Mask, wrong: Mask, true: Mask, label: int) -> bool:
    """Whether what was drawn of a structure is nearer, by Dice, to the wrong contour than to the reference."""
    return overlap(drawn == label, wrong == label) > overlap(drawn == label, true == label)


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    arm: Arm
    reader: str
    session: int
    mask: Mask
    seconds: float | None


def _drawings(folder: Path, study: Study, readings: Readings, case: Case) -> Iterator[_Drawn]:
    ai = read_image(folder / SECRET / AI / f"{case.id}.png")
    if ai.shape != (case.height, case.width):
        raise DataError(f"{folder}: the AI's mask of {case.id} has another size than its picture; restore the plan")
    labels = [study.classes.index(name) for name in study.structures]
    yield _Drawn("ai", "", 0, np.where(np.isin(ai, labels), ai, 0).astype(np.uint8), None)
    readers = study.of("reader")
    for session in study.sessions:
        reading = readings.get((session.reader, session.number, case.id))
        if session.reader in readers and reading is not None and reading.drawing.done:
            mask = mask_of(reading.drawing.contours, study.classes, case.width, case.height)
            arm: Arm = "assisted" if case.id in session.with_ai else "reader"
            seconds = reading.drawing.seconds if reading.timed else None
            yield _Drawn(arm, session.reader, session.number, mask, seconds)
