"""Whole benches with an engine and pictures that cost next to nothing: what is counted, excused and told."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from edge3vt.bench import harness
from edge3vt.bench.harness import Bench
from edge3vt.bench.limits import Limit
from edge3vt.bench.result import GONE, Result
from edge3vt.bench.scenario import Arrivals, Neighbours, Scenario
from edge3vt.bench.sleeper import Sleepers
from edge3vt.bench.telling import lines
from edge3vt.core.clock import NS_PER_MS, SystemClock
from edge3vt.core.errors import BackendMissingError, DataError, GateError
from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.child import realtime_permitted
from edge3vt.stream.sinks.null import NullSink
from tests.bench.measured import engine, pictures

CLOCK = SystemClock()
ALLOWED = os.sched_getaffinity(0)
BUDGET_MS = 60.0
SHORT = Scenario(1, "short", Arrivals("paced", 40), 1.0, warm_up_s=0.25, lane="thread", budget_ms=BUDGET_MS, engine_s=0)
STALL_AT, STALL_MS = 30, 150.0


def bench(scenario: Scenario, **more: object) -> Result:
    return Bench("short", scenario, engine(), pictures(), **more).run()  # type: ignore[arg-type]


def wait(ms: float) -> None:
    CLOCK.sleep_until_ns(CLOCK.now_ns() + round(ms * NS_PER_MS))


def test_a_paced_run_counts_its_frames_and_all_its_parts() -> None:
    found = bench(replace(SHORT, limits=(Limit("total.p50", most=1e4), Limit("wake.max", most=1e4))))
    stream = found.stream
    assert 39 <= stream.frames <= 40
    assert stream.on_time + stream.late + stream.skipped == stream.frames
    assert stream.on_time > 0
    assert len(found.series.total_us) == stream.frames
    assert found.series.at_ms[-1] == pytest.approx(1000 * (stream.frames - 1) / 40, abs=2)
    assert found.measured_s == pytest.approx(0.975, abs=0.03)
    assert stream.wake_ms.samples == stream.frames
    assert found.stalls.late_ms.samples > 10
    assert set(found.stalls.probes) == os.sched_getaffinity(0)
    assert found.passed
    assert [verdict.figure for verdict in found.verdicts] == ["total.p50", "wake.max"]
    text = "\n".join(lines(found))
    for words in ("Frames:", "Runner's own", "Source woke late", "Probes", "own", "pass  total.p50"):
        assert words in text
    assert "n/a (needs 500)" in text


def test_flat_out_has_one_frame_in_flight_and_nothing_lost() -> None:
    found = bench(replace(SHORT, arrivals=Arrivals("flat-out"), budget_ms=1000.0, engine_s=0.2, seconds=0.5))
    assert found.stream.frames > 10
    assert found.stream.never_emitted == 0
    assert found.stream.own_mask_rate == 1
    assert found.stream.wake_ms.samples == 0
    assert found.engine_alone is not None
    assert found.engine_alone.runs >= 20
    assert found.engine_alone.drift is not None
    assert found.stream.runner_ms.value("p50") is not None
    text = "\n".join(lines(found))
    assert "=== Performance summary ===" in text


def stalling(act: str, sleepers: list[Sleepers]) -> list:
    """A sink that keeps the loop for STALL_MS once: alone, or with the probes held as well, as a stopped machine."""

    def stall(seg: Segmentation) -> None:
        if seg.frame.index == STALL_AT:
            pids = [p.pid for p in sleepers[0]._processes.values()] if act == "machine" else []
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            if act == "busy":
                until = CLOCK.now_ns() + round(STALL_MS * NS_PER_MS)
                while CLOCK.now_ns() < until:
                    pass
            else:
                wait(STALL_MS)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    return [stall]


@pytest.fixture
def sleepers(monkeypatch: pytest.MonkeyPatch) -> list[Sleepers]:
    """The probes of the bench that runs."""
    begun: list[Sleepers] = []

    def begin(cores: tuple[int, ...]) -> Sleepers:
        begun.append(Sleepers(cores))
        return begun[-1]

    monkeypatch.setattr(harness, "Sleepers", begin)
    return begun


@pytest.mark.parametrize("act", ["asleep", "busy"])
def test_a_stall_of_the_loop_alone_is_not_excused(act: str, sleepers: list[Sleepers]) -> None:
    found = bench(SHORT, extra=stalling(act, sleepers))
    planted = [miss for miss in found.stalls.events if miss.total_ms is not None and miss.total_ms > STALL_MS / 2]
    assert planted
    # a machine that others use may stall at that very moment too, but not through all of it
    assert [miss for miss in planted if miss.stalled_ms < STALL_MS / 2]
    assert found.stalls.own >= 1
    assert found.stalls.own + found.stalls.machine == found.stream.misses


def test_a_stall_that_the_probes_saw_too_is_the_machines(sleepers: list[Sleepers]) -> None:
    found = bench(SHORT, extra=stalling("machine", sleepers))
    assert found.stalls.machine >= 2
    assert found.stalls.stalled_share > 0.1
    assert found.figure("miss_rate") < found.figure("all_miss_rate")  # type: ignore[operator]


def test_a_run_that_is_stopped_keeps_what_was_measured_and_passes_nothing() -> None:
    ended = threading.Event()

    def stop(seg: Segmentation) -> None:
        if seg.frame.index == 25:
            ended.set()

    found = bench(replace(SHORT, seconds=60.0), ended=ended, extra=[stop])
    assert found.stopped
    assert not found.passed
    assert 10 <= found.stream.frames <= 16
    assert lines(found)[1].startswith("STOPPED")


def test_real_time_priority_has_no_probes_to_hide_behind() -> None:
    scenario = replace(SHORT, lane="process", standby=False, realtime=True, seconds=0.3, budget_ms=1.0)
    if not realtime_permitted(1):
        with pytest.raises(BackendMissingError, match="not permitted"):
            bench(scenario)
        return
    found = bench(scenario)
    assert found.stalls.probes == ()
    assert found.stalls.own == found.stream.misses > 0
    assert "No probe" in "\n".join(lines(found))


def test_a_recorder_that_breaks_is_told_and_loses_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Broken(NullSink):
        def __init__(self, path: Path, *, overwrite: bool) -> None:
            super().__init__()
            self.path = path

        def close(self) -> None:
            raise DataError(f"{self.path}: the recording failed after 20 pictures")

    monkeypatch.setattr(harness, "VideoSink", Broken)
    found = bench(replace(SHORT, record=True, seconds=0.3))
    assert found.stream.frames > 5
    assert found.faults == ("recorder: bench.mp4: the recording failed after 20 pictures",)
    assert not found.passed
    assert lines(found)[1].startswith("FAULT recorder")


def test_a_run_that_is_stopped_before_anything_was_measured_says_so() -> None:
    ended = threading.Event()
    ended.set()
    with pytest.raises(GateError, match="before anything"):
        bench(SHORT, ended=ended)


def test_cold_starts_count_from_the_first_frame_and_neighbours_tell_theirs() -> None:
    scenario = replace(SHORT, starts=2, seconds=0.4, warm_up_s=0.0, neighbours=Neighbours(streams=1))
    found = bench(scenario)
    assert len(found.starts) == 2
    assert all(start.opening_ms > 0 and start.first_total_ms is not None for start in found.starts)
    assert len(found.series.per_start) == 2
    assert sum(found.series.per_start) == found.stream.frames
    assert found.neighbours[0].frames > 0
    assert "2 starts" in "\n".join(lines(found))


def test_the_engine_in_a_process_with_the_recorder_on() -> None:
    scenario = replace(
        SHORT,
        arrivals=Arrivals("flat-out"),
        lane="process",
        standby=False,
        record=True,
        seconds=0.5,
        budget_ms=5000.0,
        cores=(min(ALLOWED), max(ALLOWED)),
    )
    held: set[frozenset[int]] = set()
    found = bench(scenario, extra=[lambda seg: held.add(frozenset(os.sched_getaffinity(0)))])
    assert held == {frozenset({min(ALLOWED)})}
    assert os.sched_getaffinity(0) == ALLOWED
    assert found.stream.written > 0
    assert found.stream.frames == found.stream.emitted
    assert found.stream.own_mask_rate == 1
    assert GONE not in found.series.total_us + found.series.infer_us


@pytest.mark.timing
@pytest.mark.parametrize("lane", ["thread", "process"])
def test_our_own_load_on_one_core_stalls_no_probe(lane: str) -> None:
    """Engine, loop and encoder with nothing to wait for, all on one core of a machine that is otherwise quiet."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        scenario = replace(
            SHORT, arrivals=Arrivals("flat-out"), budget_ms=1000.0, lane=lane, standby=False, record=True, seconds=10.0
        )
        found = bench(scenario)
    finally:
        os.sched_setaffinity(0, allowed)
    assert found.stalls.late_ms.samples > 3000
    assert found.stalls.stalls == 0
    assert (found.stalls.late_ms.max_ms or 0) < found.stalls.limit_ms
