"""The comparison finds a planted slowdown, and does not cry at noise: false alarms are counted on simulated runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from edge3vt.bench import contrast as module
from edge3vt.bench.contrast import ALPHA, contrast, lines
from edge3vt.bench.result import Result
from edge3vt.core.errors import ConfigError
from tests.bench.measured import MACHINE, PACED, result

FRAMES = 1200
"""Twenty seconds at 60 Hz."""


def totals(rng: np.random.Generator, slower: float = 1.0, n: int = FRAMES) -> np.ndarray:
    """Simulated totals in us: 6 ms, neighbours alike, and a heavy tail."""
    slow_part = lfilter([np.sqrt(1 - 0.95**2)], [1, -0.95], rng.normal(0, 1, n + 100))[100:]
    body = 6000 * np.exp(0.05 * slow_part + 0.03 * rng.normal(0, 1, n))
    tail = (rng.random(n) < 0.03) * rng.exponential(1500, n)
    return (body + tail) * slower


def sides(
    rng: np.random.Generator, count: int, slower: float, drift: float, *, alternate: bool
) -> tuple[list[Result], list[Result]]:
    """Repeated runs. The machine drifts by that much from run to run; runs that alternate share most of it."""
    a: list[Result] = []
    b: list[Result] = []
    for number in range(count):
        shared = drift * rng.normal()
        for side, own, factor, minute in ((a, 0, 1.0, 2 * number), (b, 1, slower, 2 * number + 1)):
            here = shared + 0.3 * drift * rng.normal() if alternate else drift * rng.normal()
            made = minute if alternate else number + own * count
            side.append(result(totals(rng, factor * np.exp(here)), made=f"2026-01-01T00:{made:02d}:00+00:00"))
    return a, b


def calls(a: list[Result], b: list[Result]) -> list[str]:
    return [difference.call for difference in contrast(a, b).differences]


@pytest.mark.parametrize("alternate", [False, True])
def test_noise_between_repeated_runs_is_rarely_called_a_difference(alternate: bool) -> None:
    rng, tries = np.random.default_rng(11), 150
    alarms = sum(
        set(calls(*sides(rng, 5, 1.0, 0.05, alternate=alternate))) != {"no difference found"} for _ in range(tries)
    )
    assert alarms / tries <= 3 * ALPHA


@pytest.mark.parametrize("alternate", [False, True])
def test_a_slowdown_of_ten_per_cent_is_found_in_repeated_runs(alternate: bool) -> None:
    rng, tries = np.random.default_rng(12), 40
    found = [contrast(*sides(rng, 5, 1.10, 0.05 if alternate else 0.02, alternate=alternate)) for _ in range(tries)]
    assert sum(one.slower for one in found) / tries > 0.9
    assert not any(difference.call == "faster" for one in found for difference in one.differences)
    assert np.median([one.differences[0].change for one in found]) == pytest.approx(0.10, abs=0.02)


def test_a_tail_alone_that_got_worse_is_found() -> None:
    rng = np.random.default_rng(13)
    a, b = sides(rng, 6, 1.0, 0.0, alternate=False)
    worse = []
    for one in b:
        us = np.array(one.series.total_us)
        us[rng.random(len(us)) < 0.03] += 4000
        worse.append(result(us, made=one.made))
    p50, p99 = calls(a, worse)
    assert (p50, p99) == ("no difference found", "slower")


def test_one_run_a_side_knows_no_drift_and_calls_nothing_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAWS", 500)
    rng, tries, alarms, found = np.random.default_rng(14), 12, 0, 0
    for _ in range(tries):
        a, b, c = (result(totals(rng, slower * np.exp(0.02 * rng.normal()))) for slower in (1.0, 1.0, 1.3))
        alarms += set(calls([a], [b])) != {"no difference found"}
        found += calls([a], [c])[0] == "slower"
    assert alarms == 0
    assert found == tries
    told = contrast([a], [b])
    assert "one run a side" in told.test
    assert (told.differences[0].seen_from or 0) > module.DRIFT


def test_blocks_see_that_neighbours_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """With blocks of one frame, and no allowance for drift, slow waves of a single run would be called differences."""
    monkeypatch.setattr(module, "DRIFT", 0.0)
    monkeypatch.setattr(module, "DRAWS", 300)

    def alarms() -> int:
        rng = np.random.default_rng(15)
        pairs = [(result(totals(rng)), result(totals(rng))) for _ in range(30)]
        return sum(calls([a], [b])[0] != "no difference found" for a, b in pairs)

    blocked = alarms()
    monkeypatch.setattr(module, "BLOCKS", FRAMES)
    assert blocked <= 2
    assert alarms() >= 10


def test_too_few_frames_for_a_percentile_tell_nothing_of_it() -> None:
    rng = np.random.default_rng(16)
    few = [result(totals(rng, n=400)) for _ in range(2)]
    for a, b in ((few, few), (few[:1], few[1:])):
        found = contrast(a, b)
        assert [one.call for one in found.differences] == ["no difference found", "too few samples"]
        assert "total p99: too few samples" in lines(found)


def test_two_runs_that_differ_wildly_tell_little_and_say_so() -> None:
    rng = np.random.default_rng(17)
    a, b = ([result(totals(rng, factor)) for factor in (1.0, 3.0)] for _ in range(2))
    text = lines(contrast(a, b))[0]
    assert "no difference found" in text
    assert "no change below double would have been seen" in text
    assert len(text) < 140


OTHER = [
    ({"machine": replace(MACHINE, cpu="Another CPU")}, "another machine"),
    ({"machine": replace(MACHINE, cores=4)}, "another machine"),
    ({"scenario": replace(PACED, budget_ms=33.0)}, "another scenario"),
    ({"stopped": True}, "stopped"),
]


@pytest.mark.parametrize(("changes", "words"), OTHER)
def test_what_is_not_alike_is_refused_in_one_line(changes: dict, words: str) -> None:
    a = result(totals(np.random.default_rng(1)))
    with pytest.raises(ConfigError, match=words) as refused:
        contrast([a], [replace(a, **changes)])
    assert "\n" not in str(refused.value)


def test_versions_may_differ_and_are_told() -> None:
    a = result(totals(np.random.default_rng(1)))
    newer = replace(a, machine=replace(MACHINE, packages={"numpy": "2.3", "openvino": "1"}))
    found = contrast([a], [newer])
    assert found.versions == ("numpy 2.2 -> 2.3", "openvino none -> 1")
    assert "not the same: numpy 2.2 -> 2.3" in lines(found)
