"""What a study comes to, as a document: accuracy by arm, agreement, tests, time, and who followed wrong contours."""

from __future__ import annotations

from dataclasses import dataclass

from edge3vt.clinic.agreement import Agreement, Icc
from edge3vt.clinic.mixed import Estimate, Interval
from edge3vt.clinic.results import Arm
from edge3vt.core.errors import ConfigError

SCORES = ("dice", "iou", "pa")
MEAN = "mean"  # over structures, in the place of one


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of an arm, by structure and "mean". missed: drawings without a structure that is there; extra: the reverse."""

    arm: Arm
    structure: str
    drawings: int
    dice: Estimate | None
    iou: Estimate | None
    pa: Estimate | None
    missed: int
    extra: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Agreement of an arm with the reference in one measure.

    scale: "log": of ratios, whose exponential is a factor; "linear": in the measure's unit. icc: between readers.
    without: drawings in which this or the reference has no value.
    """

    arm: Arm
    measure: str
    scale: str
    unit: str
    without: int
    agreement: Agreement
    icc: Icc | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """``one`` less ``other`` on the same pictures, by the same readers. p_holm: of all comparisons together."""

    one: Arm
    other: Arm
    measure: str
    drawings: int
    difference: Estimate
    p_holm: float


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds a case. ratio: with the AI to alone, of the same reader on the same picture; None where not timed."""

    median: dict[str, float]
    ratio: Estimate | None
    pairs: int


@dataclass(frozen=True, slots=True)
class Following:
    """Drawings of planted structures that are nearer to the wrong contour than to the reference.

    interval: by patient; where all do, or none, by Clopper and Pearson 1934 with pictures as the trials.
    alone: the same of readers who were not shown the contour: what chance and the vessels themselves make.
    """

    pictures: int
    drawings: int
    followed: int
    share: float
    interval: Interval | None
    alone_drawings: int
    alone_followed: int
    by_reader: dict[str, float]


@dataclass(frozen=True, slots=True)
class Summary:
    """All of it. lacking: problems that the readings still had, where they were summarised all the same.

    decided: structures of all cases that the adjudicator decided, of how many.
    """

    schema: int
    edge3vt: str
    made: str
    study: str
    title: str
    ai: str
    set: str
    cases: int
    patients: int
    planted: int
    readers: tuple[str, ...]
    structures: tuple[str, ...]
    decided: int
    decisions: int
    lacking: tuple[str, ...]
    accuracy: tuple[Accuracy, ...]
    measured: tuple[Measured, ...]
    comparisons: tuple[Comparison, ...]
    time: Time | None
    following: Following | None

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the summary is not known, expected 1; update edge3vt")
