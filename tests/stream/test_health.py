"""A leak is seen, noise and steps are not; what /proc tells is what is."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_S, ManualClock, SystemClock
from edge3vt.core.conditions import Conditions
from edge3vt.stream.health import Growth, Health, Physician, Slope, Vitals, slope, vitals

MIB = 1 << 20
RNG_SEEDS = range(20)
SERIES = Callable[[float, np.random.Generator], float]


def flat(hours: float, rng: np.random.Generator) -> float:
    return 400 * MIB + float(rng.normal(0, 2)) * MIB


def sawtooth(hours: float, rng: np.random.Generator) -> float:
    return 400 * MIB + (hours * 40 % 1) * 30 * MIB


def step(hours: float, rng: np.random.Generator) -> float:
    return (400 + 60 * (hours > 0.4)) * MIB + float(rng.normal(0, 2)) * MIB


def leak(hours: float, rng: np.random.Generator) -> float:
    return 400 * MIB + hours * 256 * MIB + float(rng.normal(0, 2)) * MIB


def alarms(series: SERIES, seed: int, hours: float = 1.0) -> int:
    growth, rng = Growth(64 * MIB), np.random.default_rng(seed)
    count = round(hours * 720)
    return sum(growth.step(series(i / 720, rng), i * 5 * NS_PER_S) is not None for i in range(count))


@pytest.mark.parametrize("series", [flat, sawtooth, step])
def test_what_does_not_grow_raises_no_alarm(series: SERIES) -> None:
    assert [alarms(series, seed) for seed in RNG_SEEDS] == [0] * len(RNG_SEEDS)


def test_a_planted_leak_raises_it_soon_and_for_as_long_as_it_lasts() -> None:
    assert all(alarms(leak, seed, hours=0.2) > 0 for seed in RNG_SEEDS)
    assert alarms(leak, 0) > 400


def test_a_leak_is_told_with_its_size() -> None:
    growth = Growth(64 * MIB)
    told = [growth.step(i * MIB, i * 5 * NS_PER_S) for i in range(200)]
    assert told[-1] == pytest.approx(720 * MIB, rel=0.05)


def test_an_alarm_keeps_no_more_than_its_window() -> None:
    growth = Growth(1.0, samples=50)
    for i in range(100_000):
        growth.step(0.0, i * NS_PER_S // 60)
    assert len(growth._samples) <= 51


def test_the_interval_of_a_slope_holds_the_truth() -> None:
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = slope([(i * NS_PER_S, i / 3600 * 5 + rng.normal()) for i in range(1800)])
        assert isinstance(found, Slope)
        held += found.low <= 5 <= found.high
    assert held >= 180
    assert slope([(i, 0.0) for i in range(15)]) is None


def test_a_soak_without_a_leak_is_bounded_and_a_planted_one_is_not() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.05, 1800)
    sound = slope([(i * NS_PER_S, 400 + noise[i]) for i in range(1800)])
    leaking = slope([(i * NS_PER_S, 400 + noise[i] + i / 3600 * 4) for i in range(1800)])
    assert sound is not None
    assert leaking is not None
    assert sound.high < 1 < leaking.low


def test_vitals_see_what_is_opened() -> None:
    before = vitals()
    assert before is not None
    release, block = threading.Event(), bytearray(os.urandom(1 << 20)) * 64
    thread = threading.Thread(target=release.wait)
    thread.start()
    handle = os.memfd_create("planted")
    os.truncate(handle, 4096)
    mapped = mmap.mmap(handle, 4096)
    try:
        after = vitals()
    finally:
        release.set()
        thread.join()
        mapped.close()
        os.close(handle)
    assert after is not None
    assert after.threads == before.threads + 1
    assert after.file_descriptors >= before.file_descriptors + 1
    assert after.shared_memory == before.shared_memory + 1
    assert after.rss_bytes - before.rss_bytes > len(block) * 0.8
    assert vitals(2**22 + 1) is None


HOT = Conditions(None, None, None, 91.0, True, ("thermal limit (hardware)",), None)


def test_the_physician_calls_once_when_an_alarm_begins() -> None:
    clock, called, rss = ManualClock(), list[tuple[str, float]](), 0

    def read() -> Vitals:
        return Vitals(rss, 30, 4, 0)

    physician = Physician(clock, read=read, observe=lambda: HOT, alarm=lambda name, value: called.append((name, value)))
    for _ in range(200):
        rss += MIB
        clock.advance_ms(5000)
        physician.examine()
    assert [name for name, _ in called] == ["hot", "memory"]
    assert called[0][1] == 91.0
    assert physician.newest.growing["memory"] == pytest.approx(720 * MIB, rel=0.05)


def test_it_reads_in_a_thread_of_its_own() -> None:
    seen = threading.Event()

    def observe() -> Conditions:
        seen.set()
        return HOT

    physician = Physician(SystemClock(), every_ns=1_000_000, observe=observe).start()
    assert seen.wait(5)
    physician.close()
    assert isinstance(physician.newest, Health)
    assert not any(thread.name == "health" for thread in threading.enumerate())
