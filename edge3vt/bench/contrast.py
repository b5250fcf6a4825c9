"""Is B slower than A? Two results, or two folders of repeated runs, and a test that knows noise.

Repeated runs, two or more a side: Welch's t test on the logarithms of each run's own percentile. The run is the unit,
because what makes runs differ (clocks, neighbours, where memory fell) is shared by all frames of a run. Runs that
alternate, A B A B, share the machine's drift, and are paired.

One run a side: a bootstrap over blocks of neighbouring frames (Kuensch 1989, Annals of Statistics 17:1217), which
respects that they are alike, but cannot know how runs differ from each other: a difference of less than DRIFT is then
never called one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge3vt.bench.quantiles import PERCENTILES, needed
from edge3vt.bench.result import GONE, Result
from edge3vt.core.errors import ConfigError

ALPHA = 0.01
"""Two-sided, of all figures together: the chance to call noise a difference."""
DRIFT = 0.10
"""Of the same code between runs on a machine that others use too; shared by nothing within one run."""
FIGURES = ("p50", "p99")
BLOCKS = 30
DRAWS = 2000
SEED = 20_260_101
Call = Literal["slower", "faster", "no difference found", "too few samples"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Of B to A, by a figure of the total: ratio - 1 with its interval of 1 - alpha. seen_from: the least slowdown that
    runs like these would have shown. a_ms, b_ms: the medians of the runs' own figures."""

    figure: str
    a_ms: float | None
    b_ms: float | None
    change: float | None
    interval: tuple[float, float] | None
    seen_from: float | None
    call: Call


@dataclass(frozen=True, slots=True)
class Contrast:
    """test: which, and why. runs: of each side. versions: packages that differ, as "openvino 2026.4 -> 2026.5"."""

    test: str
    runs: tuple[int, int]
    differences: tuple[Difference, ...]
    misses: tuple[float | None, float | None]
    versions: tuple[str, ...]

    @property
    def slower(self) -> bool:
        return any(difference.call == "slower" for difference in self.differences)


def contrast(a: Sequence[Result], b: Sequence[Result], alpha: float = ALPHA) -> Contrast:
    """B against A. Raises ConfigError for results of several machines or scenarios, and for stopped ones."""
    _alike([*a, *b])
    sides = [[_totals(result) for result in side] for side in (a, b)]
    several = min(map(len, sides)) > 1
    paired = several and _alternate(a, b)
    level = alpha / len(FIGURES)  # Bonferroni
    if not several:
        test = f"block bootstrap of one run a side; below {DRIFT:.0%} it calls nothing, as runs drift by that much"
        found = [_bootstrapped(name, sides[0], sides[1], level) for name in FIGURES]
    else:
        kind = "paired t test, of runs that alternate" if paired else "Welch's t test, of runs"
        test = f"{kind}, on logarithms of each run's own percentile"
        found = [_tested(name, sides[0], sides[1], level, paired=paired) for name in FIGURES]
    changed = [_changed(name, a[0], b[0]) for name in sorted(set(a[0].machine.packages) | set(b[0].machine.packages))]
    return Contrast(
        test=test,
        runs=(len(a), len(b)),
        differences=tuple(found),
        misses=(_missed(a), _missed(b)),
        versions=tuple(text for text in changed if text),
    )


def lines(found: Contrast) -> list[str]:
    """A line a figure, then how it was told."""
    rows = []
    for one in found.differences:
        if one.change is None or one.interval is None:
            rows.append(f"total {one.figure}: {one.call}")
            continue
        seen = ""
        if one.seen_from is not None:
            seen = f"a change of {one.seen_from:.1%}" if one.seen_from < 1 else "no change below double"
            seen = f"; {seen} would have been seen"
        rows.append(
            f"total {one.figure}: {one.call}: {one.a_ms:.3f} -> {one.b_ms:.3f} ms, {_signed(one.change)} "
            f"({' to '.join(map(_signed, one.interval))}){seen}"
        )
    missed = ["n/a" if rate is None else f"{rate:.3%}" for rate in found.misses]
    rows.append(f"misses of the loop's own: {missed[0]} -> {missed[1]} (told, not tested)")
    rows.append(f"test: {found.test}; {found.runs[0]} and {found.runs[1]} runs, alpha {ALPHA:g}")
    return rows + [f"not the same: {text}" for text in found.versions]


def _signed(change: float) -> str:
    return f"{change:+.1%}" if change < 10 else "more than tenfold"


def _alike(results: Sequence[Result]) -> None:
    first = results[0]
    for result in results:
        for what, here, there in (
            ("CPU", first.machine.cpu, result.machine.cpu),
            ("cores", first.machine.cores, result.machine.cores),
            ("memory", first.machine.memory_gib, result.machine.memory_gib),
            ("system", first.machine.system, result.machine.system),
            ("card", _card(first), _card(result)),
        ):
            if here != there:
                raise ConfigError(
                    f"{result.name}: measured on another machine ({what} {there}, the other's is {here}); two machines "
                    "are never compared as if they were one"
                )
        asked, other = first.scenario, result.scenario
        for name in ("source", "arrivals", "budget_ms", "sync", "neighbours", "clock_share"):
            if getattr(asked, name) != getattr(other, name):
                raise ConfigError(f"{result.name}: another scenario (its {name} differs); compare runs of one scenario")
        if result.stopped:
            raise ConfigError(f"{result.name}: it was stopped before its time; measure it again")


def _tested(
    name: str,
    a: Sequence[NDArray[np.float64]],
    b: Sequence[NDArray[np.float64]],
    level: float,
    *,
    paired: bool,
) -> Difference:
    from scipy import stats

    figures = [[_percentile(run, name) for run in side] for side in (a, b)]
    if any(value is None for side in figures for value in side):
        return _untold(name)
    one, other = (np.log([value for value in side if value is not None]) for side in figures)
    if paired:
        apart = other - one
        change, error, degrees = float(apart.mean()), float(apart.std(ddof=1)) / math.sqrt(len(apart)), len(apart) - 1.0
    else:
        parts = [float(side.var(ddof=1)) / len(side) for side in (one, other)]
        change, error = float(other.mean() - one.mean()), math.sqrt(sum(parts))
        below = sum(part**2 / (len(side) - 1) for part, side in zip(parts, (one, other), strict=True))
        degrees = sum(parts) ** 2 / below if below else float(len(one) + len(other) - 2)
    half = float(stats.t.ppf(1 - level / 2, degrees)) * error
    a_ms, b_ms = (float(np.exp(np.median(side))) / 1000 for side in (one, other))
    return _called(name, a_ms, b_ms, change, (change - half, change + half), 0.0)


def _bootstrapped(
    name: str, a: Sequence[NDArray[np.float64]], b: Sequence[NDArray[np.float64]], level: float
) -> Difference:
    rng = np.random.default_rng(SEED)
    drawn, values = [], []
    for side in (a, b):
        series = np.concatenate(side)
        value = _percentile(series, name)
        if value is None:
            return _untold(name)
        values.append(value)
        drawn.append(np.log(_redrawn(series, PERCENTILES[name], rng)))
    low, high = np.percentile(drawn[1] - drawn[0], [100 * level / 2, 100 - 100 * level / 2])
    change = math.log(values[1] / values[0])
    return _called(name, values[0] / 1000, values[1] / 1000, change, (float(low), float(high)), math.log1p(DRIFT))


def _redrawn(series: NDArray[np.float64], p: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The percentile of DRAWS series made of BLOCKS blocks of this one, drawn anywhere in it, going round its end."""
    length = max(len(series) // BLOCKS, 1)
    around: NDArray[np.float64] = np.concatenate([series, series[:length]])
    rank = max(length * BLOCKS - 1 - int((100 - p) * length * BLOCKS / 100 + 1e-9), 0)
    out: NDArray[np.float64] = np.empty(DRAWS)
    for draw in range(DRAWS):
        starts = rng.integers(0, len(series), BLOCKS)
        drawn = around[(starts[:, None] + np.arange(length)).ravel()]
        out[draw] = np.partition(drawn, rank)[rank]
    return out


def _called(
    name: str, a_ms: float, b_ms: float, change: float, interval: tuple[float, float], margin: float
) -> Difference:
    low, high = interval
    call: Call = "slower" if low > margin else "faster" if high < -margin else "no difference found"
    seen = math.expm1(margin + (high - low) / 2)
    return Difference(name, a_ms, b_ms, math.expm1(change), (math.expm1(low), math.expm1(high)), seen, call)


def _untold(name: str) -> Difference:
    return Difference(name, None, None, None, None, None, "too few samples")


def _percentile(series: NDArray[np.float64], name: str) -> float | None:
    n, p = len(series), PERCENTILES[name]
    if n < needed(name):
        return None
    rank = max(n - 1 - int((100 - p) * n / 100 + 1e-9), 0)
    return float(np.partition(series, rank)[rank])


def _totals(result: Result) -> NDArray[np.float64]:
    values = np.asarray(result.series.total_us, np.float64)
    left: NDArray[np.float64] = np.maximum(values[values != GONE], 1.0)
    return left


def _alternate(a: Sequence[Result], b: Sequence[Result]) -> bool:
    order = sorted([(result.made, "a") for result in a] + [(result.made, "b") for result in b])
    return len(a) == len(b) and all(one[1] != other[1] and one[0] != other[0] for one, other in pairwise(order))


def _missed(results: Sequence[Result]) -> float | None:
    frames = sum(result.stream.frames for result in results)
    return sum(result.stalls.own for result in results) / frames if frames else None


def _card(result: Result) -> str | None:
    return None if result.surroundings.card is None else result.surroundings.card.name


def _changed(name: str, a: Result, b: Result) -> str:
    here, there = a.machine.packages.get(name, "none"), b.machine.packages.get(name, "none")
    return "" if here == there else f"{name} {here} -> {there}"
