"""What a child does first: its place on the CPU, and an end with its parent."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from itertools import repeat
from multiprocessing.connection import Connection
from typing import Any

import pytest

from edge3vt.core.errors import BackendMissingError, ConfigError
from edge3vt.stream.child import Lifeline, Scheduling, hold, realtime_permitted

SPAWN = multiprocessing.get_context("spawn")


def child(lifeline: Any, told: Connection, busy: bool, held: bool) -> None:
    if held:
        hold(lifeline)
    told.send(os.getpid())
    if busy:
        deque(repeat(None), maxlen=0)  # holds the interpreter for ever
    threading.Event().wait()


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("held", [True, False])
def test_letting_go_of_the_lifeline_ends_a_child_that_holds_it(busy: bool, held: bool) -> None:
    lifeline = Lifeline()
    told, theirs = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=child, args=(lifeline, theirs, busy, held))
    process.start()
    assert told.poll(20)
    assert told.recv() == process.pid
    process.join(0.1)
    assert process.exitcode is None, "not before"
    lifeline.close()
    lifeline.close()
    process.join(20 if held else 0.2)
    assert process.exitcode == (-signal.SIGIO if held else None), "without a lifeline held it would stay for ever"
    process.kill()
    process.join()
    process.close()
    for end in (told, theirs):
        end.close()


def test_a_child_that_comes_too_late_ends_at_once() -> None:
    lifeline = Lifeline()
    told, theirs = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=child, args=(lifeline, theirs, False, True))
    process.start()
    lifeline.close()  # before the child can hold it
    process.join(20)
    assert process.exitcode in (1, -signal.SIGIO)
    process.close()
    for end in (told, theirs):
        end.close()


def test_a_lifeline_travels_only_with_a_process_that_is_being_spawned() -> None:
    lifeline = Lifeline()
    with pytest.raises(RuntimeError, match="through inheritance"):
        pickle.dumps(lifeline)
    lifeline.close()


def test_no_wish_changes_nothing() -> None:
    before = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)
    Scheduling().apply()
    assert (os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)) == before


def test_cpus_that_are_not_there_are_named() -> None:
    with pytest.raises(ConfigError, match=r"CPUs \[4095\].*expected CPUs of"):
        Scheduling(cpus=(4095,)).apply()


def test_real_time_priority_is_asked_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda p, how, param: asked.append((p, how, param.sched_priority)))
    Scheduling(realtime=10).apply()
    assert asked == [(0, os.SCHED_FIFO, 10)]


def test_a_priority_that_is_not_permitted_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    with pytest.raises(BackendMissingError, match="LimitRTPRIO="):
        Scheduling(realtime=10).apply()


def test_a_place_is_held_for_a_while_and_given_back() -> None:
    before = os.sched_getaffinity(0), os.sched_getscheduler(0)
    cpu = max(before[0])
    with Scheduling(cpus=(cpu,)).held():
        assert os.sched_getaffinity(0) == {cpu}
    assert (os.sched_getaffinity(0), os.sched_getscheduler(0)) == before
    with pytest.raises(ConfigError, match=r"CPUs \[4095\]"), Scheduling(cpus=(4095,)).held():
        raise AssertionError("it has no such place")


def test_whether_real_time_is_permitted_is_asked_without_taking_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getscheduler(0)
    asked: list[int] = []

    def refuse(pid: int, policy: int, param: os.sched_param) -> None:
        asked.append(param.sched_priority)
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not realtime_permitted(20)
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, policy, param: asked.append(param.sched_priority))
    assert realtime_permitted(10)
    assert asked == [20, 10]
    assert os.sched_getscheduler(0) == before
