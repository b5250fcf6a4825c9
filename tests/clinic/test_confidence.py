from __future__ import annotations

from edge3vt.clinic.confidence import EARNED, Value, judged, missing, ramp


def test_the_weakest_of_what_speaks_for_a_value_is_its_confidence() -> None:
    assert judged(1.23456, (0.9, "a"), (0.7, "b")) == Value(1.2346, 0.7)


def test_a_value_that_is_not_earned_is_withheld_in_words_and_one_that_just_is_stands() -> None:
    assert judged("V", (0.9, "a"), (0.49, "b")) == Value(None, 0.49, "b")
    assert judged("V", (EARNED, "a")) == Value("V", EARNED)
    assert missing("not there") == Value(None, 0.0, "not there")


def test_half_way_up_a_ramp_is_just_earned() -> None:
    assert [ramp(x, 2, 6) for x in (0, 2, 4, 6, 9)] == [0, 0, EARNED, 1, 1]
    assert ramp(1, 2, 0) == EARNED
