"""One client's pace, without a socket."""

from __future__ import annotations

from edge3vt.viewer.pace import IN_FLIGHT, Pace


def test_two_are_on_their_way_and_no_more() -> None:
    pace = Pace()
    for number in range(IN_FLIGHT):
        assert pace.free
        pace.sent(number, 0)
    assert not pace.free
    assert pace.acknowledged(0)
    assert pace.free


def test_an_answer_speaks_for_those_before() -> None:
    pace = Pace()
    pace.sent(3, 100)
    pace.sent(9, 200)
    assert pace.stuck_ns(1100) == 1000
    assert pace.acknowledged(9)
    assert pace.stuck_ns(1100) == 0


def test_an_answer_to_nothing_counts_for_nothing() -> None:
    pace = Pace()
    assert not pace.acknowledged(0)
    pace.sent(3, 100)
    assert not pace.acknowledged(2)
    assert not pace.acknowledged(4)
    assert pace.stuck_ns(150) == 50
