"""Fixed memory, and every figure within the bound that is promised."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge3vt.core.latency import LatencySummary, summarise
from edge3vt.stream import histogram
from edge3vt.stream.histogram import Histogram

DURATIONS = st.lists(st.one_of(st.integers(0, 300), st.integers(0, 1 << 42)), max_size=600)


def filled(values: list[int]) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


def worst_error(made: LatencySummary, exact: LatencySummary) -> float:
    worst = 0.0
    for name in ("p50", "p90", "p95", "p99", "p999", "max"):
        ours, theirs = getattr(made, name), getattr(exact, name)
        assert (ours is None) == (theirs is None)
        if theirs:
            worst = max(worst, abs(ours - theirs) / theirs)
    return worst


@given(DURATIONS)
def test_every_percentile_is_within_one_percent_or_refused_with_the_exact_one(values: list[int]) -> None:
    made, exact = filled(values).summary(), summarise(values)
    assert made.samples == exact.samples
    assert made.max == exact.max
    assert worst_error(made, exact) <= 0.01


def test_a_coarser_histogram_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [int(v) for v in np.random.default_rng(1).lognormal(15, 1, 6000)]
    assert worst_error(filled(values).summary(), summarise(values)) <= 0.01
    monkeypatch.setattr(histogram, "_middle", lambda index: 1.02 * _middle(index))
    assert worst_error(filled(values).summary(), summarise(values)) > 0.01


_middle = histogram._middle


@given(DURATIONS, st.lists(st.integers(1, 1 << 42), min_size=1, max_size=5, unique=True))
def test_counts_up_to_a_bound_take_at_most_the_bucket_it_lies_in(values: list[int], bounds: list[int]) -> None:
    ascending = tuple(sorted(bounds))
    for bound, count in zip(ascending, filled(values).at_most(ascending), strict=True):
        assert sum(v <= bound for v in values) <= count <= sum(v <= bound * (1 + 1 / 64) for v in values)


def test_memory_stays_the_same_and_nothing_is_out_of_range() -> None:
    made = Histogram()
    before = sys.getsizeof(made)
    for value in (-5, 0, 1 << 60, *range(0, 1 << 30, 99_991)):
        made.add(value)
    assert sys.getsizeof(made) == before
    assert len(made._counts) * made._counts.itemsize == 19 << 10
    assert made.max_ns == 1 << 60
    assert made.at_most((0,)) == [3]
