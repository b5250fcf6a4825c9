"""Models side by side on the same cases: a row each, and whether they differ by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from edge3vt.bench import statistics
from edge3vt.bench.accuracy import Truth
from edge3vt.bench.record import Record
from edge3vt.bench.statistics import Interval
from edge3vt.bench.summary import Group, StructureSummary, Tables, pooled, summarise, tabulate
from edge3vt.core.errors import ConfigError

PAIRED = ("dice", "iou")


@dataclass(frozen=True, slots=True)
class Row:
    """A model. Records of one name are one row: each case has the mean of the runs that saw it.

    Of trainings with other seeds all saw it, of folds one did. dice_runs: of each run by itself.
    """

    name: str
    iou: float | None
    pa: float | None
    dice: float | None
    iou_interval: Interval | None
    dice_interval: Interval | None
    pa_interval: Interval | None
    runs: int
    seeds: tuple[int, ...]
    dice_runs: tuple[float | None, ...]
    params_m: float | None
    gmac: float | None
    mode: str
    size: int
    precision: str
    pa_overall: float | None
    missed: float | None
    false_positive: float | None
    hd95: float | None
    nsd: float | None
    change: float | None
    flicker: float | None
    structures: dict[str, StructureSummary]
    groups: dict[str, dict[str, Group]]


@dataclass(frozen=True, slots=True)
class Pair:
    """``name`` less ``baseline``, on the same cases."""

    name: str
    baseline: str
    measure: str
    difference: float
    interval: Interval
    p: float
    patients: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """unit, tolerance: of hd95 and nsd. sets: the folders and splits that the cases came from."""

    schema: int
    sets: tuple[str, ...]
    truth: Truth
    cases: int
    patients: int
    scored: tuple[str, ...]
    unit: str
    tolerance: float
    rows: tuple[Row, ...]
    paired: tuple[Pair, ...]


def compare(records: Sequence[Record], baseline: str | None = None) -> Comparison:
    """The records side by side, in the order of their names' first appearance; ``baseline``: the first one.

    Raises ConfigError where they cannot be compared.
    """
    order = list(dict.fromkeys(record.model.name for record in records))
    baseline = order[0] if baseline is None else baseline
    if baseline not in order:
        raise ConfigError(f"--baseline '{baseline}': no record has that name, expected one of {', '.join(order)}")
    by_name = sorted(records, key=lambda record: order.index(record.model.name))
    groups = {name: list(own) for name, own in groupby(by_name, key=lambda record: record.model.name)}
    for own in groups.values():
        _refuse_different(own)
    tables = {name: pooled([_table(record) for record in own]) for name, own in groups.items()}
    for name, own in groups.items():
        _refuse_foreign(records[0], tables[order[0]], own[0], tables[name])
    first, paired = records[0], []
    for name in order:
        for measure in PAIRED if name != baseline else ():
            one, other = (tables[n].of(first.scored, measure) for n in (name, baseline))
            found = statistics.difference(one, other, tables[name].patients)
            if found is not None:
                pair = Pair(name, baseline, measure, found.difference, found.interval, found.p, found.patients)
                paired.append(pair)
    some = tables[order[0]]
    return Comparison(
        1,
        tuple(sorted({f"{record.set.name}, {record.set.split}" for record in records})),
        first.set.truth,
        len(some.cases),
        len(set(some.patients)),
        first.scored,
        first.unit,
        first.tolerance,
        tuple(_row(groups[name], tables[name]) for name in order),
        tuple(paired),
    )


def _table(record: Record) -> Tables:
    return tabulate(record.cases, record.classes[1:])


def _row(records: Sequence[Record], tables: Tables) -> Row:
    first = records[0]
    summary = summarise(tables, first.scored, [cine for record in records for cine in record.cines])
    return Row(
        name=first.model.name,
        iou=summary.iou,
        pa=summary.pa,
        dice=summary.dice,
        iou_interval=summary.iou_interval,
        dice_interval=summary.dice_interval,
        pa_interval=summary.pa_interval,
        runs=len(records),
        seeds=tuple(sorted({record.seed for record in records if record.seed is not None})),
        dice_runs=tuple(record.summary.dice for record in records),
        params_m=first.model.params_m,
        gmac=first.model.gmac,
        mode=first.mode,
        size=first.size,
        precision=first.model.precision,
        pa_overall=summary.pa_overall,
        missed=summary.missed,
        false_positive=summary.false_positive,
        hd95=summary.hd95,
        nsd=summary.nsd,
        change=summary.change,
        flicker=summary.flicker,
        structures=summary.structures,
        groups=summary.groups,
    )


def _refuse_different(records: Sequence[Record]) -> None:
    """Records of one name have to be of one model, trained more than once."""
    name = records[0].model.name
    told: dict[str, list[object]] = {
        "crop": [record.mode for record in records],
        "size": [record.size for record in records],
        "precision": [record.model.precision for record in records],
        "truth": [record.set.truth for record in records],
        "parameters": [record.model.params_m for record in records],
    }
    for what, values in told.items():
        if len(set(values)) > 1:
            both = " and ".join(str(value) for value in dict.fromkeys(values))
            raise ConfigError(f"records named '{name}' differ in {what} ({both}); give each its own with --name")
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for record in records:
        run = record.model.sha256, tuple(sorted(case.id for case in record.cases))
        if run in seen:
            raise ConfigError(f"two records named '{name}' are of the same weights on the same cases; name one of them")
        seen.add(run)


def _refuse_foreign(first: Record, tables: Tables, other: Record, others: Tables) -> None:
    """Rows have to be of the same cases, against the same truth."""
    names = f"'{first.model.name}' and '{other.model.name}'"
    for what, one, two in (("classes", first.classes, other.classes), ("unit", first.unit, other.unit)):
        if one != two:
            raise ConfigError(f"records {names} differ in {what} ({one} and {two}); compare what is of one kind")
    if tables.keys != others.keys:
        common = len(set(tables.keys) & set(others.keys))
        raise ConfigError(
            f"records {names} are of {len(tables.keys)} and {len(others.keys)} cases, {common} of them the same; "
            "evaluate both on the same set and split"
        )
    if not np.array_equal(_true_px(tables), _true_px(others)):
        raise ConfigError(f"records {names} were held against other truths; evaluate both with the same --truth")


def _true_px(tables: Tables) -> list[list[int]]:
    return [[case.structures[name].true_px for name in tables.structures] for case in tables.cases]
