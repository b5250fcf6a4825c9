"""A candidate for an engine held against FP32, case by case: agreement, losses, limits, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge3vt.bench import statistics
from edge3vt.bench.accuracy import Case
from edge3vt.bench.statistics import Table
from edge3vt.bench.summary import tabulate
from edge3vt.calibrate.verdict import Measured, Precision, Verdict, advise, verdict
from edge3vt.core.errors import DataError
from edge3vt.core.metrics import PerClass

WIDE_PX = 12.0  # of the network's input
MIN_ALIKE = 0.97
MAX_NEWLY_MISSED_PERCENT = 0.5
MAX_LOSS_POINTS, MAX_SMALL_LOSS_POINTS = 0.3, 1.0
MAX_DROP = 0.003  # of a verdict: what a structure may lose in Dice; it may be missed as limited above


@dataclass(slots=True)
class Held:
    """The cases of one model, in the order of the set; alike: Dice of each structure with FP32's mask."""

    cases: list[Case] = field(default_factory=list)
    alike: list[PerClass] = field(default_factory=list)
    view: list[float] = field(default_factory=list)

    def add(self, case: Case, alike: PerClass, view: float | None) -> None:
        self.cases.append(case)
        self.alike.append(alike)
        if view is not None:
            self.view.append(view)


@dataclass(frozen=True, slots=True)
class Structure:
    """One structure. wide, small: cases by its true width, and what is counted over them; None where there are none.

    losses are in points, below 0 where the candidate gains. hd95: in the set's unit.
    """

    cases: int
    dice: float | None
    hd95: float | None
    missed: float | None
    fp32_dice: float | None
    fp32_hd95: float | None
    fp32_missed: float | None
    alike: float | None
    wide: int
    wide_alike: float | None
    newly_missed: int
    loss: float | None
    small: int
    small_loss: float | None


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit: a value may be the limit itself."""

    name: str
    value: float
    limit: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """verdicts: the smallest precision that each structure can afford; none for FP16, which is no flavour."""

    name: str
    onnx_sha256: str
    keep_float: tuple[str, ...]
    largest_view_difference: float | None
    structures: dict[str, Structure]
    gates: tuple[Gate, ...]
    verdicts: tuple[Verdict, ...]
    advice: str


def candidate(
    name: str,
    onnx_sha256: str,
    keep_float: tuple[str, ...],
    held: Mapping[str, Held],
    names: Sequence[str],
    structures: Sequence[str],
) -> Candidate:
    """The candidate ``name`` of ``held``, which has "fp32" too, and "fp16" where that is to be weighed.

    names: the structures that limits and means are over. Raises DataError where no case holds any.
    """
    found = _structures(held["fp32"], held[name], structures)
    judged = {structure: found[structure] for structure in names if found[structure].cases}
    if not judged:
        raise DataError(f"no picture shows any of {', '.join(names)}; take a set with masks of them")
    verdicts: tuple[Verdict, ...] = ()
    if name == "fp16":
        dear = [s for s, one in judged.items() if (one.loss or 0) > 100 * MAX_DROP]
        advice = f"FP16 is too dear for {', '.join(dear)}" if dear else "FP16 holds every structure"
    else:
        weighed: dict[Precision, Mapping[str, Structure]] = {
            "fp32": _structures(held["fp32"], held["fp32"], structures)
        }
        if name != "cpu" and "fp16" in held:  # the CPU's runtimes compute no FP16
            weighed["fp16"] = _structures(held["fp32"], held["fp16"], structures)
        weighed["int8"] = found
        verdicts = tuple(
            verdict(s, {p: _measured(of[s]) for p, of in weighed.items()}, MAX_DROP, MAX_NEWLY_MISSED_PERCENT / 100)
            for s in judged
        )
        advice = advise(verdicts).text
    view = held[name].view
    return Candidate(
        name, onnx_sha256, keep_float, max(view) if view else None, found, _gates(judged), verdicts, advice
    )


def _structures(exact: Held, other: Held, structures: Sequence[str]) -> dict[str, Structure]:
    first, second = tabulate(exact.cases, structures), tabulate(other.cases, structures)
    order = sorted(range(len(other.cases)), key=lambda i: (other.cases[i].id, other.cases[i].picture))
    alike: Table = np.array([other.alike[i] for i in order])
    widths, true = second.values["width_px"], ~np.isnan(second.values["dice"])
    wide, small = true & (widths >= WIDE_PX), true & (widths < WIDE_PX)
    loss = 100 * (first.values["dice"] - second.values["dice"])
    newly = true & (first.values["missed"] == 0) & (second.values["missed"] == 1)
    means = {
        name: statistics.structure_means(table)
        for name, table in {
            **{m: second.values[m] for m in ("dice", "hd95", "missed")},
            **{f"fp32_{m}": first.values[m] for m in ("dice", "hd95", "missed")},
            "alike": np.where(true, alike, np.nan),
            "wide_alike": np.where(wide, alike, np.nan),
            "loss": loss,
            "small_loss": np.where(small, loss, np.nan),
        }.items()
    }
    counts = {
        name: cells.sum(axis=0) for name, cells in (("cases", true), ("wide", wide), ("small", small), ("newly", newly))
    }
    return {
        name: Structure(
            cases=int(counts["cases"][k]),
            dice=means["dice"][k],
            hd95=means["hd95"][k],
            missed=means["missed"][k],
            fp32_dice=means["fp32_dice"][k],
            fp32_hd95=means["fp32_hd95"][k],
            fp32_missed=means["fp32_missed"][k],
            alike=means["alike"][k],
            wide=int(counts["wide"][k]),
            wide_alike=means["wide_alike"][k],
            newly_missed=int(counts["newly"][k]),
            loss=means["loss"][k],
            small=int(counts["small"][k]),
            small_loss=means["small_loss"][k],
        )
        for k, name in enumerate(structures)
    }


def _gates(judged: Mapping[str, Structure]) -> tuple[Gate, ...]:
    gates = [
        Gate(f"alike, {name} of {one.wide} cases", one.wide_alike, MIN_ALIKE, one.wide_alike >= MIN_ALIKE)
        for name, one in judged.items()
        if one.wide_alike is not None
    ]
    share = 100 * sum(one.newly_missed for one in judged.values()) / sum(one.cases for one in judged.values())
    loss = float(np.mean([one.loss for one in judged.values() if one.loss is not None]))
    gates.append(Gate("newly missed, %", share, MAX_NEWLY_MISSED_PERCENT, share <= MAX_NEWLY_MISSED_PERCENT))
    gates.append(Gate("loss, points", loss, MAX_LOSS_POINTS, loss <= MAX_LOSS_POINTS))
    gates.extend(
        Gate(
            f"loss, {name} of {one.small} small cases, points",
            one.small_loss,
            MAX_SMALL_LOSS_POINTS,
            one.small_loss <= MAX_SMALL_LOSS_POINTS,
        )
        for name, one in judged.items()
        if one.small_loss is not None
    )
    return tuple(gates)


def _measured(one: Structure) -> Measured:
    return Measured(one.dice or 0.0, one.hd95, one.missed or 0.0)
