"""The deadline's pure core: rules one by one, then a hundred thousand frames of random weather."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.segmentation import Verdict
from edge3vt.stream.deadline import Captured, Composed, Deadline, Emit, Event, Finished, Offer

BUDGET = 16_700_000
MS = NS_PER_MS


def test_a_frame_leaves_with_its_mask_as_soon_as_it_is_ready() -> None:
    core = Deadline(BUDGET)
    assert core.step([Captured(0, 0)], 0) == [Offer(0)]
    assert core.step([], 3 * MS) == []
    assert core.step([Finished(0, 4 * MS)], 4 * MS) == [Emit(0, Verdict.ON_TIME)]
    assert core.wake_ns() is None


def test_a_frame_leaves_without_its_mask_before_the_deadline_and_not_earlier() -> None:
    core = Deadline(BUDGET)
    core.step([Captured(0, 0)], 0)
    wake = core.wake_ns()
    assert wake is not None
    assert 10 * MS < wake < BUDGET
    assert core.step([], wake - 1) == []
    assert core.step([], wake) == [Emit(0, Verdict.LATE)]


def test_composing_time_is_taken_off_the_wait() -> None:
    core = Deadline(BUDGET)
    core.step([Captured(0, 0)], 0)
    before = core.wake_ns()
    core.step([Composed(6 * MS)], 1)
    after = core.wake_ns()
    assert before is not None
    assert after is not None
    assert before - after == 4 * MS  # 6 ms instead of the 2 ms assumed at first


def test_the_newest_waiting_frame_is_offered_and_older_ones_leave_at_once() -> None:
    core = Deadline(BUDGET)
    core.step([Captured(0, 0)], 0)
    assert core.step([Captured(1, 5 * MS), Captured(2, 6 * MS)], 6 * MS) == []
    actions = core.step([Finished(0, 8 * MS)], 8 * MS)
    assert actions == [Offer(2), Emit(0, Verdict.ON_TIME), Emit(1, Verdict.SKIPPED, "superseded")]


def test_a_frame_behind_a_busy_engine_leaves_at_its_deadline() -> None:
    core = Deadline(BUDGET)
    core.step([Captured(0, 0)], 0)
    core.step([], BUDGET)
    assert core.step([Captured(1, BUDGET)], BUDGET) == []
    assert core.step([], 2 * BUDGET) == [Emit(1, Verdict.SKIPPED, "engine busy")]
    assert core.step([Finished(0, 2 * BUDGET)], 2 * BUDGET) == []


def test_a_frame_with_no_time_left_is_refused_but_the_gate_never_shuts_for_ever() -> None:
    core = Deadline(BUDGET)
    core.step([Captured(0, 0)], 0)
    core.step([Finished(0, 10 * MS)], 10 * MS)  # the engine costs 10 ms
    offered = 0
    for index in range(1, 40):  # each frame is seen 9 ms late: 10 ms no longer fit
        captured = index * 20 * MS
        actions = core.step([Captured(index, captured)], captured + 9 * MS)
        if Offer(index) in actions:
            offered += 1
            core.step([Finished(index, captured + 19 * MS)], captured + 19 * MS)
        else:
            assert actions == [Emit(index, Verdict.SKIPPED, "no time left")]
    assert 5 <= offered <= 15


def test_an_engine_slower_than_the_budget_still_gets_frames() -> None:
    core = Deadline(BUDGET)
    core.step([Captured(0, 0)], 0)
    core.step([Finished(0, 40 * MS)], 40 * MS)
    assert core.step([Captured(1, 50 * MS)], 50 * MS) == [Offer(1)]


def test_a_failed_run_is_skipped_with_its_reason() -> None:
    core = Deadline(BUDGET)
    core.step([Captured(0, 0)], 0)
    assert core.step([Finished(0, MS, failed=True)], MS) == [Emit(0, Verdict.SKIPPED, "engine failed")]


def test_a_frame_that_is_not_for_the_engine_leaves_at_once_in_its_turn() -> None:
    core = Deadline(BUDGET)
    assert core.step([Captured(0, 0), Captured(1, MS, skip="repeated picture")], MS) == [Offer(0)]
    actions = core.step([Finished(0, 4 * MS)], 4 * MS)
    assert actions == [Emit(0, Verdict.ON_TIME), Emit(1, Verdict.SKIPPED, "repeated picture")]
    assert core.step([Captured(2, 5 * MS, skip="AI off")], 5 * MS) == [Emit(2, Verdict.SKIPPED, "AI off")]


def test_in_lockstep_every_frame_leaves_at_the_same_age() -> None:
    core = Deadline(BUDGET, lockstep=True)
    core.step([Captured(0, 0)], 0)
    wake = core.wake_ns()
    assert wake is not None
    assert core.step([Finished(0, 4 * MS)], 4 * MS) == []
    assert core.step([], wake - 1) == []
    assert core.step([], wake) == [Emit(0, Verdict.ON_TIME)]
    assert core.step([Captured(1, BUDGET, skip="AI off")], BUDGET) == [], "also without the engine"


def test_a_result_that_nobody_asked_for_is_an_error() -> None:
    with pytest.raises(ValueError, match="was not in the engine"):
        Deadline(BUDGET).step([Finished(7, 0)], 0)


def simulate(core: Deadline, frames: int, rng: random.Random) -> tuple[Counter[Verdict], int]:
    """A source of 60 Hz with jitter, an engine with spikes, sleeps that end late. Returns verdicts and late frames.

    Checks on the way: every frame leaves exactly once and in order, at most one is in the engine.
    """
    now = 0
    arrivals = sorted(i * 16_666_667 + int(rng.expovariate(1 / (0.3 * MS))) for i in range(frames))
    arrived, next_out, late = 0, 0, 0
    in_engine: tuple[int, int] | None = None  # index, when it will be done
    verdicts: Counter[Verdict] = Counter()
    while next_out < frames:
        events: list[Event] = []
        while arrived < frames and arrivals[arrived] <= now:
            events.append(Captured(arrived, arrivals[arrived]))
            arrived += 1
        if in_engine and in_engine[1] <= now:
            events.append(Finished(in_engine[0], in_engine[1]))
            in_engine = None
        for action in core.step(events, now):
            match action:
                case Offer(index):
                    assert in_engine is None
                    cost = 4 * MS if rng.random() > 0.02 else rng.randrange(4, 60) * MS
                    in_engine = (index, now + cost)
                case Emit(index, verdict, _):
                    assert index == next_out
                    next_out += 1
                    verdicts[verdict] += 1
                    late += now + MS > arrivals[index] + core.budget_ns  # composing takes 1 ms
        candidates = [arrivals[arrived]] if arrived < frames else []
        candidates += [in_engine[1]] if in_engine else []
        wake = core.wake_ns()
        if wake is not None:
            candidates.append(max(wake, now + 1) + int(rng.expovariate(1 / (0.1 * MS))))
        now = max(now + 1, min(candidates)) if candidates else now + 1
    return verdicts, late


def test_fifty_thousand_frames_of_random_weather() -> None:
    verdicts, late = simulate(Deadline(BUDGET), 50_000, random.Random(1))
    assert sum(verdicts.values()) == 50_000
    assert verdicts[Verdict.ON_TIME] > 47_500
    assert late <= 5, "a late engine must never make the picture late"


def test_the_simulation_catches_a_core_that_waits_for_the_engine() -> None:
    class Patient(Deadline):
        def wake_ns(self) -> int | None:
            return None

        def _last_moment(self, waiting: object) -> int:
            return 1 << 62

    _, late = simulate(Patient(BUDGET), 5_000, random.Random(1))
    assert late > 50
