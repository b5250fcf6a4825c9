"""The processes of a lane: what is told of each, and that all of them end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

import pytest

from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.errors import ConfigError, EngineError
from edge3vt.engine.fake import FakeSession
from edge3vt.stream.crew import Crew, settle
from edge3vt.stream.process import ProcessLane
from edge3vt.stream.supervisor import FIRST, Died, Event, Ready, Seen
from tests.stream.test_process import FAKE, SPEC

CLOCK = SystemClock()


@pytest.fixture
def crew() -> Iterator[Crew]:
    first = ProcessLane(FAKE)
    crew = Crew(first, FAKE, scheduling=None, keep_warm_ms=None)
    try:
        yield crew
    finally:
        crew.close(first)


def told(crew: Crew, kind: type[Event]) -> Event:
    end = CLOCK.now_ns() + 20 * NS_PER_S
    while CLOCK.now_ns() < end:
        for event in crew.look():
            if isinstance(event, kind):
                return event
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 5 * NS_PER_MS)
    raise AssertionError(f"{kind.__name__} was not told")


def test_who_is_ready_is_seen(crew: Crew) -> None:
    (seen,) = crew.look()
    assert isinstance(seen, Seen)
    assert (seen.number, seen.waits_since_ns) == (FIRST, None)
    assert CLOCK.now_ns() - seen.pulse_ns < NS_PER_S
    crew.start(5, FAKE, None)
    assert told(crew, Ready) == Ready(5)
    assert {event.number for event in crew.look() if isinstance(event, Seen)} == {FIRST, 5}


def test_an_end_is_told_once_and_buried_when_nobody_uses_it(crew: Crew) -> None:
    member = crew.member(FIRST)
    assert member is not None
    assert member.lane is not None
    os.kill(member.lane.pid, signal.SIGKILL)
    died = told(crew, Died)
    assert died in (Died(FIRST, "KILLED"), Died(FIRST, "OOM"))
    assert crew.member(FIRST) is member, "until the next look"
    assert crew.look() == []
    assert crew.member(FIRST) is None
    using = threading.Lock()
    with using:
        crew.bury(using, 0.01)
        assert not member.lane._closed
    crew.bury(using, 0.01)
    assert member.lane._closed


def test_what_cannot_start_or_open_is_told_with_its_reason(crew: Crew) -> None:
    for number, (opening, error) in enumerate(
        [(lambda: FakeSession(SPEC), ConfigError), (partial(FAKE, start="raise"), EngineError)], start=1
    ):
        crew.start(number, opening, None)
        assert told(crew, Died) == Died(number, "OPEN")
        member = crew.member(number)
        assert member is not None
        assert isinstance(member.fault, error)


def test_who_is_to_leave_ends_but_the_one_that_answers(crew: Crew) -> None:
    member = crew.member(FIRST)
    assert member is not None
    member.leaves = True
    crew.end(stays=member.lane)
    assert isinstance(crew.look()[0], Seen)
    crew.end(stays=None)
    told(crew, Died)


def test_a_change_is_settled_once() -> None:
    change: Future[str] = Future()
    settle(None, "nobody asked")
    settle(change, "fake-2")
    settle(change, EngineError("too late"))
    assert change.result() == "fake-2"
