from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge3vt.core.latency import LatencySummary, longest_streak, percentile, summarise


def trtexec(values: list[float], p: float) -> float:
    """findPercentile of trtexec, in exact arithmetic: timings sorted, the last (1 - p/100) * N excluded."""
    excluded = int((1 - Fraction(str(p)) / 100) * len(values))
    return sorted(values)[max(len(values) - 1 - excluded, 0)]


@given(
    st.lists(st.floats(0, 1e6), min_size=10, max_size=700),
    st.sampled_from([1, 50, 90, 95, 99, 99.9]),
)
def test_percentile_is_trtexecs_or_refused(values: list[float], p: float) -> None:
    beyond = len(values) * (1 - Fraction(str(p)) / 100)
    assert percentile(values, p) == (trtexec(values, p) if beyond >= 5 else None)


@pytest.mark.parametrize(("p", "enough"), [(50, 10), (90, 50), (95, 100), (99, 500), (99.9, 5000)])
def test_a_percentile_needs_five_samples_beyond_it(p: float, enough: int) -> None:
    assert percentile([1.0] * (enough - 1), p) is None
    assert percentile(list(range(enough)), p) == trtexec(list(range(enough)), p)


def test_a_maximum_is_no_percentile() -> None:
    assert percentile([1.0] * 10_000, 100) is None


def test_summary_in_ms() -> None:
    summary = summarise(i * 1_000_000 for i in range(600, 0, -1))
    assert summary == LatencySummary(600, p50=300.0, p90=540.0, p95=570.0, p99=594.0, p999=None, max=600.0)
    assert summarise([]) == LatencySummary(0, None, None, None, None, None, None)


@given(st.lists(st.booleans(), max_size=30))
def test_longest_streak(misses: list[bool]) -> None:
    runs = "".join("x" if miss else " " for miss in misses).split()
    assert longest_streak(misses) == max(map(len, runs), default=0)
