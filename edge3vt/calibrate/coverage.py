"""Do the pictures of a calibration set cover what a scanner will show, and may they be used? Pure: values in, findings
out; whoever made the pictures tells what is known of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Severity = Literal["error", "warning"]
Span = tuple[float, float]  # the 10th and the 90th percentile

ENOUGH = 300  # pictures; like the other limits our own choice
LEVELS = 16.0  # grey levels: one cine spans 0 to 5, seven screens of one scanner 22, sets of many scans 46 to 58
DEPTHS = 1.25  # times, between the shallow and the deep tenth
WEEKS = 6.0  # of gestation, between the young and the old tenth
SHOWN = 5  # pictures that a line names


@dataclass(frozen=True, slots=True)
class Rule:
    """expected: what holds where the rule does. remedy: what to do where it does not."""

    severity: Severity
    expected: str
    remedy: str


RULES: dict[str, Rule] = {
    "uncropped": Rule(
        "error",
        "pictures hold ultrasound only: no lettering beside it, nothing lit outside their region",
        "cut them to the ultrasound region, or import them: edge3vt data import --region",
    ),
    "test-patient": Rule(
        "error",
        "no picture shows a patient of the data set's test split",
        'add split = "train" to the set, or split the data set by patient: edge3vt data split',
    ),
    "few-pictures": Rule("warning", f"{ENOUGH} pictures or more", "raise count, or record more"),
    "near-duplicates": Rule("warning", "no two pictures are nearly the same", "take other pictures, or fewer a cine"),
    "narrow-gain": Rule(
        "warning", f"mean grey levels spread over {LEVELS:g} or more", "add pictures of other gain and other scanners"
    ),
    "narrow-depth": Rule(
        "warning", f"deep pictures are {DEPTHS:g} times as wide as shallow ones", "add pictures of other depths"
    ),
    "narrow-age": Rule("warning", f"gestational ages spread over {WEEKS:g} weeks", "add younger or older fetuses"),
    "no-closer-look": Rule(
        "warning",
        "some pictures are cut around the structures, as live tracking cuts them",
        "add track_share = 0.3 to the set; it takes masks",
    ),
    "class-absent": Rule("warning", "every structure is in some picture", "add pictures that show it"),
    "unlabelled": Rule("warning", "what structures the pictures hold is known", "label some of them"),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one picture as the network sees it; None where it is unknown.

    level: mean grey level of what is not black. width_mm: of its square. closer: cut around the structures. weeks: of
    gestation. classes: the structures it holds. uncropped: what was found that is no ultrasound; None for nothing.
    """

    id: str
    level: float
    closer: bool = False
    width_mm: float | None = None
    weeks: float | None = None
    classes: frozenset[str] | None = None
    patient: str | None = None
    uncropped: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule broken. pictures: those concerned; none where it is the whole set."""

    rule: str
    severity: Severity
    pictures: tuple[str, ...]
    text: str

    @property
    def line(self) -> str:
        shown, more = ", ".join(self.pictures[:SHOWN]), len(self.pictures) - SHOWN
        which = f" ({shown}{f' and {more} more' if more > 0 else ''})" if shown else ""
        return f"{self.severity} {self.rule}: {self.text}{which}; {RULES[self.rule].remedy}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the set spans; None where too little is known. classes: pictures that hold each, of those labelled."""

    pictures: int
    closer: int
    labelled: int
    level: Span | None
    width_mm: Span | None
    weeks: Span | None
    classes: dict[str, int]

    @property
    def line(self) -> str:
        spans = (("grey levels", self.level), ("mm wide", self.width_mm), ("weeks", self.weeks))
        told = [f"{name} unknown" if span is None else f"{span[0]:.0f}-{span[1]:.0f} {name}" for name, span in spans]
        return f"{self.pictures} pictures, {self.closer} seen closer, {self.labelled} labelled; {', '.join(told)}"


@dataclass(frozen=True, slots=True)
class Audit:
    """What the set spans, and every finding, errors first."""

    coverage: Coverage
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)


def audit(
    pictures: Sequence[Seen],
    classes: Sequence[str],
    *,
    alike: Sequence[tuple[str, str]] = (),
    reserved: Collection[str] = (),
) -> Audit:
    """Judge a set. classes: the model's structures. alike: ids of near-duplicates; reserved: patients of the test."""
    labelled = [seen.classes for seen in pictures if seen.classes is not None]
    coverage = Coverage(
        pictures=len(pictures),
        closer=sum(seen.closer for seen in pictures),
        labelled=len(labelled),
        level=_span([seen.level for seen in pictures]),
        width_mm=_span([seen.width_mm for seen in pictures if seen.width_mm is not None and not seen.closer]),
        weeks=_span([seen.weeks for seen in pictures if seen.weeks is not None]),
        classes={name: sum(name in held for held in labelled) for name in classes},
    )
    found = [
        *_errors(pictures, reserved),
        *_repeats(pictures, alike),
        *_narrow(coverage),
        *_structures(coverage),
    ]
    order = list(RULES)
    found.sort(key=lambda each: order.index(each[0]))
    return Audit(coverage, tuple(Finding(rule, RULES[rule].severity, ids, text) for rule, ids, text in found))


_Found = tuple[str, tuple[str, ...], str]


def _errors(pictures: Sequence[Seen], reserved: Collection[str]) -> list[_Found]:
    found: list[_Found] = []
    if uncropped := [seen for seen in pictures if seen.uncropped is not None]:
        text = f"{len(uncropped)} of {len(pictures)} pictures hold more than ultrasound: {uncropped[0].uncropped}"
        found.append(("uncropped", tuple(seen.id for seen in uncropped), text))
    if shared := [seen for seen in pictures if seen.patient in reserved and seen.patient is not None]:
        text = f"{len(shared)} of {len(pictures)} pictures show patients whom the test split holds"
        found.append(("test-patient", tuple(seen.id for seen in shared), text))
    return found


def _repeats(pictures: Sequence[Seen], alike: Sequence[tuple[str, str]]) -> list[_Found]:
    found: list[_Found] = []
    if len(pictures) < ENOUGH:
        found.append(("few-pictures", (), f"{len(pictures)} pictures, expected {ENOUGH} or more"))
    repeated = tuple(dict.fromkeys(second for _, second in alike))
    if repeated:
        text = f"{len(repeated)} of {len(pictures)} pictures are nearly the same as another"
        found.append(("near-duplicates", repeated, text))
    return found


def _narrow(coverage: Coverage) -> list[_Found]:
    """Percentiles, so that one odd picture does not make a set wide."""
    found: list[_Found] = []
    if coverage.level and coverage.level[1] - coverage.level[0] < LEVELS:
        low, high = coverage.level
        found.append(("narrow-gain", (), f"mean grey levels run from {low:.0f} to {high:.0f}"))
    if coverage.width_mm and coverage.width_mm[1] < DEPTHS * coverage.width_mm[0]:
        low, high = coverage.width_mm
        found.append(("narrow-depth", (), f"pictures are {low:.0f} to {high:.0f} mm wide"))
    if coverage.weeks and coverage.weeks[1] - coverage.weeks[0] < WEEKS:
        low, high = coverage.weeks
        found.append(("narrow-age", (), f"gestational ages run from {low:.1f} to {high:.1f} weeks"))
    if not coverage.closer:
        found.append(("no-closer-look", (), "every picture is a whole region"))
    return found


def _structures(coverage: Coverage) -> list[_Found]:
    if not coverage.labelled:
        return [("unlabelled", (), "no picture is labelled, so nobody knows which structures they hold")]
    absent = [name for name, count in coverage.classes.items() if not count]
    return [("class-absent", (), f"no labelled picture holds {', '.join(absent)}")] if absent else []


def _span(values: Sequence[float]) -> Span | None:
    """None for fewer than two."""
    if len(values) < 2:
        return None
    low, high = np.percentile(values, (10, 90)).tolist()
    return round(low, 3), round(high, 3)
