"""Lanes: frames in, results out, whatever the engine does. One contract for every kind of lane."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from edge3vt.core.clock import SystemClock
from edge3vt.core.errors import ArtifactError, EngineError
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.fake import FakeSession, Fault
from edge3vt.stream.lane import RAILS_EVERY, Lane, LaneResult, ThreadLane, rails
from edge3vt.stream.process import ProcessLane
from edge3vt.stream.supervised import SupervisedLane

SPEC = ModelSpec(1, "fake", "1", ("background", "bright"), 32, 32, 4, True, True, "")
CROP = Crop(0, 0, 32, 32)
Make = Callable[[Callable[[], Session]], Lane]
LANES: list[Make] = [ThreadLane, ProcessLane, partial(SupervisedLane, standby=False)]
every_lane = pytest.mark.parametrize("make", LANES, ids=["thread", "process", "supervised"])


def frame(index: int, bright: bool = True) -> Frame:
    return Frame(index, index * 1000, np.full((32, 32), 200 if bright else 20, np.uint8))


def answer(lane: Lane, asked: Frame) -> LaneResult:
    lane.offer(asked, CROP)
    assert lane.wait(SystemClock().now_ns() + 10_000_000_000)
    result = lane.newest()
    assert result is not None
    return result


@every_lane
def test_a_frame_comes_back_as_its_own_mask(make: Make) -> None:
    lane = make(partial(FakeSession, SPEC))
    for index, bright in enumerate((True, False, True)):
        result = answer(lane, frame(index, bright))
        assert (result.index, result.captured_ns, result.model_id) == (index, index * 1000, "fake-1")
        assert result.mask is not None
        assert (result.mask == int(bright)).all()
        assert result.view == 8.0
        assert not result.error
    lane.close()


@every_lane
@pytest.mark.parametrize("fault", ["raise", "nan", "inf", "shape"])
def test_a_failed_run_is_a_result_with_its_reason_and_the_next_one_works(make: Make, fault: Fault) -> None:
    lane = make(partial(FakeSession, SPEC, faults={0: fault}))
    failed = answer(lane, frame(0))
    assert failed.mask is None
    assert failed.error
    assert failed.view is None
    assert answer(lane, frame(1)).mask is not None
    lane.close()


def damaged() -> Session:
    raise ArtifactError("engine: damaged\nin two lines")


@every_lane
def test_what_opening_raises_reaches_the_caller(make: Make) -> None:
    with pytest.raises(ArtifactError, match="damaged"):
        make(damaged)
    with pytest.raises(EngineError, match="opening failed, as its script says"):
        make(partial(FakeSession, SPEC, start="raise"))


@every_lane
def test_waiting_ends_at_the_deadline_without_a_result(make: Make) -> None:
    lane = make(partial(FakeSession, SPEC, SystemClock(), latency_ms=150))
    lane.offer(frame(0), CROP)
    assert not lane.wait(SystemClock().now_ns() + 20_000_000)
    assert lane.newest() is None
    assert lane.wait(SystemClock().now_ns() + 10_000_000_000)
    result = lane.newest()
    assert result is not None
    assert result.index == 0
    assert not lane.wait(0), "it was given"
    assert lane.newest() is result, "seen before or not"
    lane.close()


@every_lane
def test_what_is_offered_while_the_engine_works_replaces_what_waits(make: Make) -> None:
    lane = make(partial(FakeSession, SPEC, SystemClock(), latency_ms=100))
    for index in range(3):
        lane.offer(frame(index), CROP)
        SystemClock().sleep_until_ns(SystemClock().now_ns() + 20_000_000)
    seen = set()
    while 2 not in seen:
        assert lane.wait(SystemClock().now_ns() + 10_000_000_000)
        result = lane.newest()
        assert result is not None
        seen.add(result.index)
    assert 1 not in seen
    lane.close()


@every_lane
def test_a_lane_is_on_and_closes_twice(make: Make) -> None:
    lane = make(partial(FakeSession, SPEC))
    assert lane.off == ""
    lane.close()
    lane.close()


def test_an_engine_that_writes_nothing_gives_no_mask() -> None:
    session = FakeSession(SPEC)
    written = session.run
    session.run = lambda pixels, logits, view=None: written(pixels, logits, view) if not session.runs else None  # type: ignore[method-assign]
    lane = ThreadLane(lambda: session)
    assert answer(lane, frame(0)).mask is not None
    silent = answer(lane, frame(1))
    assert silent.mask is None, "the last one must not stand for it"
    assert silent.error
    lane.close()


@every_lane
def test_what_saturates_is_told_with_the_result(make: Make) -> None:
    lane = make(partial(FakeSession, SPEC))
    dark = answer(lane, frame(0, bright=False))
    assert dark.saturated == (0.0, 1.0), "a fake's logits are three numbers"
    for index in range(1, RAILS_EVERY + 1):
        white = Frame(index, index * 1000, np.full((32, 32), 255, np.uint8))
        last = answer(lane, white)
    assert last.saturated[0] == 1.0
    lane.close()


def test_an_8_bit_output_that_saturates_shows_and_floats_do_not() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 255, (1, 1, 384, 384), np.uint8)
    floats = rng.normal(0, 10, (1, 6, 96, 96)).astype(np.float32)
    assert rails(pixels, floats) == (0.0, 0.0)
    step = np.float32(0.25)
    wide = np.clip(np.round(floats / step), -128, 127) * step
    narrow = np.clip(np.round(floats / step), -40, 40) * step
    assert rails(pixels, wide)[1] < 0.01
    assert 0.25 < rails(pixels, narrow)[1] < 0.4, "a third lies beyond one standard deviation"
    pixels[..., :192] = 255
    assert rails(pixels, floats)[0] == 0.5
