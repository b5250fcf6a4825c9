"""The live loop and the offline loop, with a scripted engine and a source that keeps time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_MS, SystemClock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame, Pixels
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.fake import FakeSession, Fault
from edge3vt.stream.ladder import Ladder, LadderRules, Move, Rung
from edge3vt.stream.lane import ThreadLane
from edge3vt.stream.runner import offline, stream
from edge3vt.stream.showing import FAILURES_TO_OFF
from edge3vt.stream.telemetry import Ledger

SPEC = ModelSpec(1, "fake", "1", ("background", "bright"), 32, 32, 4, True, True, "")
CLOCK = SystemClock()
BUDGET_MS = 100.0  # generous: these tests ask what happens, not how fast this machine is


def source(count: int, period_ms: float = 10.0, epochs: int = 1) -> Iterator[Frame]:
    start = CLOCK.now_ns()
    for i in range(count):
        due = start + round(i * period_ms * NS_PER_MS)
        CLOCK.sleep_until_ns(due)
        half = np.zeros((32, 32), np.uint8)
        half[:, 16:] = 140 + 37 * i % 100  # no two alike
        yield Frame(i, CLOCK.now_ns(), half, epoch=i * epochs // count)


def lane(latency_ms: float = 0.0, faults: dict[int, Fault] | None = None) -> ThreadLane:
    return ThreadLane(lambda: FakeSession(SPEC, CLOCK, latency_ms=latency_ms, faults=faults))


def test_every_frame_leaves_once_in_order_with_its_own_mask() -> None:
    ledger = Ledger(BUDGET_MS)
    segs = list(stream(source(20), lane(), BUDGET_MS, ledger=ledger))
    assert [s.frame.index for s in segs] == list(range(20))
    assert sum(s.verdict is Verdict.ON_TIME for s in segs) >= 18
    own = [s for s in segs if s.verdict is Verdict.ON_TIME]
    assert all(
        s.mask is not None and (s.mask[:, 16:] == 1).all() and not s.mask[:, :16].any() and s.mask_age_ns == 0
        for s in own
    )
    assert not own[0].shown, "the first frames are withheld until the view is certain"
    assert own[-1].shown
    assert ledger.summary().frames == 20


def test_a_slow_engine_gives_older_masks_that_say_their_age() -> None:
    segs = list(stream(source(30, period_ms=10), lane(latency_ms=45), budget_ms=20, ledger=None))
    assert len(segs) == 30
    late = [s for s in segs if s.state is State.AI_LATE]
    assert late
    assert all(s.mask_age_ns is not None and s.mask_age_ns > 0 for s in late)
    assert all(s.verdict is not Verdict.ON_TIME for s in late)


def test_a_mask_older_than_the_limit_is_not_drawn() -> None:
    segs = list(stream(source(40, period_ms=10), lane(latency_ms=180), budget_ms=20))
    old = [s for s in segs if s.mask_age_ns is not None and s.mask_age_ns > 100 * NS_PER_MS]
    assert old
    assert not any(s.shown for s in old)


def test_no_mask_crosses_an_epoch() -> None:
    segs = list(stream(source(24, epochs=3), lane(latency_ms=4), BUDGET_MS))
    for seg in segs:
        if seg.mask_ns is not None:
            origin = next(s.frame for s in segs if s.frame.captured_ns == seg.mask_ns)
            assert origin.epoch == seg.frame.epoch


def test_a_failing_engine_never_stops_the_picture_and_is_believed_again_when_it_works() -> None:
    faults: dict[int, Fault] = dict.fromkeys(range(5, 25), "raise")
    segs = list(stream(source(40), lane(faults=faults), BUDGET_MS))
    assert [s.frame.index for s in segs] == list(range(40))
    off = [s for s in segs if s.state is State.AI_OFF]
    assert off
    assert all(s.code == "FAILING" and not s.shown for s in off)
    assert any(s.reason == "engine failed" for s in off)
    assert segs[-1].state is State.LIVE
    assert segs[-1].shown
    invalid = [s for s in segs if s.state is State.AI_INVALID]
    assert 1 <= len(invalid) <= FAILURES_TO_OFF + 1


def test_a_repeated_picture_keeps_its_mask_and_is_not_inferred_again() -> None:
    def doubled() -> Iterator[Frame]:
        for frame in source(20):
            yield replace(frame, index=2 * frame.index)
            CLOCK.sleep_until_ns(frame.captured_ns + 5 * NS_PER_MS)
            yield replace(frame, index=2 * frame.index + 1, captured_ns=CLOCK.now_ns())

    segs = list(stream(doubled(), lane(), BUDGET_MS))
    repeats = [s for s in segs if s.reason == "repeated picture"]
    assert len(repeats) >= 18
    assert all(s.state is State.LIVE and s.mask is not None for s in repeats[2:])
    assert all(0 < (s.mask_age_ns or 0) < 20 * NS_PER_MS for s in repeats[2:]), "an honest age"


def test_a_silent_source_is_said_to_be_silent_and_its_return_is_a_new_picture() -> None:
    def pausing() -> Iterator[Frame]:
        yield from source(15)
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 400 * NS_PER_MS)
        for frame in source(15):
            yield replace(frame, index=15 + frame.index)

    segs = list(stream(pausing(), lane(), BUDGET_MS))
    (gone,) = [i for i, s in enumerate(segs) if s.state is State.NO_SIGNAL]
    assert segs[gone].frame.index == 14, "the last picture leaves once more, to say so"
    assert segs[gone].mask is None
    after = segs[gone + 1]
    assert after.frame.epoch == segs[gone].frame.epoch + 1
    assert len(segs) == 31


def test_in_lockstep_frames_leave_at_the_budget() -> None:
    segs = list(stream(source(20, period_ms=30), lane(), 25.0, sync="lockstep"))
    assert all(s.timing.total_ns > 15 * NS_PER_MS for s in segs)
    assert sum(s.verdict is Verdict.ON_TIME for s in segs) >= 18


def test_a_ladder_asks_less_of_a_late_engine_and_says_so() -> None:
    rules = LadderRules(window_s=0.4)
    moves: list[Move] = []
    ladder = Ladder(10 * NS_PER_MS, (Rung.FULL, Rung.ALTERNATE, Rung.OFF), rules)
    segs = list(stream(source(150), lane(latency_ms=30), 10.0, ladder=ladder, moved=moves.append))
    assert moves[0].rung is Rung.ALTERNATE
    assert any(s.reason == "every second frame" for s in segs)


def test_a_ladder_comes_back_up_once_every_second_frame_is_in_time() -> None:
    """What the ladder itself keeps from the engine is not held against it."""
    rules = LadderRules(window_s=0.3, calm_s=0.3)
    moves: list[Move] = []
    ladder = Ladder(60 * NS_PER_MS, (Rung.FULL, Rung.ALTERNATE, Rung.OFF), rules)
    slow = ThreadLane(lambda: FakeSession(SPEC, CLOCK, latency_ms=(90.0,) * 10 + (0.0,) * 2000))
    segs = list(stream(source(250), slow, 60.0, ladder=ladder, moved=moves.append))
    assert [move.rung for move in moves][:2] == [Rung.ALTERNATE, Rung.FULL]
    assert segs[-1].verdict is Verdict.ON_TIME


def test_an_engine_that_is_being_replaced_is_the_supervisors_matter_not_the_ladders() -> None:
    class Off(ThreadLane):
        @property
        def off(self) -> str:
            return "HANG"

    moves: list[Move] = []
    gone = Off(lambda: FakeSession(SPEC, CLOCK, faults=dict.fromkeys(range(500), "raise")))
    list(stream(source(100), gone, BUDGET_MS, ladder=Ladder(round(BUDGET_MS * NS_PER_MS)), moved=moves.append))
    assert moves == []


def test_a_source_that_breaks_raises_after_its_frames() -> None:
    def breaking() -> Iterator[Frame]:
        yield from source(5)
        raise DataError("clip.dcm: truncated")

    seen: list[Segmentation] = []
    with pytest.raises(DataError, match="truncated"):
        seen.extend(stream(breaking(), lane(), BUDGET_MS))


def test_a_late_picture_is_marked_late() -> None:
    def compose(seg: Segmentation) -> Pixels:
        CLOCK.sleep_until_ns(seg.frame.captured_ns + 60 * NS_PER_MS)
        return np.zeros((32, 32, 3), np.uint8)

    ledger = Ledger(30.0)
    segs = list(stream(source(5, period_ms=80), lane(), 30.0, compose=compose, ledger=ledger))
    assert all(s.emitted_late for s in segs)
    assert ledger.summary().miss_rate == 1.0


@pytest.mark.parametrize("budget_ms", [0.0, -1.0, float("nan")])
def test_a_budget_that_is_not_positive_is_refused(budget_ms: float) -> None:
    with pytest.raises(ConfigError, match="positive number"):
        next(stream(source(1), lane(), budget_ms))


def test_offline_every_frame_has_its_own_mask_however_slow() -> None:
    ledger = Ledger(None)
    segs = list(offline(source(6, period_ms=0), lane(latency_ms=20), ledger=ledger))
    assert [s.verdict for s in segs] == [Verdict.ON_TIME] * 6
    assert all(s.mask_age_ns == 0 for s in segs)
    assert ledger.summary().total_ms is None


def test_offline_latency_counts_from_reading_whatever_times_the_clip_carries() -> None:
    ledger = Ledger(None)
    ahead = [replace(frame, captured_ns=frame.captured_ns + 10**12) for frame in source(3, period_ms=0)]
    segs = list(offline(ahead, lane(latency_ms=20), ledger=ledger))
    assert all(20 * NS_PER_MS <= s.timing.total_ns < 10**12 for s in segs)
    assert ledger.summary().stages_ms["age"].samples == 0


def test_offline_a_failed_run_is_skipped_and_the_next_frame_goes_on() -> None:
    segs = list(offline(source(3, period_ms=0), lane(faults={1: "nan"})))
    assert [s.verdict for s in segs] == [Verdict.ON_TIME, Verdict.SKIPPED, Verdict.ON_TIME]
    assert segs[1].mask is None
