"""A distribution of durations in fixed memory."""

from __future__ import annotations

from array import array

from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.latency import SAMPLES_BEYOND, LatencySummary

_STEPS = 64  # a power of two: buckets in each octave
_EXACT_BITS = 7  # below 2 * _STEPS each nanosecond has a bucket of its own
_BITS = 43  # 2**43 ns are 2.4 hours; what is longer counts in the last bucket
_BUCKETS = (_BITS - _EXACT_BITS) * _STEPS + 2 * _STEPS


class Histogram:
    """Counts of durations in ns, in log-linear buckets: 64 to the octave, so that every value told is within 1 % of a
    sample's own (half a bucket: 1/128 of it, 0.8 %); from 1 ns to 2.4 hours in 19 KiB.

    Least, greatest, sum and number of samples are exact; a negative duration counts as 0.
    """

    __slots__ = ("_counts", "_greatest", "_least", "samples", "total_ns")

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _BUCKETS))
        self._least, self._greatest = 1 << _BITS, 0
        self.samples = 0
        self.total_ns = 0

    def add(self, value_ns: int) -> None:
        if value_ns < 0:
            value_ns = 0
        shift = value_ns.bit_length() - _EXACT_BITS
        index = value_ns if shift <= 0 else shift * _STEPS + (value_ns >> shift)
        self._counts[index if index < _BUCKETS else -1] += 1
        self.samples += 1
        self.total_ns += value_ns
        if value_ns > self._greatest:
            self._greatest = value_ns
        if value_ns < self._least:
            self._least = value_ns

    @property
    def max_ns(self) -> int | None:
        return self._greatest if self.samples else None

    def percentile_ns(self, p: float) -> float | None:
        """trtexec's percentile, as core.latency defines it, within 1 %; None without enough samples beyond it."""
        n = self.samples
        if n * (100.0 - p) / 100.0 < SAMPLES_BEYOND * (1 - 1e-9):
            return None
        rank = max(n - 1 - int((100.0 - p) * n / 100.0 + 1e-9), 0)
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen > rank:
                return min(max(_middle(index), self._least), self._greatest)
        return float(self._greatest)  # samples is raised last: a reader in another thread may come between

    def summary(self) -> LatencySummary:
        """The distribution in ms."""
        values = (self.percentile_ns(p) for p in (50, 90, 95, 99, 99.9))
        p50, p90, p95, p99, p999 = (None if v is None else v / NS_PER_MS for v in values)
        greatest = None if self.max_ns is None else self.max_ns / NS_PER_MS
        return LatencySummary(self.samples, p50, p90, p95, p99, p999, greatest)

    def at_most(self, bounds_ns: tuple[int, ...]) -> list[int]:
        """Samples up to each of the ascending bounds; a bound inside a bucket takes all of it (1.6 % of the bound)."""
        counts, edges, seen, out = self._counts, 0, 0, []
        for bound in bounds_ns:
            shift = max(bound.bit_length() - _EXACT_BITS, 0)
            end = min((shift * _STEPS if shift else 0) + (bound >> shift) + 1, _BUCKETS)
            seen += sum(counts[edges:end])
            edges = max(edges, end)
            out.append(seen)
        return out


def _middle(index: int) -> float:
    """Of a bucket, in ns."""
    if index < 2 * _STEPS:
        return float(index)
    shift = index // _STEPS - 1
    return ((index - shift * _STEPS) << shift) + ((1 << shift) - 1) / 2
