"""Lanes: frames in, results out, whatever the engine does. One contract for every kind of lane."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge3vt.core.clock import SystemClock
from edge3vt.core.errors import ArtifactError
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.fake import FakeSession
from edge3vt.stream.lane import Lane, LaneResult, ThreadLane

SPEC = ModelSpec(1, "fake", "1", ("background", "bright"), 32, 32, 4, True, True, "")
CROP = Crop(0, 0, 32, 32)
LANES: list[Callable[[Callable[[], Session]], Lane]] = [ThreadLane]


def frame(index: int, bright: bool = True) -> Frame:
    return Frame(index, index * 1000, np.full((32, 32), 200 if bright else 20, np.uint8))


def answer(lane: Lane, asked: Frame) -> LaneResult:
    lane.offer(asked, CROP)
    assert lane.wait(SystemClock().now_ns() + 10_000_000_000)
    result = lane.newest()
    assert result is not None
    return result


@pytest.mark.parametrize("make", LANES)
def test_a_frame_comes_back_as_its_own_mask(make: Callable[[Callable[[], Session]], Lane]) -> None:
    lane = make(lambda: FakeSession(SPEC))
    for index, bright in enumerate((True, False, True)):
        result = answer(lane, frame(index, bright))
        assert (result.index, result.captured_ns, result.model_id) == (index, index * 1000, "fake-1")
        assert result.mask is not None
        assert (result.mask == int(bright)).all()
        assert result.view == 8.0
        assert not result.error
    lane.close()


@pytest.mark.parametrize("make", LANES)
@pytest.mark.parametrize("fault", ["raise", "nan"])
def test_a_failed_run_is_a_result_with_its_reason_and_the_next_one_works(
    make: Callable[[Callable[[], Session]], Lane], fault: str
) -> None:
    lane = make(lambda: FakeSession(SPEC, faults={0: fault}))  # type: ignore[dict-item]  # parametrised literal
    failed = answer(lane, frame(0))
    assert failed.mask is None
    assert failed.error
    assert failed.view is None
    assert answer(lane, frame(1)).mask is not None
    lane.close()


@pytest.mark.parametrize("make", LANES)
def test_what_opening_raises_reaches_the_caller(make: Callable[[Callable[[], Session]], Lane]) -> None:
    def damaged() -> Session:
        raise ArtifactError("engine: damaged")

    with pytest.raises(ArtifactError, match="damaged"):
        make(damaged)


@pytest.mark.parametrize("make", LANES)
def test_waiting_ends_at_the_deadline_without_a_result(make: Callable[[Callable[[], Session]], Lane]) -> None:
    session = FakeSession(SPEC, faults={0: "hang"})
    lane = make(lambda: session)
    lane.offer(frame(0), CROP)
    assert not lane.wait(SystemClock().now_ns() + 20_000_000)
    assert lane.newest() is None
    session.release()
    assert lane.wait(None)
    lane.close()
