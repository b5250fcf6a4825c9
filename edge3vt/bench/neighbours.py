"""What competes with the loop on purpose: busy cores, other streams, clocks that are held down."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import repeat
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edge3vt.bench.feed import Feed
from edge3vt.bench.quantiles import spread
from edge3vt.bench.result import Neighbour
from edge3vt.bench.scenario import Arrivals, Neighbours
from edge3vt.core.clock import SystemClock
from edge3vt.core.errors import BackendMissingError, EngineError
from edge3vt.core.frame import Frame
from edge3vt.picture.draw import Composer
from edge3vt.stream.child import Lifeline, hold
from edge3vt.stream.lane import OpenSession, ThreadLane
from edge3vt.stream.runner import stream
from edge3vt.stream.telemetry import Ledger

PICTURES = 16
LONG_S = 86_400.0
LET_GO_S = 10.0
_SPAWN = multiprocessing.get_context("spawn")


class Street:
    """The neighbours, from construction, when all of them are at work, until ``leave``."""

    def __init__(
        self, asked: Neighbours, open_session: OpenSession, frames: Sequence[Frame], rate_hz: float, budget_ms: float
    ) -> None:
        self._lines: list[Connection] = []
        self._lives: list[Lifeline] = []
        self._processes: list[Any] = []
        cores = sorted(os.sched_getaffinity(0))
        some = list(frames[:: max(len(frames) // PICTURES, 1)][:PICTURES])
        for number in range(asked.busy):
            self._begin(_burn, cores[number % len(cores)])
        for _ in range(asked.streams):
            ours, theirs = _SPAWN.Pipe()
            self._begin(_second, open_session, some, rate_hz, budget_ms, theirs)
            theirs.close()
            self._lines.append(ours)
        try:
            for line in self._lines:
                line.recv()
        except EOFError:
            self.leave()
            raise EngineError("a second stream did not open its engine; is there memory for it?") from None

    def leave(self) -> tuple[Neighbour, ...]:
        """End them; what the streams among them saw."""
        found = []
        for line in self._lines:
            with suppress(OSError, EOFError):
                line.send(None)
                if line.poll(LET_GO_S):
                    found.append(line.recv())
            line.close()
        for life in self._lives:
            life.close()
        for process in self._processes:
            process.join()
        self._lines, self._lives, self._processes = [], [], []
        return tuple(found)

    def _begin(self, target: Any, *arguments: Any) -> None:
        life = Lifeline()
        process = _SPAWN.Process(target=target, args=(life, *arguments), daemon=True)
        process.start()
        self._lives.append(life)
        self._processes.append(process)


@contextmanager
def held_down(share: float | None, root: Path = Path("/")) -> Iterator[None]:
    """The CPU's clocks at most at that share of their greatest; None leaves them be.

    Raises BackendMissingError where this machine does not let us.
    """
    if share is None:
        yield
        return
    policies = sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*"))
    if not policies:
        raise BackendMissingError(
            "clock_share: this machine has no cpufreq (a virtual machine has none), so that its clocks cannot be held "
            "down; bench it throttled on the cart itself, or leave clock_share out"
        )
    before: list[tuple[Path, str]] = []
    try:
        for policy in policies:
            most = policy / "scaling_max_freq"
            greatest = int((policy / "cpuinfo_max_freq").read_text(encoding="utf-8"))
            before.append((most, most.read_text(encoding="utf-8")))
            most.write_text(f"{round(greatest * share)}\n", encoding="utf-8")
        yield
    except PermissionError:
        raise BackendMissingError(
            f"clock_share: {policies[0]}/scaling_max_freq may not be written by this user; run it with sudo, or leave "
            "clock_share out"
        ) from None
    finally:
        for path, text in before:
            with suppress(PermissionError):
                path.write_text(text, encoding="utf-8")


def _burn(life: Any, core: int) -> None:
    hold(life)
    os.sched_setaffinity(0, {core})
    deque(repeat(None), maxlen=0)  # runs in C, without end


def _second(
    life: Any, open_session: OpenSession, frames: Sequence[Frame], rate_hz: float, budget_ms: float, line: Connection
) -> None:
    """A loop of its own with an engine in a thread, into nothing, until told to end."""
    hold(life)
    import cv2

    cv2.setNumThreads(1)
    clock, ended = SystemClock(), threading.Event()
    lane, ledger, totals = ThreadLane(open_session), Ledger(budget_ms), list[int]()
    compose = Composer(lane.spec)
    feed = Feed(frames, Arrivals("paced", rate_hz), LONG_S, clock)
    compose.warm(feed.width, feed.height)
    line.send(None)

    def wait() -> None:
        with suppress(EOFError):
            line.recv()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    for seg in stream(feed, lane, budget_ms, compose=compose, ledger=ledger, clock=clock):
        totals.append(seg.timing.total_ns)
        if ended.is_set():
            break
    feed.close()
    counts = ledger.counts()
    line.send(Neighbour(counts["frames"], counts["emitted_late"] + counts["never_emitted"], spread(totals)))
    lane.close()
