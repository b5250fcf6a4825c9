"""The sinks' drills, short, and that a sink that holds up the loop, a flood or a wall clock in an age is caught."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edge3vt.bench.sink_drills import busiest, clock_jumps, disk_full, jumping, log_flood, stuck
from edge3vt.core import clock
from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.stream import journal
from edge3vt.stream.lane import ThreadLane
from edge3vt.stream.sinks.callback import CallbackSink
from tests.bench.test_engine_drills import named, untimed


def test_a_stuck_sink_holds_up_nothing() -> None:
    assert untimed(stuck(ThreadLane, 1.0)) == []


def test_a_sink_that_counts_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CallbackSink, "dropped", 0)
    assert named(stuck(ThreadLane, 0.5), "counts as dropped").verdict == "FAIL"


def test_a_full_disk_ends_the_recording_and_says_so(tmp_path: Path) -> None:
    assert untimed(disk_full(ThreadLane, 3.0, tmp_path)) == []


def test_a_disk_that_does_not_fill_is_no_drill(tmp_path: Path) -> None:
    found = disk_full(ThreadLane, 0.5, tmp_path, room_bytes=1 << 40)
    assert named(found, "REC STOPPED").verdict == "FAIL"


def test_a_flood_is_held_back_and_one_that_is_not_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert untimed(log_flood(ThreadLane, 1.0)) == []
    monkeypatch.setattr(journal, "LINES_PER_S", 1000)
    monkeypatch.setattr(journal, "AGAIN_NS", NS_PER_MS)
    monkeypatch.setattr(journal.Limiter, "_full", lambda limiter, now_ns: False)
    found = log_flood(ThreadLane, 0.5)
    assert named(found, "lines in any second").verdict == "FAIL"
    assert logging.getLogger().handlers == [] or not isinstance(logging.getLogger().handlers[0], journal.Muffler)


def test_the_busiest_second_is_found_wherever_it_begins() -> None:
    stamps = [round(t * NS_PER_S) for t in (0, 0.9, 1.1, 1.2, 1.89, 3)]
    assert busiest(stamps) == 4
    assert busiest([]) == 0


def test_the_wall_clock_jumps_and_nothing_happens() -> None:
    assert untimed(clock_jumps(ThreadLane, 1.0)) == []


def test_an_age_by_the_wall_clock_would_be_caught() -> None:
    with jumping():
        years = {clock.wall_label()[:4] for _ in range(4)}
    assert len(years) >= 2, "what takes its times from it sees ten years go by"
    assert clock.wall_label()[:4] not in (min(years), max(years)) or len(years) == 3


def test_a_wall_clock_that_does_not_jump_is_no_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge3vt.bench.sink_drills.JUMPS_H", (0,))
    assert named(clock_jumps(ThreadLane, 0.5), "days that labels bore").verdict == "FAIL"
