"""A supervised lane: whatever its engine does, an offer is answered at once and a new engine comes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import resource_tracker

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.errors import ArtifactError, ConfigError, EngineError
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.fake import FakeSession, Fault
from edge3vt.stream.lane import LaneResult
from edge3vt.stream.supervised import SupervisedLane
from edge3vt.stream.supervisor import Rules
from tests.stream.test_process import resources

SPEC = ModelSpec(1, "fake", "1", ("background", "bright"), 32, 32, 4, True, True, "")
OTHER = replace(SPEC, version="2", height=64, width=64)
CROP = Crop(0, 0, 32, 32)
CLOCK = SystemClock()
FAKE = partial(FakeSession, SPEC, CLOCK)
NEXT = partial(FakeSession, OTHER, CLOCK)
PIXELS = np.full((32, 32), 200, np.uint8)


class Loop:
    """Offers a frame every few ms, like the runner: the next one when the last was answered."""

    def __init__(self, lane: SupervisedLane) -> None:
        self.lane, self.results, self.codes = lane, list[LaneResult](), list[str]()
        self.slowest_ns = 0
        self._index = 0
        self._pending: int | None = None

    def turn(self) -> LaneResult | None:
        """One frame of 5 ms; the result that came, if any."""
        begun = CLOCK.now_ns()
        if self._pending is None:
            self._index += 1
            self.lane.offer(Frame(self._index, begun, PIXELS), CROP)
            self._pending = self._index
        if not (self.codes and self.codes[-1] == self.lane.off):
            self.codes.append(self.lane.off)
        self.lane.wait(begun + 5 * NS_PER_MS)
        result = self.lane.newest()
        self.slowest_ns = max(self.slowest_ns, CLOCK.now_ns() - begun)
        if result is None or result.index != self._pending:
            return None
        self._pending = None
        self.results.append(result)
        CLOCK.sleep_until_ns(begun + 5 * NS_PER_MS)
        return result

    def until(self, good: bool, seconds: float = 20) -> float:
        """Go on until a result with, or without, a mask; after how many ms that was."""
        begun = CLOCK.now_ns()
        while CLOCK.now_ns() < begun + seconds * NS_PER_S:
            result = self.turn()
            if result is not None and (result.mask is not None) == good:
                return (CLOCK.now_ns() - begun) / NS_PER_MS
        raise AssertionError(f"no {'mask' if good else 'failure'} within {seconds} s; codes {self.codes}")

    def run(self, seconds: float) -> None:
        end = CLOCK.now_ns() + round(seconds * NS_PER_S)
        while CLOCK.now_ns() < end:
            self.turn()


@contextmanager
def looped(open_session: object = FAKE, **options: object) -> Iterator[Loop]:
    lane = SupervisedLane(open_session, **options)  # type: ignore[arg-type]
    try:
        loop = Loop(lane)
        yield loop
    finally:
        begun = CLOCK.now_ns()
        lane.close()
        assert CLOCK.now_ns() - begun < 3 * NS_PER_S


def spare_ready(lane: SupervisedLane) -> None:
    end = CLOCK.now_ns() + 20 * NS_PER_S
    while not any(m.ready for m in lane._crew._members.values() if m.lane is not lane._active):
        assert CLOCK.now_ns() < end
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 5 * NS_PER_MS)


def active_pid(lane: SupervisedLane) -> int:
    return lane._active.pid


@pytest.mark.parametrize("name", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("standby", [True, False])
def test_an_engine_that_is_killed_or_stopped_is_replaced(name: signal.Signals, standby: bool) -> None:
    with looped(standby=standby) as loop:
        if standby:
            spare_ready(loop.lane)
        loop.until(good=True)
        os.kill(active_pid(loop.lane), name)
        told_ms = loop.until(good=False)
        back_ms = loop.until(good=True)
        code = "HANG" if name is signal.SIGSTOP else "KILLED"
        assert loop.results[-2].error == code
        assert told_ms < 400, "250 on a quiet machine"
        assert back_ms < (1000 if standby else 10_000), "250 and 2000, on a quiet machine"
        assert loop.lane.off == ""
        end = CLOCK.now_ns() + 10 * NS_PER_S
        while not loop.lane.restarts and CLOCK.now_ns() < end:
            loop.turn()
        assert loop.lane.restarts == {code: 1}


@pytest.mark.timing
@pytest.mark.parametrize("fault", ["hang", "gil", "exit"])
def test_the_promised_times(fault: Fault) -> None:
    with looped(partial(FAKE, faults={20: fault})) as loop:
        spare_ready(loop.lane)
        assert loop.until(good=False) < 20 * 10 + 250
        assert loop.until(good=True) < 250
        assert loop.slowest_ns < 16 * NS_PER_MS


@pytest.mark.parametrize("fault", ["gil", "exit"])
def test_no_offer_waits_for_an_engine_that_hangs_or_ends(fault: Fault) -> None:
    with looped(partial(FAKE, faults={5: fault}), standby=False) as loop:
        loop.until(good=False)
        assert loop.lane.off in ("HANG", "EXIT")
        answered = len(loop.results)
        loop.run(0.15)
        assert len(loop.results) > answered + 5, "each is answered by the code, at once"
        loop.until(good=True)


def test_an_engine_that_was_only_slow_once_is_kept() -> None:
    with looped(partial(FAKE, latency_ms=(1,) * 5 + (500,) + (1,) * 100), standby=False) as loop:
        loop.until(good=False)
        assert loop.lane.off == "HANG"
        loop.until(good=True)
        assert loop.lane.off == ""
        assert not loop.lane.restarts
        indices = [result.index for result in loop.results]
        assert indices == sorted(set(indices)), "its late answer is not given out again"


def test_a_crash_loop_ends_and_reset_tries_again() -> None:
    with looped(partial(FAKE, faults={1: "exit"}), rules=Rules(restarts=2)) as loop:
        end = CLOCK.now_ns() + 20 * NS_PER_S
        while loop.lane.off != "CRASHLOOP":
            assert CLOCK.now_ns() < end, loop.codes
            loop.turn()
        loop.run(0.3)
        assert loop.lane.off == "CRASHLOOP"
        assert loop.results[-1].error == "CRASHLOOP"
        assert sum(loop.lane.restarts.values()) == 2
        loop.lane.reset()
        loop.until(good=True)


def once(path: str) -> Session:
    """Opens the first time only."""
    with open(path, "x"):
        return FAKE(faults={1: "exit"})


def test_an_engine_that_cannot_be_opened_again_is_a_crash_loop(tmp_path: object) -> None:
    with looped(partial(once, f"{tmp_path}/opened"), rules=Rules(restarts=2), standby=False) as loop:
        loop.until(good=False)
        end = CLOCK.now_ns() + 20 * NS_PER_S
        while loop.lane.off != "CRASHLOOP":
            assert CLOCK.now_ns() < end, loop.codes
            loop.turn()
        assert loop.lane.restarts == {"EXIT": 1, "OPEN": 1}


def test_want_of_memory_tries_the_cheaper_engine_once() -> None:
    with looped(
        partial(FAKE, faults={3: "memory"}), cheaper=partial(NEXT, faults={3: "memory"}), standby=False
    ) as loop:
        loop.until(good=False)
        loop.run(0.05)
        assert loop.lane.off == "OOM"
        loop.until(good=True)
        assert loop.results[-1].model_id == loop.lane.spec.model_id == "fake-2"
        assert loop.results[-1].crop.size == 64
        loop.until(good=False)
        loop.run(1)
        assert loop.lane.off == "OOM"
        assert loop.lane.restarts == {"OOM": 1}


def test_the_model_changes_between_two_frames() -> None:
    with looped() as loop:
        loop.until(good=True)
        change = loop.lane.swap(NEXT)
        while not change.done():
            loop.turn()
        assert change.result() == "fake-2"
        while loop.results[-1].model_id != "fake-2":
            loop.turn()
        loop.run(0.3)
        models = [result.model_id for result in loop.results]
        assert models == sorted(models), "no way back"
        assert all(result.mask is not None for result in loop.results)
        assert all(result.crop.size == (32 if result.model_id == "fake-1" else 64) for result in loop.results)
        assert loop.lane.spec == OTHER
        assert loop.codes == [""]
        assert not loop.lane.restarts
        os.kill(active_pid(loop.lane), signal.SIGKILL)
        loop.until(good=False)
        loop.until(good=True)
        assert loop.results[-1].model_id == "fake-2", "the spare is of the new model as well"


def damaged() -> Session:
    raise ArtifactError("engine: damaged")


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        (damaged, ArtifactError, "engine: damaged"),
        (partial(NEXT, faults={0: "nan"}), EngineError, "trial of a black frame failed"),
        (partial(NEXT, faults={0: "hang"}), EngineError, "no answer to a black frame within 1 s"),
        (partial(NEXT, faults={0: "exit"}), EngineError, "EXIT"),
        (partial(NEXT, start="exit"), EngineError, "exit code 3 while opening"),
        (partial(FakeSession, replace(OTHER, classes=("a", "b"))), ConfigError, "classes a, b"),
        (lambda: None, ConfigError, "give a function of a module"),
    ],
)
def test_a_bad_model_changes_nothing(bad: object, error: type[Exception], says: str) -> None:
    with looped(standby=False) as loop:
        loop.until(good=True)
        change = loop.lane.swap(bad)  # type: ignore[arg-type]
        while not change.done():
            loop.turn()
        with pytest.raises(error, match=says):
            change.result()
        loop.run(0.1)
        assert {result.model_id for result in loop.results if result.mask is not None} == {"fake-1"}
        assert all(result.mask is not None for result in loop.results)
        assert loop.codes == [""]
        assert not loop.lane.restarts


def test_a_second_change_withdraws_the_first() -> None:
    with looped(standby=False) as loop:
        first, second = loop.lane.swap(NEXT), loop.lane.swap(partial(FakeSession, replace(SPEC, version="3")))
        while not second.done():
            loop.turn()
        with pytest.raises(EngineError, match="withdrawn"):
            first.result()
        assert second.result() == "fake-3"
        loop.run(0.1)
        assert loop.results[-1].model_id == "fake-3"
    with looped(standby=False) as loop:
        change = loop.lane.swap(NEXT)
    with pytest.raises(EngineError, match="closed before"):
        change.result()


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_kills_leave_nothing_behind(kills: int) -> None:
    resource_tracker.ensure_running()
    before = resources()
    with looped(rules=Rules(restarts=1000)) as loop:
        loop.until(good=True)
        spare_ready(loop.lane)
        loop.run(0.1)
        steady = resources()
        for _ in range(kills):
            os.kill(active_pid(loop.lane), signal.SIGKILL)
            loop.until(good=False)
            loop.until(good=True)
        spare_ready(loop.lane)
        end = CLOCK.now_ns() + 10 * NS_PER_S
        while resources() != steady and CLOCK.now_ns() < end:
            loop.run(0.05)
        assert resources() == steady
    assert resources() == before
