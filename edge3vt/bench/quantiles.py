"""Percentiles of a series in time, with intervals that know that neighbours are alike; none without samples.

The interval is of order statistics: the number of samples below a quantile q is about normal with variance
n q (1 - q), times the autocorrelation time of "above the quantile" where samples hang together, and the ranks so found
bound the quantile. David and Nagaraja 2003, Order Statistics, 7.1; for dependent series Heidelberger and Lewis 1984,
Operations Research 32:185.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.latency import SAMPLES_BEYOND

PERCENTILES: dict[str, float] = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p99.9": 99.9}
Z_95 = 1.96  # two-sided, of the normal distribution
_WINDOW = 5.0  # autocorrelation is summed up to so many of its own times: Sokal 1997, Monte Carlo Methods, 3.3


@dataclass(frozen=True, slots=True)
class Quantile:
    """In ms, with its 95 % interval; high_ms is None where the interval ends beyond the greatest sample."""

    ms: float
    low_ms: float
    high_ms: float | None


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution in ms. at: by name, p50 to p99.9; None where fewer than five samples lie beyond."""

    samples: int
    at: dict[str, Quantile | None]
    max_ms: float | None

    def value(self, name: str) -> float | None:
        """``max`` or a percentile by name; None where there is none. Raises KeyError for another name."""
        if name == "max":
            return self.max_ms
        found = self.at[name]
        return None if found is None else found.ms


def spread(values_ns: Sequence[int] | NDArray[np.int64]) -> Spread:
    """Of a series in order of time, in ns."""
    values = np.asarray(values_ns, dtype=np.float64) / NS_PER_MS
    ordered = np.sort(values)
    at = {name: _quantile(values, ordered, p) for name, p in PERCENTILES.items()}
    return Spread(len(values), at, float(ordered[-1]) if len(values) else None)


def needed(name: str) -> int:
    """How many samples a percentile by that name needs."""
    return math.ceil(SAMPLES_BEYOND / (1 - PERCENTILES[name] / 100) - 1e-6)


def autocorrelation_time(series: NDArray[np.float64]) -> float:
    """1 + 2 times the sum of a series' autocorrelations: so many samples in a row count as one; at least 1."""
    n = len(series)
    centred = series - series.mean()
    if n < 2 or not centred.any():
        return 1.0
    spectrum = np.fft.rfft(centred, 1 << (2 * n - 1).bit_length())
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:n]
    times = 2 * np.cumsum(correlation / correlation[0]) - 1
    far = np.flatnonzero(np.arange(n) >= _WINDOW * times)
    return max(float(times[far[0] if len(far) else -1]), 1.0)


def _quantile(values: NDArray[np.float64], ordered: NDArray[np.float64], p: float) -> Quantile | None:
    n = len(values)
    if n * (100.0 - p) / 100.0 < SAMPLES_BEYOND * (1 - 1e-9):
        return None
    rank = max(n - 1 - int((100.0 - p) * n / 100.0 + 1e-9), 0)  # trtexec's, as core.latency has it
    together = autocorrelation_time((values > ordered[rank]).astype(np.float64))
    half = Z_95 * math.sqrt(n * p / 100 * (1 - p / 100) * together)
    low, high = math.floor(rank - half), math.ceil(rank + half)
    return Quantile(float(ordered[rank]), float(ordered[max(low, 0)]), float(ordered[high]) if high < n else None)
