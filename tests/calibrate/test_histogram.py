from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from edge3vt.calibrate.histogram import FOLDED, LEVELS, Histogram
from edge3vt.calibrate.table import Method


def counted(values: NDArray[np.floating]) -> Histogram:
    histogram = Histogram()
    histogram.add(values.astype(np.float32))
    return histogram


def test_a_histograms_span_is_the_percentile_of_all_values() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(0, spread, 20_000).astype(np.float32) for spread in (0.01, 1.0, 30.0)]
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    everything = np.concatenate(parts)
    low, high = np.percentile(everything, [0.1, 99.9])
    span = histogram.span(99.9)
    assert span.min == pytest.approx(low, rel=0.01)
    assert span.max == pytest.approx(high, rel=0.01)
    whole = histogram.span(100)
    assert (whole.min, whole.max) == (everything.min(), everything.max())


@pytest.mark.parametrize("value", [0.0, -3.0, 5.0])
def test_a_constant_tensor_has_a_range_of_one_value(value: float) -> None:
    histogram = Histogram()
    histogram.add(np.full(100, value, np.float32))
    span = histogram.span(99.99)
    assert span.min == span.max == value


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("value", [0.0, -3.0, 5.0])
def test_every_method_keeps_a_constant_tensor(method: Method, value: float) -> None:
    span = counted(np.full(100, value)).range(method)
    assert span.min == span.max == value


def squared_error(values: NDArray[np.floating], limit: float) -> float:
    scale = limit / 127
    return float(((values - np.clip(np.round(values / scale), -127, 127) * scale) ** 2).mean())


@pytest.mark.parametrize("draw", ["normal", "laplace", "standard_t"])
def test_mse_has_the_least_squared_error_of_symmetric_int8_over_the_values_themselves(draw: str) -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_t(4, 50_000) if draw == "standard_t" else getattr(rng, draw)(0, 1, 50_000)
    span = counted(values).range("mse")
    limits = np.linspace(0.05, 1, 400) * np.abs(values).max()
    best = min(squared_error(values, limit) for limit in limits)
    assert squared_error(values, max(-span.min, span.max)) < 1.02 * best
    assert squared_error(values, float(np.abs(values).max())) > 1.1 * best


def migacz(counts: list[int]) -> int:
    """The pseudocode of GTC 2017, in words, for counts whose first bin is as its second."""
    best, kept = np.inf, 0
    for i in range(LEVELS, len(counts) + 1):
        p = [float(count) for count in counts[:i]]
        p[-1] += sum(counts[i:])
        q = [0.0] * i
        for level in range(LEVELS):
            members = [j for j in range(i) if j * LEVELS // i == level and counts[j]]
            for j in members:
                q[j] = sum(counts[k] for k in members) / len(members)
        if any(a and not b for a, b in zip(p, q, strict=True)):
            continue
        a, b = np.array(p) / sum(p), np.array(q) / sum(q)
        divergence = float((a[a > 0] * np.log(a[a > 0] / b[a > 0])).sum())
        if divergence < best:
            best, kept = divergence, i
    return kept


def test_entropy_is_the_published_scheme() -> None:
    rng = np.random.default_rng(5)
    inside = rng.exponential(20, 20_000).astype(np.int64)
    bins = np.minimum(np.concatenate([inside, np.full(3, 255)]), 255)
    counts = np.bincount(bins, minlength=256)
    counts[0] = counts[1]
    # 256 bins of |value| up to the largest: values at their middles, at both signs
    width = 2.0**-20 * 2 / 8192
    values = np.repeat((np.arange(256) + 0.5) * width, counts) * np.resize([1, -1], counts.sum())
    span = counted(values).range("entropy")
    assert max(-span.min, span.max) == pytest.approx(min(migacz(counts.tolist()) * width, 255.5 * width), rel=1e-6)


def test_every_method_but_minmax_cuts_off_one_lone_value() -> None:
    rng = np.random.default_rng(1)
    values = np.append(np.abs(rng.normal(0, 1, 200_000)), 60.0)
    kept = {method: counted(values).range(method).max for method in get_args(Method)}
    assert kept["minmax"] == 60
    assert 1.5 < kept["entropy"] < 12
    assert 3 < kept["mse"] < 40
    assert 3 < kept["percentile"] < 6


@pytest.mark.parametrize("method", ["entropy", "mse"])
def test_the_zeros_of_a_relu_change_no_limit(method: Method) -> None:
    values = np.abs(np.random.default_rng(2).normal(0, 1, 100_000))
    dense = counted(values).range(method)
    sparse = counted(np.append(values, np.zeros(900_000))).range(method)
    assert sparse.max == pytest.approx(dense.max, rel=0.02)


@pytest.mark.parametrize("method", ["entropy", "mse"])
def test_one_limit_serves_both_signs_and_no_side_grows_beyond_what_was_seen(method: Method) -> None:
    rng = np.random.default_rng(4)
    span = counted(np.concatenate([-rng.exponential(3, 50_000), rng.uniform(0, 1, 50_000)])).range(method)
    assert span.max == pytest.approx(1, abs=0.01)
    assert -40 < span.min < -5


def test_a_fold_keeps_every_count() -> None:
    histogram = counted(np.random.default_rng(6).normal(0, 1, 9_999))
    counts, width = histogram._folded()
    assert len(counts) <= FOLDED
    assert counts.sum() == 9_999
    assert len(counts) * width == pytest.approx(max(-histogram.min, histogram.max), abs=2 * width)
