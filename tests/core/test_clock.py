from __future__ import annotations

from datetime import datetime, timedelta  # noqa: TID251 - the referee of a label

import pytest

from edge3vt.core.clock import NS_PER_MS, Clock, ManualClock, SystemClock, wall_label


def test_a_manual_clock_moves_only_when_told() -> None:
    clock: Clock = ManualClock(5)
    assert clock.now_ns() == clock.now_ns() == 5
    clock.sleep_until_ns(40)
    assert clock.now_ns() == 40
    clock.sleep_until_ns(10)  # the past
    assert clock.now_ns() == 40


def test_a_manual_clock_advances_but_never_goes_back() -> None:
    clock = ManualClock()
    clock.advance_ms(16.7)
    assert clock.now_ns() == 16_700_000
    with pytest.raises(ValueError, match="cannot go back by 1 ms"):
        clock.advance_ms(-1)


def test_the_system_clock_never_wakes_early() -> None:
    clock: Clock = SystemClock()
    started = clock.now_ns()
    clock.sleep_until_ns(started - NS_PER_MS)
    clock.sleep_until_ns(started + NS_PER_MS)
    assert clock.now_ns() >= started + NS_PER_MS


def test_the_wall_label_is_utc_in_iso_8601() -> None:
    label = datetime.fromisoformat(wall_label())
    assert label.utcoffset() == timedelta(0)
    assert label.microsecond == 0
