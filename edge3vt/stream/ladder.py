"""Less and less of the AI while it is late or the machine is hot, and back up once that has passed.

Pure: events and times in, moves out. Down in seconds, up after a calm that doubles with every climb that failed, so
that a machine at its limit settles. Shares and times are our own choice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from edge3vt.core.clock import NS_PER_MS, NS_PER_S


class Rung(Enum):
    """What is asked of the engine, from all to nothing."""

    FULL = "full"
    SMALLER = "smaller engine"
    ALTERNATE = "every second frame"
    OFF = "AI off"


@dataclass(frozen=True, slots=True)
class Judged:
    """A frame that was meant for the engine has left.

    own: with its own mask. infer_ns: of its run, None for none. age_ns: how old it was when it came.
    """

    own: bool
    infer_ns: int | None
    age_ns: int = 0


@dataclass(frozen=True, slots=True)
class Heat:
    """What the machine says, as in core.conditions; None is unknown and moves nothing."""

    slowed: bool | None
    temperature_c: float | None


@dataclass(frozen=True, slots=True)
class Changed:
    """The change of the engine that a move asked for is done, or was refused: the engine before goes on."""

    done: bool


@dataclass(frozen=True, slots=True)
class Move:
    """From now on ``rung``; ``reason`` is to be shown and logged. changes: to the engine of this rung.

    After a move that changes the engine nothing moves until Changed comes.
    """

    rung: Rung
    down: bool
    reason: str
    changes: bool = False


class Steps(Protocol):
    """What the loop asks of a ladder."""

    @property
    def rung(self) -> Rung: ...

    @property
    def code(self) -> str:
        """Why it went down last: LATE or HOT."""
        ...

    def step(self, events: Iterable[Judged | Heat | Changed], now_ns: int) -> Move | None: ...


@dataclass(frozen=True, slots=True)
class LadderRules:
    """late_share: of frames with their own mask, less is late. usable_ms: a mask that old is never drawn."""

    late_share: float = 0.90
    good_share: float = 0.99
    headroom: float = 0.80  # of the budget; slower runs leave no room to climb
    usable_ms: float = 100.0
    hot_c: float = 95.0
    cool_c: float = 85.0
    window_s: float = 2.0
    cooling_s: float = 20.0  # between two moves down for heat
    calm_s: float = 30.0
    longest_calm_s: float = 1800.0


EVALUATE_NS = 250 * NS_PER_MS
LEAST_FRAMES = 20  # are judged, however long they took: a slow source has its say too
MOST_FRAMES = 512


class Ladder:
    """rungs: those that exist here, from FULL down; without a smaller engine that was verified, leave SMALLER out."""

    def __init__(self, budget_ns: int, rungs: Iterable[Rung] = tuple(Rung), rules: LadderRules | None = None) -> None:
        self._rungs = tuple(rungs)
        if self._rungs != tuple(rung for rung in Rung if rung in self._rungs) or Rung.FULL not in self._rungs:
            raise ValueError(f"rungs {self._rungs}: expected them in order, with FULL")
        self._budget_ns, self._rules = budget_ns, rules or LadderRules()
        self._at = 0
        self._judged: deque[tuple[int, Judged]] = deque(maxlen=MOST_FRAMES)
        self._hot = ""
        self._moved_ns: int | None = None
        self._trouble_ns: int | None = None
        self._calm_s = self._rules.calm_s
        self._climbed_ns: int | None = None
        self._changing = False
        self._next_ns = 0
        self.code = "LATE"

    @property
    def rung(self) -> Rung:
        return self._rungs[self._at]

    def step(self, events: Iterable[Judged | Heat | Changed], now_ns: int) -> Move | None:
        """Take in what happened; the move to make now, or None. Call it once a frame, at least once a second."""
        for event in events:
            match event:
                case Judged():
                    self._judged.append((now_ns, event))
                case Heat():
                    self._feel(event)
                case Changed(done):
                    self._settle(done, now_ns)
        if self._moved_ns is None:
            self._moved_ns = self._trouble_ns = now_ns
        if now_ns < self._next_ns or self._changing:
            return None
        self._next_ns = now_ns + EVALUATE_NS
        return self._decide(now_ns)

    def _decide(self, now_ns: int) -> Move | None:
        rules = self._rules
        assert self._moved_ns is not None
        assert self._trouble_ns is not None
        oldest_ns = now_ns - round(rules.window_s * NS_PER_S)
        while len(self._judged) > LEAST_FRAMES and self._judged[0][0] < oldest_ns:
            self._judged.popleft()
        settled = now_ns - self._moved_ns >= rules.window_s * NS_PER_S
        trouble = self._hot or self._late()
        if trouble:
            self._trouble_ns = now_ns
            waits_s = rules.cooling_s if self._hot and not self._late() else rules.window_s
            if settled and now_ns - self._moved_ns >= waits_s * NS_PER_S and self._at < len(self._rungs) - 1:
                return self._go(self._at + 1, trouble, now_ns)
            return None
        if not self._at:
            if self._climbed_ns is not None and now_ns - self._climbed_ns >= self._calm_s * NS_PER_S:
                self._climbed_ns, self._calm_s = None, max(self._calm_s / 2, rules.calm_s)
            return None
        calm_ns = now_ns - max(self._trouble_ns, self._moved_ns)
        if calm_ns >= self._calm_s * NS_PER_S and (self.rung is Rung.OFF or self._easy()):
            why = "another try" if self.rung is Rung.OFF else f"in time and cool for {calm_ns / NS_PER_S:.0f} s"
            return self._go(self._at - 1, why, now_ns)
        return None

    def _go(self, to: int, why: str, now_ns: int) -> Move:
        down, smaller = to > self._at, Rung.SMALLER in self._rungs
        if down:
            self.code = "LATE" if self._late() else "HOT"
        else:
            self._climbed_ns = now_ns
        if down and self._climbed_ns is not None:
            soon = now_ns - self._climbed_ns < self._calm_s * NS_PER_S
            self._calm_s = min(2 * self._calm_s, self._rules.longest_calm_s) if soon else self._rules.calm_s
            self._climbed_ns = None
        self._changing = smaller and {self._at, to} == {0, 1}
        self._at, self._moved_ns = to, now_ns
        self._judged.clear()
        return Move(self.rung, down, f"{self.rung.value}: {why}", self._changing)

    def _settle(self, done: bool, now_ns: int) -> None:
        """The engine was changed, or the one before goes on: then the smaller one is given up, the full one later."""
        if not self._changing:
            return
        self._changing, self._moved_ns = False, now_ns
        self._judged.clear()
        if done:
            return
        if self.rung is Rung.SMALLER:
            self._rungs, self._at = tuple(rung for rung in self._rungs if rung is not Rung.SMALLER), 0
        else:
            self._at, self._climbed_ns = 1, None
            self._calm_s = min(2 * self._calm_s, self._rules.longest_calm_s)

    def _late(self) -> str:
        """Why this rung is too much, or empty."""
        if len(self._judged) < LEAST_FRAMES:
            return ""
        runs = self._runs()
        if self.rung is Rung.ALTERNATE:  # a mask that is late is still drawn, with its age, until it is of no use
            slow = runs and self._decile(runs) / NS_PER_MS > self._rules.usable_ms
            if slow or not runs:
                return f"masks too old to be drawn ({self._told(runs)})"
            return ""
        share = self._own_share()
        if share >= self._rules.late_share or not self._remedy(runs):
            return ""
        return f"own masks on {share:.0%} of frames ({self._told(runs)})"

    def _remedy(self, runs: list[int]) -> bool:
        """Whether the next rung could bring masks in time: not where frames come late, or the engine has time left."""
        if not runs:
            return True
        slow = self._decile(runs) > self._rules.headroom * self._budget_ns
        if self._at + 1 < len(self._rungs) and self._rungs[self._at + 1] is not Rung.SMALLER:
            return slow
        age_ns = sorted(judged.age_ns for _, judged in self._judged)[len(self._judged) // 2]
        half_ns = runs[len(runs) // 2] / 2  # a smaller engine takes hardly less
        return slow if age_ns + half_ns >= self._budget_ns else True

    def _easy(self) -> bool:
        """Whether there is room for one rung more."""
        runs = self._runs()
        return (
            len(self._judged) >= LEAST_FRAMES
            and self._own_share() >= self._rules.good_share
            and bool(runs)
            and self._decile(runs) <= self._rules.headroom * self._budget_ns
        )

    def _feel(self, heat: Heat) -> None:
        if heat.slowed:
            self._hot = "the machine throttles"
        elif heat.temperature_c is not None and heat.temperature_c >= self._rules.hot_c:
            self._hot = f"the machine is at {heat.temperature_c:.0f} °C"
        elif heat.temperature_c is None or heat.temperature_c <= self._rules.cool_c:
            self._hot = ""

    def _runs(self) -> list[int]:
        return sorted(judged.infer_ns for _, judged in self._judged if judged.infer_ns is not None)

    def _own_share(self) -> float:
        return sum(judged.own for _, judged in self._judged) / len(self._judged)

    def _told(self, runs: list[int]) -> str:
        took = f"inference p90 {self._decile(runs) / NS_PER_MS:.1f} ms" if runs else "no inference came back"
        return f"{took}, budget {self._budget_ns / NS_PER_MS:.1f}"

    @staticmethod
    def _decile(runs: list[int]) -> int:
        """The 9th decile of sorted times."""
        return runs[len(runs) * 9 // 10]
