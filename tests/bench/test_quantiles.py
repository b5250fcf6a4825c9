from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edge3vt.bench.quantiles import PERCENTILES, autocorrelation_time, needed, spread
from edge3vt.core.latency import summarise

MS = 1_000_000


def red(rng: np.random.Generator, n: int, r: float) -> np.ndarray:
    """A normal series in which neighbours correlate by r."""
    from scipy.signal import lfilter

    return lfilter([np.sqrt(1 - r * r)], [1, -r], rng.normal(0, 1, n + 200))[200:]


def test_percentiles_are_those_of_the_ledger_and_refused_alike() -> None:
    values = np.random.default_rng(1).integers(MS, 20 * MS, 6000)
    for n in (0, 1, 9, 10, 49, 50, 499, 500, 4999, 5000):
        found, ledger = spread(values[:n]), summarise(values[:n].tolist())
        told = [ledger.p50, ledger.p90, ledger.p95, ledger.p99, ledger.p999, ledger.max]
        assert [found.value(name) for name in (*PERCENTILES, "max")] == told
    assert [needed(name) for name in PERCENTILES] == [10, 50, 100, 500, 5000]
    assert spread(values[:499]).value("p99") is None
    assert spread(values[:500]).value("p99") is not None
    with pytest.raises(KeyError):
        spread(values).value("p98")


def test_the_interval_ends_nowhere_where_the_tail_is_too_thin() -> None:
    found = spread(np.arange(500) * MS).at
    assert found["p99"] is not None
    assert found["p99"].high_ms is None or found["p99"].high_ms <= 499
    rising = spread(np.arange(700) * MS).at["p99"]  # one long trend: its tail is one event
    assert rising is not None
    assert rising.high_ms is None


@pytest.mark.parametrize(("r", "name"), [(0.0, "p50"), (0.0, "p99"), (0.9, "p50"), (0.9, "p90")])
def test_intervals_cover_the_truth_though_neighbours_are_alike(r: float, name: str) -> None:
    rng, hits, blind = np.random.default_rng(7), 0, 0
    true = 100 + stats.norm.ppf(PERCENTILES[name] / 100)
    tries, n = 200, 2000
    for _ in range(tries):
        series = 100 + red(rng, n, r)
        found = spread((series * MS).astype(np.int64)).at[name]
        assert found is not None
        hits += found.low_ms <= true and (found.high_ms is None or true <= found.high_ms)
        q = PERCENTILES[name] / 100
        half = 1.96 * np.sqrt(n * q * (1 - q))
        ordered = np.sort(series)
        blind += ordered[int(n * q - half)] <= true <= ordered[min(int(n * q + half), n - 1)]
    assert 0.89 < hits / tries <= 1.0, "of 95 %"
    if r:
        assert blind / tries < 0.75, "an interval that takes neighbours for strangers would not"


def test_the_autocorrelation_time_of_known_series() -> None:
    rng = np.random.default_rng(3)
    assert autocorrelation_time(np.ones(50)) == 1.0
    assert autocorrelation_time(rng.normal(0, 1, 20_000)) == pytest.approx(1.0, abs=0.2)
    assert autocorrelation_time(red(rng, 60_000, 0.8)) == pytest.approx(1.8 / 0.2, rel=0.2)
