"""The ladder on a running lane: planted slow engines go down and come back, and the lane is told at the right steps."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial

from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.core.errors import EngineError
from edge3vt.stream.descent import REMEMBERED, Descent
from edge3vt.stream.ladder import Heat, Judged, Ladder, LadderRules, Rung
from edge3vt.stream.lane import OpenSession

FRAME = NS_PER_S // 60


def opener(name: str) -> OpenSession:
    return partial(str, name)  # type: ignore[arg-type]


class Changing:
    """A lane that notes which engine it is asked for; ``settle`` ends the change."""

    def __init__(self) -> None:
        self.asked: list[OpenSession] = []
        self.change: Future[str] | None = None

    def swap(self, open_session: OpenSession) -> Future[str]:
        self.asked.append(open_session)
        self.change = Future()
        return self.change

    def settle(self, error: Exception | None = None) -> None:
        assert self.change is not None
        if error is None:
            self.change.set_result("small-1")
        else:
            self.change.set_exception(error)


FULL, SMALL = opener("full"), opener("small")
ENGINES = {Rung.FULL: FULL, Rung.SMALLER: SMALL}


def descent(lane: Changing, heat: list[Heat | None] | None = None) -> Descent:
    felt = heat or [None]
    return Descent(Ladder(16_700_000, rules=LadderRules(calm_s=5.0)), lane, ENGINES, heat=lambda: felt[0])


def run(steps: Descent, begun_s: float, seconds: float, cost_ms: int) -> list[Rung]:
    moves = []
    for i in range(round(seconds * 60)):
        now_ns = round(begun_s * NS_PER_S) + i * FRAME
        events = [] if steps.rung is Rung.OFF else [Judged(cost_ms < 14, cost_ms * NS_PER_MS)]
        if move := steps.step(events, now_ns):
            moves.append(move.rung)
    return moves


def test_down_to_the_smaller_engine_and_back() -> None:
    lane = Changing()
    steps = descent(lane)
    assert run(steps, 0, 10, 30) == [Rung.SMALLER], "it waits for the engine"
    assert lane.asked == [SMALL]
    lane.settle()
    assert run(steps, 10, 1, 8) == []
    assert run(steps, 11, 20, 8) == [Rung.FULL]
    assert lane.asked == [SMALL, FULL]
    lane.settle()
    assert run(steps, 31, 5, 8) == []
    assert (steps.rung, steps.refused) == (Rung.FULL, 0)
    assert steps.moves == {"smaller engine": 1, "full": 1}
    assert [reason.split(":")[0] for reason in steps.reasons] == ["smaller engine", "full"]


def test_a_refused_engine_is_counted_and_the_next_rung_taken() -> None:
    lane = Changing()
    steps = descent(lane)
    run(steps, 0, 5, 30)
    lane.settle(EngineError("no answer to a black frame"))
    assert run(steps, 5, 5, 30) == [Rung.ALTERNATE]
    assert (steps.refused, len(lane.asked)) == (1, 1)


def test_heat_is_felt_when_the_machine_says_it() -> None:
    lane, heat = Changing(), list[Heat | None]([None])
    steps = descent(lane, heat)
    assert run(steps, 0, 10, 5) == []
    heat[0] = Heat(slowed=True, temperature_c=None)
    assert run(steps, 10, 30, 5) == [Rung.SMALLER]
    assert steps.code == "HOT"


def test_what_is_remembered_has_a_bound() -> None:
    lane = Changing()
    steps = Descent(Ladder(16_700_000, (Rung.FULL, Rung.ALTERNATE), LadderRules(calm_s=1, longest_calm_s=1)), lane, {})
    for i in range(40):
        run(steps, 20 * i, 10, 30)
        run(steps, 20 * i + 10, 10, 5)
    assert steps.moves.total() > 2 * REMEMBERED
    assert len(steps.reasons) == REMEMBERED
    assert lane.asked == []
