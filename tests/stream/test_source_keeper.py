from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge3vt.core.clock import NS_PER_MS
from edge3vt.stream.sources.keeper import (
    KILL_AFTER_NS,
    LONGEST_PAUSE_NS,
    SILENCE_NS,
    Action,
    Appeared,
    Died,
    Ended,
    Event,
    Failed,
    Heard,
    Keeper,
    Opened,
    Phase,
)

MS = NS_PER_MS


def opened(at_ms: int = 0) -> Keeper:
    keeper = Keeper()
    assert keeper.step([], at_ms * MS) == [Action.OPEN]
    assert keeper.step([Opened()], at_ms * MS) == []
    return keeper


def test_it_opens_at_once_and_waits_while_frames_come() -> None:
    keeper = opened()
    for at in range(0, 10_000, 16):
        assert keeper.step([Heard()], at * MS) == []
    assert keeper.wake_ns() == at * MS + SILENCE_NS
    assert keeper.reopened == 0


def test_what_hangs_is_terminated_killed_and_opened_within_two_seconds() -> None:
    keeper = opened()
    done = [(at, a) for at in range(0, 4000, 10) for a in keeper.step([], at * MS)]
    assert done == [(750, Action.LOST), (750, Action.TERMINATE), (1750, Action.KILL)]
    assert keeper.step([Died("killed")], 1760 * MS) == []
    assert keeper.step([], 1860 * MS) == [Action.OPEN]
    assert keeper.step([Opened()], 2400 * MS) == [Action.BACK]
    assert (keeper.reopened, keeper.reason) == (1, "gave nothing for 750 ms")


def test_one_that_obeys_is_not_killed() -> None:
    keeper = opened()
    assert keeper.step([], 750 * MS) == [Action.LOST, Action.TERMINATE]
    keeper.step([Died("terminated")], 800 * MS)
    assert next(a for at in range(800, 5000, 10) for a in keeper.step([], at * MS)) is Action.OPEN


def test_pauses_double_up_to_two_seconds_for_ever_and_are_logged_once() -> None:
    keeper, now, actions, pauses = opened(), 0, [], []
    actions += keeper.step([Failed("gone")], now)
    for _ in range(60):
        wake = keeper.wake_ns()
        assert wake is not None
        pauses.append((wake - now) // MS)
        now = wake
        assert keeper.step([], now) == [Action.OPEN]
        actions += keeper.step([Failed("no such device")], now)
    assert pauses[:6] == [100, 200, 400, 800, 1600, 2000]
    assert set(pauses[5:]) == {LONGEST_PAUSE_NS // MS}
    assert actions == [Action.LOST]
    assert keeper.reason == "gone"


def test_a_device_that_is_there_again_is_opened_at_once() -> None:
    keeper = opened()
    keeper.step([Failed("gone")], 0)
    for _ in range(5):
        now = keeper.wake_ns()
        assert now is not None
        keeper.step([], now)
        keeper.step([Failed("gone")], now)
    assert keeper.step([Appeared()], now + 1) == [Action.OPEN]


def test_one_that_dies_at_once_waits_longer_each_time_and_one_that_ran_does_not() -> None:
    keeper, pauses, now = opened(), [], 0
    for ran_ms in (0, 0, 0, 1500):
        now += ran_ms * MS
        keeper.step([Heard(), Died("exit 1")], now)
        wake = keeper.wake_ns()
        assert wake is not None
        pauses.append((wake - now) // MS)
        keeper.step([], wake)
        keeper.step([Opened()], wake)
        now = wake
    assert pauses == [100, 200, 400, 100]


@pytest.mark.parametrize(("finite", "action"), [(True, Action.STOP), (False, Action.LOST)])
def test_only_a_finite_source_ends(finite: bool, action: Action) -> None:
    keeper = opened()
    assert keeper.step([Ended(finite)], MS) == [action]
    assert (keeper.wake_ns() is None) is finite


def test_old_news_changes_nothing() -> None:
    keeper = opened()
    keeper.step([], 750 * MS)
    assert keeper.step([Heard(), Opened(), Failed("late")], 760 * MS) == []
    assert keeper.phase is Phase.TERMINATING


EVENTS: list[Event] = [Opened(), Heard(), Failed("x"), Ended(False), Died("x"), Appeared()]


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 3000)), max_size=80))
def test_it_never_sticks_and_never_kills_without_asking_first(happened: list[tuple[Event, int]]) -> None:
    """Whatever comes in whatever order: KILL follows TERMINATE by a second, and it always knows when to act again."""
    keeper, now, terminated = Keeper(), 0, None
    for event, later_ms in happened:
        now += later_ms * MS
        for action in keeper.step([event], now):
            if action is Action.TERMINATE:
                terminated = now
            if action is Action.KILL:
                assert terminated is not None
                assert now - terminated >= KILL_AFTER_NS
                terminated = None
        wake = keeper.wake_ns()
        assert (wake is None) is (keeper.phase is Phase.KILLED)  # the kernel answers a KILL
