"""When an engine is run for nothing: in pauses only, and never so that a frame waits for more than one run."""

from __future__ import annotations

import random

import pytest

from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.stream.warmth import ENDS_NS, Warmth

EVERY = 50 * NS_PER_MS
RUN = 8 * NS_PER_MS


def served(frames: list[int], until_ns: int, warmth: Warmth) -> tuple[list[int], list[int]]:
    """A loop as the engine's process has it, in simulated time: when it ran for nothing, and what each frame waited."""
    idle: list[int] = []
    waited: list[int] = []
    now, coming = 0, list(frames)
    while now < until_ns:
        due = warmth.due_ns(now)
        next_frame = coming[0] if coming else until_ns
        if due is None or next_frame <= max(due, now):
            now = max(now, next_frame)
            if coming:
                waited.append(now - coming.pop(0))
                warmth.came(now)
                now += RUN
                warmth.ran(now)
        else:
            now = max(due, now)
            idle.append(now)
            now += RUN
            warmth.ran(now)
    return idle, waited


@pytest.mark.parametrize("hz", [15, 20, 30, 60])
def test_a_steady_source_is_never_held_up(hz: int) -> None:
    frames = [i * NS_PER_S // hz for i in range(20 * hz)]
    idle, waited = served(frames, frames[-1] + 1, Warmth(EVERY))
    assert [at for at in idle if at > NS_PER_S] == []
    assert max(waited[hz:]) == 0


def test_a_pause_is_kept_warm_and_then_given_up() -> None:
    frames = [i * NS_PER_S // 60 for i in range(120)]
    idle, _ = served(frames, frames[-1] + 60 * NS_PER_S, Warmth(EVERY))
    after = [at - frames[-1] for at in idle]
    assert after[0] < EVERY + 2 * RUN, "it begins soon"
    assert 100 < len(after) <= ENDS_NS // EVERY
    assert after[-1] < ENDS_NS


def test_a_frame_that_ends_a_pause_waits_for_one_run_at_most() -> None:
    rng, at = random.Random(3), 0
    frames: list[int] = []
    for _ in range(3000):
        at += round((rng.uniform(0.05, 1.5) if rng.random() < 0.1 else 1 / 60) * NS_PER_S)
        frames.append(at)
    idle, waited = served(frames, at + 1, Warmth(EVERY))
    assert len(idle) > 1000
    assert 0 < max(waited) <= RUN


def test_before_the_first_frame_it_sleeps() -> None:
    assert Warmth(EVERY).due_ns(100 * NS_PER_S) is None


def test_the_simulation_catches_a_rule_without_rhythm() -> None:
    """Every 20 ms whatever the source does: one of 30 Hz would wait for a run each time."""

    class Deaf(Warmth):
        def due_ns(self, now_ns: int) -> int | None:
            return self._ran_ns + 20 * NS_PER_MS

    frames = [i * NS_PER_S // 30 for i in range(300)]
    _, waited = served(frames, frames[-1] + 1, Deaf(EVERY))
    assert sum(wait > 0 for wait in waited) > 150
