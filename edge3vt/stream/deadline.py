"""The deadline, as a pure function of events and time: no thread, no clock, no picture.

Passthrough: a frame leaves as soon as its own mask is ready, at latest at capture + budget less what composing
takes; lockstep: always then. Frames leave in order. One frame at a time is in the engine. When the engine is free, the
newest waiting frame is offered if it can still be on time; an older one that waits is superseded and leaves at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.segmentation import Verdict

WAKE_SLACK_NS = 2_000_000
"""A sleep may end late; frames are let go this much before the last moment."""
PROBE_AFTER = 3
"""After so many refusals in a row a frame is offered all the same, or one slow run could shut the gate for ever."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame arrived from the source. skip: why it is not for the engine, else empty."""

    index: int
    captured_ns: int
    skip: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The engine is free again. ``failed``: it gave no mask."""

    index: int
    done_ns: int
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Composed:
    """Composing a picture took so long."""

    duration_ns: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Give this frame to the engine."""

    index: int


@dataclass(frozen=True, slots=True)
class Emit:
    """Let this frame go. ``verdict`` is of its own mask, ``reason`` why there is none."""

    index: int
    verdict: Verdict
    reason: str = ""


Event = Captured | Finished | Composed
Action = Offer | Emit


@dataclass(slots=True)
class _Waiting:
    index: int
    captured_ns: int
    offered_ns: int | None = None
    done_ns: int | None = None
    skipped: str = ""


@dataclass(slots=True)
class Deadline:
    """Decides what to offer and when to let go."""

    budget_ns: int
    lockstep: bool = False
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _running: _Waiting | None = None
    _cost_ns: float = 0.0
    _reserve_ns: int = 2 * NS_PER_MS  # what composing takes: the 9th decile of its last runs
    _composed_ns: deque[int] = field(default_factory=lambda: deque(maxlen=32))
    _refused: int = 0

    def step(self, events: Iterable[Event], now_ns: int) -> list[Action]:
        """Take in what happened; return what to do now, in order."""
        for event in events:
            self._take(event)
        return [*self._admit(now_ns), *self._let_go(now_ns)]

    def wake_ns(self) -> int | None:
        """When ``step`` must be called again even if nothing happens; None when nothing waits."""
        return self._last_moment(self._waiting[0]) if self._waiting else None

    def _take(self, event: Event) -> None:
        match event:
            case Captured(index, captured_ns, skip):
                self._waiting.append(_Waiting(index, captured_ns, skipped=skip))
            case Finished(index, done_ns, failed):
                running, self._running = self._running, None
                if running is None or running.index != index or running.offered_ns is None:
                    raise ValueError(f"frame {index} finished, but it was not in the engine")
                cost = done_ns - running.offered_ns
                self._cost_ns = cost if not self._cost_ns else 0.875 * self._cost_ns + 0.125 * cost
                if failed:
                    running.skipped = "engine failed"
                else:
                    running.done_ns = done_ns
            case Composed(duration_ns):
                self._composed_ns.append(duration_ns)
                self._reserve_ns = sorted(self._composed_ns)[len(self._composed_ns) * 9 // 10]

    def _admit(self, now_ns: int) -> list[Action]:
        """Offer the newest waiting frame if the engine is free and time is left; what waits before it is superseded."""
        candidates = [w for w in self._waiting if w.offered_ns is None and not w.skipped]
        if self._running is not None or not candidates:
            return []
        *older, newest = candidates
        for waiting in older:
            waiting.skipped = "superseded"
        reachable = self._cost_ns <= self._last_moment(newest) - now_ns
        hopeless = self._cost_ns > self.budget_ns - self._reserve_ns - WAKE_SLACK_NS  # then late masks beat none
        if not (reachable or hopeless or self._refused >= PROBE_AFTER):
            self._refused += 1
            newest.skipped = "no time left"
            return []
        self._refused = 0
        newest.offered_ns = now_ns
        self._running = newest
        return [Offer(newest.index)]

    def _let_go(self, now_ns: int) -> list[Action]:
        actions: list[Action] = []
        while self._waiting:
            first = self._waiting[0]
            if self.lockstep and now_ns < self._last_moment(first):
                break
            if first.done_ns is not None:
                on_time = first.done_ns <= first.captured_ns + self.budget_ns
                actions.append(Emit(first.index, Verdict.ON_TIME if on_time else Verdict.LATE))
            elif first.skipped:
                actions.append(Emit(first.index, Verdict.SKIPPED, first.skipped))
            elif now_ns >= self._last_moment(first):
                busy = first.offered_ns is None
                actions.append(
                    Emit(first.index, Verdict.SKIPPED if busy else Verdict.LATE, "engine busy" if busy else "")
                )
            else:
                break
            self._waiting.popleft()
        return actions

    def _last_moment(self, waiting: _Waiting) -> int:
        return waiting.captured_ns + self.budget_ns - self._reserve_ns - WAKE_SLACK_NS
