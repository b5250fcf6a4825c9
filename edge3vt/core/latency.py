"""Latency: percentiles with a floor on the samples behind them, streaks, and their one form in reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edge3vt.core.clock import NS_PER_MS

SAMPLES_BEYOND = 5
"""A percentile is given only if at least this many samples lie beyond it: p99 needs 500, p99.9 needs 5,000."""


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """A distribution in ms. A percentile with too few samples behind it is None, never a guess."""

    samples: int
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    max: float | None


def percentile(values: Sequence[float], p: float) -> float | None:
    """trtexec's percentile, ``sorted[max(N - 1 - int((1 - p/100) * N), 0)]``, or None without enough samples."""
    n = len(values)
    if n * (100.0 - p) / 100.0 < SAMPLES_BEYOND * (1 - 1e-9):
        return None
    beyond = int((100.0 - p) * n / 100.0 + 1e-9)
    return float(np.sort(np.asarray(values))[max(n - 1 - beyond, 0)])


def summarise(values_ns: Iterable[int]) -> LatencySummary:
    """The summary in ms of latencies in ns."""
    ms = [v / NS_PER_MS for v in values_ns]
    p50, p90, p95, p99, p999 = (percentile(ms, p) for p in (50, 90, 95, 99, 99.9))
    return LatencySummary(len(ms), p50, p90, p95, p99, p999, max(ms, default=None))


def longest_streak(misses: Iterable[bool]) -> int:
    """Length of the longest run of consecutive misses."""
    longest = current = 0
    for miss in misses:
        current = current + 1 if miss else 0
        longest = max(longest, current)
    return longest
