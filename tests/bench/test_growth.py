from __future__ import annotations

import pytest

from edge3vt.bench.growth import Grower, growth
from edge3vt.bench.soak import Holding
from edge3vt.core.clock import NS_PER_MS, SystemClock


def held(i: int, mb: float, **others: float) -> Holding:
    return Holding(5.0 * i, {1: mb} | {int(pid[1:]): value for pid, value in others.items()}, 9, 3, 1)


def test_a_leak_has_a_slope_and_steady_memory_has_none() -> None:
    leak = growth([held(i, 100 + i / 100) for i in range(100)])
    assert leak is not None
    assert leak.slope_mb_h == pytest.approx(7.2)
    assert leak.memory_mb == pytest.approx(100.99)
    steady = growth([held(i, 100, _2=50) for i in range(100)])
    assert steady is not None
    assert (steady.memory_mb, steady.slope_mb_h, steady.upper_mb_h) == pytest.approx((150, 0, 0), abs=1e-6)


def test_warming_up_and_processes_that_ended_do_not_count() -> None:
    samples = [held(i, 100 + min(i, 19), **({"_2": 70.0} if i < 50 else {})) for i in range(100)]
    found = growth(samples)
    assert found is not None
    assert (found.memory_mb, found.slope_mb_h) == pytest.approx((119, 0), abs=1e-6)


def test_few_samples_tell_nothing() -> None:
    assert growth([held(i, 100) for i in range(11)]) is None
    assert growth([]) is None
    clock, grower = SystemClock(), Grower(every_s=0.01)
    clock.sleep_until_ns(clock.now_ns() + 50 * NS_PER_MS)
    grower.finish()
    assert grower._samples[-1].memory_mb
