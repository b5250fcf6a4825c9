"""How contenders of one interleaved run stand to each other, and the limits on that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from edge3vt.bench.benchmark_app import BenchmarkApp
from edge3vt.bench.contender import Turn
from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.errors import ConfigError
from edge3vt.core.latency import LatencySummary, summarise
from edge3vt.core.machine import Machine

OURS, ENGINE = "ours", "engine"
"""Rows that the others are held against."""
LIMITS: dict[int, dict[tuple[str, str], float]] = {
    256: {(ENGINE, "p50"): 1.4, (ENGINE, "p99"): 2.2, ("openvino", "p50"): 10.0,
          ("unet-resnet34", "p50"): 100.0, ("deeplab-resnet50", "p50"): 100.0},
    384: {(ENGINE, "p50"): 1.3, (ENGINE, "p99"): 1.9, ("openvino", "p50"): 6.0,
          ("unet-resnet34", "p50"): 100.0, ("deeplab-resnet50", "p50"): 100.0},
}  # fmt: skip
"""By size: ours against the engine's own p50, at most; the p50 of others against ours, at least."""


@dataclass(frozen=True, slots=True)
class Row:
    """A contender. against_ours: its p50 over that of ours; low, high: the same of single rounds.

    stages_ms: medians, where it tells. skipped: why it took no part.
    """

    name: str
    what: str
    latency: LatencySummary | None
    against_ours: float | None
    low: float | None
    high: float | None
    stages_ms: dict[str, float]
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    name: str
    value: float | None
    limit: float
    at_least: bool
    passed: bool


@dataclass(frozen=True, slots=True)
class Peers:
    """A run. others: what other processes took of the core while turns were taken, as a share of it. isa: what
    oneDNN was held to, empty for all that the CPU has. seconds: of all turns."""

    schema: int
    edge3vt: str
    made: str
    command: str
    machine: Machine
    model_id: str
    engine_sha256: str
    size: int
    picture: str
    isa: str
    rounds: int
    seconds: float
    others: float | None
    rows: tuple[Row, ...]
    benchmark_app: BenchmarkApp
    limits: tuple[Limit, ...]
    passed: bool

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the peers' record is not known, expected 1; update edge3vt")


def rows(held: Mapping[str, Sequence[Turn]], skipped: Mapping[str, str], what: Mapping[str, str]) -> list[Row]:
    """A row of each contender. The latency is over all turns, low and high are the extremes of single rounds."""
    ours = held[OURS]
    made = []
    for name, turns in held.items():
        if skipped.get(name):
            made.append(Row(name, what[name], None, None, None, None, {}, skipped[name]))
            continue
        pairs = [median(a.times_ns) / median(b.times_ns) for a, b in zip(turns, ours, strict=True)]
        stages = {
            stage: median([ns for turn in turns for ns in turn.stages_ns[stage]]) / NS_PER_MS
            for stage in turns[0].stages_ns
        }
        all_ns = [ns for turn in turns for ns in turn.times_ns]
        ratio = median(all_ns) / median([ns for turn in ours for ns in turn.times_ns])
        made.append(Row(name, what[name], summarise(all_ns), ratio, min(pairs), max(pairs), stages))
    return made


def limits(size: int, found: Sequence[Row]) -> list[Limit]:
    """What the run has to keep; a figure that is missing keeps nothing."""
    by_name = {row.name: row.latency for row in found}
    ours = by_name[OURS]
    assert ours is not None
    kept = []
    for (name, figure), limit in LIMITS.get(size, {}).items():
        other = by_name[name]
        if name == ENGINE:
            own: float | None = getattr(ours, figure)
            value = own / other.p50 if own is not None and other is not None and other.p50 is not None else None
            kept.append(Limit(f"{figure} of ours over p50 of the engine alone", value, limit, False,
                              value is not None and value <= limit))  # fmt: skip
        else:
            value = other.p50 / ours.p50 if other is not None and other.p50 and ours.p50 else None
            kept.append(Limit(f"{figure} of {name} over {figure} of ours", value, limit, True,
                              value is not None and value >= limit))  # fmt: skip
    return kept


def lines(record: Peers) -> list[str]:
    """For people: a line a contender, then the limits."""
    out = [f"{record.size} px, {record.machine.cpu}, one core; ms, and times as long as ours"]
    for row in record.rows:
        if row.latency is None:
            out.append(f"  {row.name:17} skipped: {row.skipped}")
            continue
        p50, p99 = (f"{ms:8.2f}" if ms is not None else "       -" for ms in (row.latency.p50, row.latency.p99))
        out.append(
            f"  {row.name:17} p50 {p50}  p99 {p99}  {row.against_ours:7.2f} x  ({row.low:.2f} to {row.high:.2f})"
        )
        if row.stages_ms:
            out.append("                    " + ", ".join(f"{name} {ms:.2f}" for name, ms in row.stages_ms.items()))
    app = record.benchmark_app
    out.append(
        f"  {'benchmark_app':17} " + (f"p50 {app.p50_ms:8.2f}" if app.p50_ms is not None else f"skipped: {app.skipped}")
    )
    if record.others is not None:
        out.append(f"others took {record.others:.0%} of the core meanwhile")
    for limit in record.limits:
        value = "not measured" if limit.value is None else f"{limit.value:.2f}"
        bound = f"at {'least' if limit.at_least else 'most'} {limit.limit:g}"
        out.append(f"{'held  ' if limit.passed else 'MISSED'} {limit.name}: {value}, {bound}")
    return out
