"""Pace: how long engines take when pictures come as from a camera: caches and clocks are then as they are live."""

from __future__ import annotations

from collections.abc import Sequence

from edge3vt.core.clock import NS_PER_S, Clock
from edge3vt.core.frame import Pixels
from edge3vt.core.latency import LatencySummary, summarise
from edge3vt.core.session import Session
from edge3vt.engine.buffers import empty

ROUNDS = 11
RUNS_A_ROUND = 50  # timed; 550 in all, as p99 needs 500
SETTLING = 3  # runs of a round that are not timed: the other engines were at work


def paced(
    sessions: Sequence[Session], pictures: Sequence[Sequence[Pixels]], rate_hz: float, clock: Clock
) -> tuple[LatencySummary, ...]:
    """Times of each session on its own (H, W) pictures, one every 1 / rate_hz, in rounds by turns.

    A run that outlasts a picture's time misses those that came meanwhile. So a machine that drifts drifts for all.
    """
    period = round(NS_PER_S / rate_hz)
    buffers = [empty(session.spec) for session in sessions]
    taken: list[list[int]] = [[] for _ in sessions]
    due = clock.now_ns()
    for _ in range(ROUNDS):
        for session, own, shown, times in zip(sessions, buffers, pictures, taken, strict=True):
            for run in range(-SETTLING, RUNS_A_ROUND):
                own.pixels[0, 0] = shown[run % len(shown)]
                clock.sleep_until_ns(due)
                started = clock.now_ns()
                session.run(own.pixels, own.logits, own.view)
                ended = clock.now_ns()
                if run >= 0:
                    times.append(ended - started)
                due += period * max(1, -((due - ended) // period))
    return tuple(map(summarise, taken))
