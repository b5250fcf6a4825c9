from __future__ import annotations

import numpy as np

from edge3vt.core.clock import NS_PER_MS, ManualClock
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.engine.fake import FakeSession
from edge3vt.engine.pace import ROUNDS, RUNS_A_ROUND, SETTLING, paced
from tests import nets

SPEC = nets.spec(64)
PICTURES = nets.pictures(3)
PERIOD_MS = 10.0


class Watched(FakeSession):
    """Notes when each run begins, and on what."""

    def __init__(self, clock: ManualClock, log: list[tuple[str, int]], name: str, ms: float | list[float]) -> None:
        super().__init__(SPEC, clock, latency_ms=ms)
        self.watched, self.log, self.name = clock, log, name
        self.seen: set[bytes] = set()

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        self.log.append((self.name, self.watched.now_ns()))
        self.seen.add(pixels.tobytes())
        super().run(pixels, logits, view)


def test_runs_come_at_the_cameras_pace_and_in_rounds_by_turns() -> None:
    clock, log = ManualClock(), list[tuple[str, int]]()
    one, two = Watched(clock, log, "a", 1.0), Watched(clock, log, "b", 3.0)
    times = paced([one, two], [PICTURES, PICTURES], 1000 / PERIOD_MS, clock)
    assert [(t.samples, t.p50, t.p99, t.max) for t in times] == [(550, 1, 1, 1), (550, 3, 3, 3)]
    assert set(np.diff([begun for _, begun in log])) == {PERIOD_MS * NS_PER_MS}
    turn = RUNS_A_ROUND + SETTLING
    assert [log[i * turn][0] for i in range(2 * ROUNDS)] == ["a", "b"] * ROUNDS
    assert len(one.seen) == len(PICTURES)


def test_a_run_that_outlasts_a_picture_misses_those_that_came_meanwhile() -> None:
    clock, log = ManualClock(), list[tuple[str, int]]()
    (slow,) = paced([Watched(clock, log, "a", 25.0)], [PICTURES], 1000 / PERIOD_MS, clock)
    assert slow.p50 == 25.0
    assert set(np.diff([begun for _, begun in log])) == {30 * NS_PER_MS}


def test_the_first_runs_of_a_turn_are_not_timed() -> None:
    clock = ManualClock()
    cold = [9.0] * SETTLING + [1.0] * RUNS_A_ROUND
    (found,) = paced([Watched(clock, [], "a", cold)], [PICTURES], 1000 / PERIOD_MS, clock)
    assert found.max == 1.0
