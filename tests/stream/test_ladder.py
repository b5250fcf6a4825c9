"""The ladder's pure core: down in order, up with patience, and hours of weather without flapping."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.stream.ladder import Changed, Heat, Judged, Ladder, LadderRules, Move, Rung

BUDGET = 16_700_000
FRAME = NS_PER_S // 60
Cost = Callable[[float, Rung], float]
Accepts = Callable[[Rung], bool]


class Cart:
    """A 60 Hz source; ``cost_ms`` says what a run takes at a time, in s, on a rung.

    age_ms: of frames when they come. accepts: whether an engine that is to be changed is. change_s: that takes so long.
    """

    def __init__(
        self, ladder: Ladder, cost_ms: Cost, age_ms: float = 0.5, accepts: Accepts = lambda rung: True
    ) -> None:
        self.ladder, self.cost_ms, self.age_ms, self.accepts = ladder, cost_ms, age_ms, accepts
        self.change_s = 0.5
        self.frame = 0
        self.changing: tuple[int, bool] | None = None
        self.moves: list[tuple[float, Move]] = []

    def run(self, seconds: float, heat: Heat | None = None) -> list[Move]:
        begun = len(self.moves)
        for _ in range(round(seconds * 60)):
            now = self.frame * FRAME
            rung = self.ladder.rung
            events: list[Judged | Heat | Changed] = []
            if self.changing is not None and now >= self.changing[0]:
                events.append(Changed(self.changing[1]))
                self.changing = None
            if rung is not Rung.OFF and not (rung is Rung.ALTERNATE and self.frame % 2):
                cost = self.cost_ms(now / NS_PER_S, rung)
                in_time = self.age_ms + cost < 14.5
                events.append(Judged(in_time, round(cost * NS_PER_MS), round(self.age_ms * NS_PER_MS)))
            if heat is not None and self.frame % 60 == 0:
                events.append(heat)
            move = self.ladder.step(events, now)
            if move is not None:
                self.moves.append((now / NS_PER_S, move))
                if move.changes:
                    self.changing = now + round(self.change_s * NS_PER_S), self.accepts(move.rung)
            self.frame += 1
        return [move for _, move in self.moves[begun:]]


def rungs(moves: list[Move]) -> list[Rung]:
    return [move.rung for move in moves]


def test_nothing_moves_while_all_is_well() -> None:
    cart = Cart(Ladder(BUDGET), lambda at, rung: 8.0)
    assert cart.run(600, Heat(slowed=False, temperature_c=60)) == []


def test_a_ramp_goes_down_in_order_and_back_up() -> None:
    """5 to 80 ms and back, over 2 minutes each way; the smaller engine takes 60 % of the time."""

    def cost(at: float, rung: Rung) -> float:
        full = 5 + 75 * max(1 - abs(at - 120) / 120, 0)
        return full * (0.6 if rung is not Rung.FULL else 1)

    cart = Cart(Ladder(BUDGET), cost)
    down = cart.run(120)
    assert rungs(down) == [Rung.SMALLER, Rung.ALTERNATE], "80 ms still give a mask that may be drawn with its age"
    assert all(move.down for move in down)
    assert "own masks on" in down[0].reason
    assert "budget 16.7" in down[0].reason
    up = cart.run(300)
    assert rungs(up) == [Rung.SMALLER, Rung.FULL]
    assert not any(move.down for move in up)


def test_masks_too_old_to_draw_turn_the_ai_off_and_it_is_tried_again() -> None:
    cart = Cart(Ladder(BUDGET), lambda at, rung: 130.0 if at < 25 else 6.0)
    assert rungs(cart.run(20)) == [Rung.SMALLER, Rung.ALTERNATE, Rung.OFF]
    assert cart.moves[0][0] < 3
    assert cart.moves[-1][0] < 9
    assert cart.moves[-1][1].reason.startswith("AI off: masks too old")
    assert rungs(cart.run(300)) == [Rung.ALTERNATE, Rung.SMALLER, Rung.FULL]


def test_an_engine_that_answers_nothing_ends_off() -> None:
    ladder = Ladder(BUDGET)
    silent = [Judged(own=False, infer_ns=None), Changed(True)]
    moves = [m for i in range(1200) if (m := ladder.step(silent, i * FRAME))]
    assert rungs(moves) == [Rung.SMALLER, Rung.ALTERNATE, Rung.OFF]
    assert "no inference came back" in moves[-1].reason


def test_heat_goes_down_one_rung_at_a_time_and_up_when_it_is_cool() -> None:
    cart = Cart(Ladder(BUDGET), lambda at, rung: 5.0)
    assert cart.run(20, Heat(slowed=None, temperature_c=90)) == []
    (first,) = cart.run(15, Heat(slowed=None, temperature_c=97))
    assert first.reason == "smaller engine: the machine is at 97 °C"
    assert cart.run(60, Heat(slowed=None, temperature_c=90)) != [], "neither cool nor hotter: still hot"
    assert rungs(cart.run(200, Heat(slowed=False, temperature_c=70)))[-1] is Rung.FULL


def test_throttling_is_enough_and_unknown_is_nothing() -> None:
    cart = Cart(Ladder(BUDGET), lambda at, rung: 5.0)
    assert cart.run(60, Heat(slowed=None, temperature_c=None)) == []
    assert rungs(cart.run(10, Heat(slowed=True, temperature_c=None))) == [Rung.SMALLER]


def test_without_a_smaller_engine_its_rung_is_left_out() -> None:
    cart = Cart(Ladder(BUDGET, (Rung.FULL, Rung.ALTERNATE, Rung.OFF)), lambda at, rung: 30.0)
    assert rungs(cart.run(10)) == [Rung.ALTERNATE]
    with pytest.raises(ValueError, match="in order"):
        Ladder(BUDGET, (Rung.OFF, Rung.FULL))


def at_its_limit(rng: random.Random) -> Cost:
    """The full engine is always late, the smaller one never, and both now and then take a spike."""

    def cost(at: float, rung: Rung) -> float:
        spike = 30.0 if rng.random() < 0.01 else 0.0
        return spike or (18.0 if rung is Rung.FULL else 9.0)

    return cost


def test_a_million_frames_at_the_limit_do_not_flap() -> None:
    cart = Cart(Ladder(BUDGET), at_its_limit(random.Random(1)))
    cart.run(1_000_000 / 60)
    ups = [at for at, move in cart.moves if not move.down]
    assert len(cart.moves) <= 30
    late = [b - a for a, b in pairwise(ups) if a > 3600]
    assert all(gap > 900 for gap in late), "after an hour at most a try in a quarter of an hour"


def test_the_simulation_catches_a_ladder_without_patience() -> None:
    impatient = LadderRules(calm_s=2.0, longest_calm_s=2.0)
    cart = Cart(Ladder(BUDGET, rules=impatient), at_its_limit(random.Random(1)))
    cart.run(600)
    assert len(cart.moves) > 100


def test_once_the_load_has_gone_patience_returns() -> None:
    cart = Cart(Ladder(BUDGET), lambda at, rung: 18.0 if rung is Rung.FULL and at < 1200 else 9.0)
    cart.run(1200)
    assert rungs(cart.run(3000)) == [Rung.FULL]


def test_nothing_moves_while_the_engine_is_being_changed() -> None:
    cart = Cart(Ladder(BUDGET), lambda at, rung: 30.0)
    cart.change_s = 40.0
    (first,) = cart.run(30)
    assert (first.rung, first.changes) == (Rung.SMALLER, True)
    (second,) = cart.run(20)
    assert (second.rung, second.changes) == (Rung.ALTERNATE, False)


def test_a_smaller_engine_that_is_refused_is_given_up_and_the_next_rung_taken() -> None:
    cart = Cart(Ladder(BUDGET), lambda at, rung: 30.0 if at < 20 else 6.0, accepts=lambda rung: False)
    assert rungs(cart.run(20)) == [Rung.SMALLER, Rung.ALTERNATE]
    up = cart.run(120)
    assert rungs(up) == [Rung.FULL]
    assert not up[0].changes, "it has the full engine already"


def test_a_full_engine_that_is_refused_leaves_the_smaller_one_and_is_asked_again_later() -> None:
    asked: list[Rung] = []

    def accepts(rung: Rung) -> bool:
        asked.append(rung)
        return rung is Rung.SMALLER or len(asked) > 2

    cart = Cart(Ladder(BUDGET), lambda at, rung: 30.0 if rung is Rung.FULL and at < 10 else 6.0, accepts=accepts)
    cart.run(60)
    assert cart.ladder.rung is Rung.SMALLER
    cart.run(120)
    assert asked == [Rung.SMALLER, Rung.FULL, Rung.FULL]
    assert cart.ladder.rung is Rung.FULL


@pytest.mark.parametrize(("age_ms", "cost_ms"), [(40.0, 8.0), (15.0, 6.0)])
def test_frames_that_come_late_are_no_reason_to_ask_less_of_the_engine(age_ms: float, cost_ms: float) -> None:
    cart = Cart(Ladder(BUDGET), lambda at, rung: cost_ms, age_ms=age_ms)
    assert cart.run(600) == []


def test_late_frames_and_an_engine_too_slow_by_itself_go_down_and_stay() -> None:
    cart = Cart(Ladder(BUDGET), lambda at, rung: 30.0, age_ms=40.0)
    assert rungs(cart.run(600)) == [Rung.SMALLER, Rung.ALTERNATE]


def test_a_constant_lateness_leaves_the_lowest_rung_that_shows_something() -> None:
    cart = Cart(Ladder(BUDGET, (Rung.FULL, Rung.ALTERNATE, Rung.OFF)), lambda at, rung: 40.0)
    assert rungs(cart.run(1800)) == [Rung.ALTERNATE], "40 ms are late, and may be drawn with their age"


def test_a_source_of_few_frames_is_judged_too() -> None:
    ladder, moves = Ladder(BUDGET, (Rung.FULL, Rung.ALTERNATE, Rung.OFF)), []
    for i in range(3000):
        rung, now = ladder.rung, i * NS_PER_S // 12
        cost = 30 if now < 20 * NS_PER_S else 6
        asked = rung is Rung.FULL or i % 2 == 0
        if move := ladder.step([Judged(cost < 14, cost * NS_PER_MS)] if asked else [], now):
            moves.append(move)
    assert rungs(moves) == [Rung.ALTERNATE, Rung.FULL]


def test_the_code_says_what_it_went_down_for() -> None:
    cart = Cart(Ladder(BUDGET), lambda at, rung: 5.0)
    cart.run(120, Heat(slowed=True, temperature_c=None))
    assert (cart.ladder.rung, cart.ladder.code) == (Rung.OFF, "HOT")
    cart = Cart(Ladder(BUDGET), lambda at, rung: 130.0)
    cart.run(20)
    assert (cart.ladder.rung, cart.ladder.code) == (Rung.OFF, "LATE")
