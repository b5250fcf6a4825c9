"""Cases put together: means per structure and over structures, their intervals, and the same for parts of the cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge3vt.bench import statistics
from edge3vt.bench.accuracy import Case, Scores
from edge3vt.bench.flicker import CineFlicker
from edge3vt.bench.statistics import Interval, Table

WEEKS: tuple[tuple[str, float, float], ...] = (("18-23", 18, 24), ("24-29", 24, 30), ("30-36", 30, 37))
WIDTHS_PX: tuple[tuple[str, float, float], ...] = (("<4", 0, 4), ("4-6", 4, 6), ("6-9", 6, 9), (">9", 9, np.inf))

_MEASURES: dict[str, Callable[[Scores], float | None]] = {
    "dice": lambda s: s.dice,
    "iou": lambda s: s.iou,
    "pa": lambda s: s.pa,
    "hd95": lambda s: s.hd95,
    "nsd": lambda s: s.nsd,
    "missed": lambda s: None if s.pa is None else float(s.pa == 0),
    "false_positive": lambda s: None if s.true_px else float(s.found_px > 0),
    "false_positive_px": lambda s: None if s.true_px else float(s.found_px),
    "width_px": lambda s: s.width_px,
}


@dataclass(frozen=True, slots=True)
class StructureSummary:
    """Means of one structure. cases: that hold it; the others are empty.

    missed: share of the cases where nothing of it was found. false_positive: share of the empty ones where some was;
    false_positive_px: how much, as a mean over all empty ones.
    """

    cases: int
    empty: int
    dice: float | None
    iou: float | None
    pa: float | None
    hd95: float | None
    nsd: float | None
    missed: float | None
    false_positive: float | None
    false_positive_px: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the cases; in the group "width", of the structures in them."""

    cases: int
    dice: float | None
    iou: float | None
    pa: float | None
    missed: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over the scored structures, each the mean over the cases that count it; intervals are 95 %, by patient.

    pa_overall: share of all pixels of the region, background too. change, flicker: of cines.
    """

    cases: int
    patients: int
    dice: float | None
    iou: float | None
    pa: float | None
    dice_interval: Interval | None
    iou_interval: Interval | None
    pa_interval: Interval | None
    pa_overall: float | None
    hd95: float | None
    nsd: float | None
    missed: float | None
    false_positive: float | None
    change: float | None
    flicker: float | None
    structures: dict[str, StructureSummary]
    groups: dict[str, dict[str, Group]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Cases as tables, (N, K) each, over the classes but the background; right: (N,). keys: what a case is known by."""

    structures: tuple[str, ...]
    cases: tuple[Case, ...]
    values: dict[str, Table]
    right: NDArray[np.float64]

    @property
    def patients(self) -> list[str]:
        return [case.patient for case in self.cases]

    @property
    def keys(self) -> list[tuple[str, str]]:
        return [(case.id, case.picture) for case in self.cases]

    def of(self, names: Sequence[str], measure: str) -> Table:
        """The columns of these structures."""
        return self.values[measure][:, [self.structures.index(name) for name in names]]


def tabulate(cases: Sequence[Case], structures: Sequence[str]) -> Tables:
    """The cases, in order of their keys."""
    ordered = sorted(cases, key=lambda case: (case.id, case.picture))
    values = {
        name: np.array(
            [[_number(measure(case.structures[s])) for s in structures] for case in ordered], dtype=np.float64
        ).reshape(len(ordered), len(structures))
        for name, measure in _MEASURES.items()
    }
    return Tables(tuple(structures), tuple(ordered), values, np.array([case.right for case in ordered]))


def pooled(parts: Sequence[Tables]) -> Tables:
    """The cases of several runs of one model: each once, with the mean of what the runs that saw it measured."""
    first: dict[tuple[str, str], Case] = {}
    rows: dict[tuple[str, str], list[tuple[Tables, int]]] = {}
    for part in parts:
        for index, (key, case) in enumerate(zip(part.keys, part.cases, strict=True)):
            first.setdefault(key, case)
            rows.setdefault(key, []).append((part, index))
    keys = sorted(first)
    values = {
        name: np.array([_mean_of([part.values[name][i] for part, i in rows[key]]) for key in keys])
        for name in _MEASURES
    }
    right = np.array([np.mean([part.right[i] for part, i in rows[key]]) for key in keys])
    return Tables(parts[0].structures, tuple(first[key] for key in keys), values, right)


def summarise(tables: Tables, names: Sequence[str], cines: Sequence[CineFlicker] = ()) -> Summary:
    """The summary; ``names`` are the structures that means are over."""
    patients = tables.patients
    means = {m: statistics.mean(tables.of(names, m)) for m in _MEASURES}
    intervals = {m: statistics.interval(tables.of(names, m), patients) for m in ("dice", "iou", "pa")}
    return Summary(
        len(tables.cases),
        len(set(patients)),
        means["dice"],
        means["iou"],
        means["pa"],
        intervals["dice"],
        intervals["iou"],
        intervals["pa"],
        float(tables.right.mean()) if len(tables.right) else None,
        means["hd95"],
        means["nsd"],
        means["missed"],
        means["false_positive"],
        _of_cines([cine.change for cine in cines], names),
        _of_cines([cine.flicker for cine in cines], names),
        _structures(tables),
        _groups(tables, names),
    )


def _of_cines(cines: Sequence[dict[str, float | None]], names: Sequence[str]) -> float | None:
    table = np.array([[_number(cine[name]) for name in names] for cine in cines], dtype=np.float64)
    return statistics.mean(table.reshape(-1, len(names)))


def _structures(tables: Tables) -> dict[str, StructureSummary]:
    means = {m: statistics.structure_means(table) for m, table in tables.values.items()}
    held = (~np.isnan(tables.values["dice"])).sum(axis=0)
    return {
        name: StructureSummary(
            int(held[k]),
            len(tables.cases) - int(held[k]),
            *(
                means[m][k]
                for m in ("dice", "iou", "pa", "hd95", "nsd", "missed", "false_positive", "false_positive_px")
            ),
        )
        for k, name in enumerate(tables.structures)
    }


def _groups(tables: Tables, names: Sequence[str]) -> dict[str, dict[str, Group]]:
    weeks = np.array([_number(case.weeks) for case in tables.cases], dtype=np.float64)
    by_weeks = {name: (weeks >= low) & (weeks < high) for name, low, high in WEEKS}
    variants = [case.variant for case in tables.cases]
    by_variant = {v: np.array([own == v for own in variants]) for v in sorted({v for v in variants if v is not None})}
    patients = tables.patients
    by_patient = {p: np.array([own == p for own in patients]) for p in sorted(set(patients))}
    widths = tables.of(names, "width_px")
    chosen: dict[str, dict[str, NDArray[np.bool_]]] = {
        "weeks": by_weeks,
        "variant": by_variant,
        "patient": by_patient,
    }
    groups = {
        kind: {name: _group(tables, names, rows) for name, rows in parts.items() if rows.any()}
        for kind, parts in chosen.items()
    }
    by_width = {name: (widths >= low) & (widths < high) for name, low, high in WIDTHS_PX}
    groups["width"] = {name: _cells(tables, names, cells) for name, cells in by_width.items() if cells.any()}
    return {kind: parts for kind, parts in groups.items() if parts}


def _group(tables: Tables, names: Sequence[str], rows: NDArray[np.bool_]) -> Group:
    dice, iou, pa, missed = (statistics.mean(tables.of(names, m)[rows]) for m in ("dice", "iou", "pa", "missed"))
    return Group(int(rows.sum()), dice, iou, pa, missed)


def _cells(tables: Tables, names: Sequence[str], cells: NDArray[np.bool_]) -> Group:
    """Of single structures of cases: plain means over these."""
    dice, iou, pa, missed = (float(tables.of(names, m)[cells].mean()) for m in ("dice", "iou", "pa", "missed"))
    return Group(int(cells.sum()), dice, iou, pa, missed)


def _mean_of(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Column by column over the runs that have a number there."""
    table = np.array(rows)
    counted = (~np.isnan(table)).sum(axis=0)
    sums = np.nansum(table, axis=0)
    return np.asarray(np.divide(sums, counted, out=np.full(len(sums), np.nan), where=counted > 0), dtype=np.float64)


def _number(value: float | None) -> float:
    return np.nan if value is None else value
