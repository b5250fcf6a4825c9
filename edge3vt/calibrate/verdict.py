"""The verdict: which precision each structure can afford, and whether INT8 is worth it here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edge3vt.core.errors import ConfigError

Precision = Literal["fp32", "fp16", "int8"]
SMALLER: tuple[Precision, ...] = ("int8", "fp16")


@dataclass(frozen=True, slots=True)
class Measured:
    """One structure under one precision. hd95: in mm or px, None where it was never found. missed: share of cases."""

    dice: float
    hd95: float | None
    missed: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """precision: the smallest that costs this structure no more than the bound. reason: what the smaller ones cost."""

    structure: str
    precision: Precision
    reason: str
    measured: dict[Precision, Measured]


@dataclass(frozen=True, slots=True)
class Advice:
    """What to build: one precision for the whole engine, and why."""

    precision: Precision
    text: str


def verdict(
    structure: str, measured: Mapping[Precision, Measured], max_drop: float, max_missed: float | None = None
) -> Verdict:
    """The verdict on one structure: Dice may fall by ``max_drop`` at most, the share that is missed rise by
    ``max_missed``, which is ``max_drop`` where not given.

    HD95 is told and not judged: it has no value where a structure is missed. Raises ConfigError without FP32.
    """
    if "fp32" not in measured:
        raise ConfigError(f"{structure}: no figures of the FP32 model, which the others are held against")
    reference, reasons = measured["fp32"], []
    most_missed = max_drop if max_missed is None else max_missed
    chosen: Precision = "fp32"
    for precision in SMALLER:
        if precision not in measured:
            continue
        lost = reference.dice - measured[precision].dice
        missed = measured[precision].missed - reference.missed
        if lost <= max_drop and missed <= most_missed:
            chosen = precision
            break
        reasons.append(f"{precision} costs {lost:.4f} Dice and misses {missed:+.1%} more")
    return Verdict(structure, chosen, "; ".join(reasons), dict(measured))


def advise(
    verdicts: Sequence[Verdict], times_ms: Mapping[Precision, float] | None = None, worth: float = 1.1
) -> Advice:
    """One precision for the engine: the smallest that every structure can afford and that is worth it.

    times_ms: what a frame takes, measured on the target; None: accuracy alone is weighed, and the text says so. worth:
    how many times as fast as the next larger precision a smaller one has to be. Raises ConfigError without verdicts, or
    without a time of a precision it has to weigh.
    """
    if not verdicts:
        raise ConfigError("no structure was judged, so nothing can be advised; evaluate first")
    order: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    weighed = [p for p in order if all(p in found.measured for found in verdicts)]
    missing = [p for p in weighed if times_ms is not None and p not in times_ms]
    if missing:
        raise ConfigError(f"no time of {', '.join(missing)}; measure it on the target")
    best: Precision = "fp32"
    reasons = []
    for precision in weighed[1:]:
        dear = [f"{v.structure} ({v.reason})" for v in verdicts if order.index(v.precision) < order.index(precision)]
        name = precision.upper()
        if dear:
            reasons.append(f"{name} is not worth it here: too dear for {', '.join(dear)}")
            continue
        if times_ms is None:
            reasons.append(f"{name} holds every structure; whether it is faster was not measured")
            best = precision
            continue
        speedup = times_ms[best] / times_ms[precision]
        if speedup < worth:
            reasons.append(
                f"{name} is not worth it here: {speedup:.2f} times as fast as {best.upper()}, {worth:g} was asked for"
            )
        else:
            reasons.append(f"{name} holds every structure and is {speedup:.2f} times as fast as {best.upper()}")
            best = precision
    return Advice(best, "; ".join(reasons))
