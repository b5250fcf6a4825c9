"""The record of ``clinic.judge``: each measurement against the truth, by frame and cine, and which limits it kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge3vt.clinic.cine import Robust
from edge3vt.clinic.confidence import Value
from edge3vt.clinic.measure import WIDTHS
from edge3vt.core.errors import ConfigError

Masks = Literal["true", "engine"]
MOST_BIAS, MOST_SD, LEAST_RIGHT = 0.05, 0.10, 0.95
WORDS = ("arches", "arch_side", "duct_side")


@dataclass(frozen=True, slots=True)
class Group:
    """shown: the least share of view frames that has to have V or U and the sides."""

    name: str
    weeks: tuple[float, float]
    first_seed: int
    shown: float


GROUPS = (Group("24-36 weeks", (24.0, 36.0), 8_000_000, 0.8), Group("18-23 weeks", (18.0, 24.0), 8_100_000, 0.6))


@dataclass(frozen=True, slots=True)
class Tally:
    """One measurement over frames, or over cines. shown: the share that has a value; withheld: why the rest has none.

    bias, sd: of the error of numbers: of PA/Ao itself, of a width as a part of the true one. right: share of the words,
    and counts, that are. None where there is nothing to tell.
    """

    shown: float
    bias: float | None
    sd: float | None
    right: float | None
    withheld: dict[str, int]


@dataclass(frozen=True, slots=True)
class Judged:
    """One group with one kind of masks. overlay: share of frames that count, for their own mask is shown."""

    group: str
    masks: Masks
    fetuses: int
    frames: int
    overlay: float
    by_frame: dict[str, Tally]
    by_cine: dict[str, Tally]


@dataclass(frozen=True, slots=True)
class Limit:
    name: str
    value: float | None
    limit: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Record:
    """engine_sha256: of its manifest."""

    schema: int
    edge3vt: str
    made: str
    model_id: str
    engine_sha256: str
    seconds: float
    rate_hz: float
    passed: bool
    limits: tuple[Limit, ...]
    groups: tuple[Judged, ...]

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the record is not known, expected 1; update edge3vt")


Truth = dict[str, float | str]
Pair = tuple[Value | Robust, float | str]


def tally(name: str, pairs: Sequence[Pair]) -> Tally:
    """What was found and what is true, of one measurement."""
    told = [(found.value, true) for found, true in pairs if found.value is not None]
    why = Counter(_reason(found.withheld) for found, _ in pairs if found.value is None)
    errors, right = [], []
    for value, true in told:
        if name == "pa_ao" or name in WIDTHS:
            error = float(value) - float(true)
            errors.append(error if name == "pa_ao" else error / float(true))
        else:
            right.append(value == true)
    return Tally(
        shown=round(len(told) / max(len(pairs), 1), 4),
        bias=round(float(np.mean(errors)), 4) if errors else None,
        sd=round(float(np.std(errors, ddof=1)), 4) if len(errors) > 1 else None,
        right=share(right) if right else None,
        withheld=dict(why.most_common()),
    )


def _reason(words: str) -> str:
    """Without figures, so that it can be counted."""
    return " ".join("N" if any(c.isdigit() for c in word) else word for word in words.split())


def share(flags: Sequence[bool]) -> float:
    """Of flags that are set."""
    return round(float(np.mean(flags)), 4) if flags else 0.0


def limits(judged: Sequence[Judged]) -> tuple[Limit, ...]:
    """Of every group, by frame. One without a single value has missed."""
    least = {group.name: group.shown for group in GROUPS}
    found = []
    for one in judged:
        where, ratio = f"{one.group}, {one.masks} masks", one.by_frame["pa_ao"]
        for what, value, most in (("|bias|", ratio.bias, MOST_BIAS), ("SD", ratio.sd, MOST_SD)):
            passed = value is not None and abs(value) <= most
            found.append(Limit(f"PA/Ao {what}, {where}", value, f"<= {most:g}", passed))
        for name in WORDS:
            word = one.by_frame[name]
            passed = word.right is not None and word.right >= LEAST_RIGHT
            found.append(Limit(f"{name} right, {where}", word.right, f">= {LEAST_RIGHT:g}", passed))
            enough = word.shown >= least[one.group]
            found.append(Limit(f"{name} shown, {where}", word.shown, f">= {least[one.group]:g}", enough))
    return tuple(found)
