from __future__ import annotations

from dataclasses import replace

import pytest

from edge3vt.bench.followed import Followed, Group, Jump, Limit, Real, Record, followed, limits, lines
from edge3vt.bench.follower import Cine, Vessel
from edge3vt.core.documents import parse_json, to_json
from edge3vt.core.errors import ConfigError

GROUP = Group("18-23 weeks", "sweep", (18.0, 23.0), "A", 1, 0.6)


def cine(width_px: float, dice: float, shown: int, flicker: float | None = 0.1) -> Cine:
    vessels = {"aortic_arch": Vessel(width_px, dice, 0.0, 0.2, -0.1), "trachea": Vessel(3.0, 0.0, 1.0, None, None)}
    return Cine("1", 30, 30, shown, 3, 2, 40, vessels, {"aortic_arch": flicker, "trachea": None})


def one(shown: int = 18) -> Followed:
    return followed(GROUP, "track", [cine(5.0, 0.6, shown), cine(12.0, 0.9, shown)])


def test_structures_are_binned_by_their_true_width() -> None:
    bins = {(b.structure, b.least_px): b for b in one().bins}
    assert {key: b.cines for key, b in bins.items()} == {
        ("aortic_arch", 0.0): 1,
        ("aortic_arch", 12.0): 1,
        ("trachea", 0.0): 2,
    }
    assert bins["aortic_arch", 12.0].dice == 0.9
    assert (bins["trachea", 0.0].missed, bins["trachea", 0.0].error_mm) == (1.0, None)
    assert bins["aortic_arch", 12.0].below_px is None


def test_means_are_over_cines_then_structures_and_shares_over_frames() -> None:
    found = one()
    assert found.dice == {"aortic_arch": 0.75, "trachea": 0.0}
    assert found.dice_mean == 0.375
    assert found.flicker == 0.1
    assert (found.shown_in_view, found.shown_outside, found.closer) == (0.6, 0.1, 0.6667)
    assert found.blinks_per_s == pytest.approx(4 / 2)


def test_phantoms_that_never_hold_the_view_have_no_dice() -> None:
    other = Cine("1", 0, 60, 0, 6, 0, 0, {}, {})
    found = followed(replace(GROUP, kind="other", overlay=None), "acquire", [other])
    assert (found.dice_mean, found.shown_in_view, found.shown_outside, found.blinks_per_s) == (None, None, 0.1, None)


def kept(one: Followed, jump: Jump, real: Real) -> dict[str, bool]:
    return {limit.name: limit.passed for limit in limits([one], [jump], [real])}


JUMP = Jump("18-23 weeks", 30.0, "track", 3, 2, 2, (100.0, 500.0))
REAL = Real("a.mp4", "", False, 100, {"acquire": 0.0, "track": 0.01})


def test_the_limits_themselves_are_allowed_and_what_is_past_them_is_not() -> None:
    assert set(kept(one(), JUMP, REAL).values()) == {True}
    assert not kept(one(17), JUMP, REAL)["overlay, 18-23 weeks, track"]
    late = replace(JUMP, within_limit=1, found_ms=(100.0, None))
    assert not kept(one(), late, REAL)["found again, 18-23 weeks, 30 Hz, track"]
    shown = replace(REAL, shown={"acquire": 0.0, "track": 0.02})
    assert not kept(one(), JUMP, shown)["false show, a.mp4, track"]


def test_what_was_trained_on_and_what_had_no_overlay_before_a_jump_is_not_judged() -> None:
    trained = replace(REAL, trained_on=True, shown={"acquire": 0.5})
    nothing = replace(JUMP, held=0, within_limit=0, found_ms=())
    assert list(kept(one(), nothing, trained)) == ["overlay, 18-23 weeks, track"]


def test_the_record_is_a_document_and_reads_for_people() -> None:
    missed = (Limit("false show", 0.5, "<= 0.01", False),)
    record = Record(
        1, "0", "now", "m-1", "ab", 30.0, False, missed, (one(),), (JUMP,), (replace(REAL, trained_on=True),)
    )
    assert parse_json(Record, to_json(record), where="x") == record
    text = "\n".join(lines(record))
    assert "18-23 weeks, track (2 cines): Dice 0.375, overlay in view 0.600" in text
    assert "2 of 2 within 500 ms, slowest 500 ms, 0 never" in text
    assert "a.mp4 (trained on), 100 frames" in text
    assert "MISSED false show: 0.5, limit <= 0.01" in text
    with pytest.raises(ConfigError, match="schema 2"):
        replace(record, schema=2)
