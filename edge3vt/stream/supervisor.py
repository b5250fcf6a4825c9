"""What becomes of engine processes that hang, end or are replaced: a pure function of what is seen of them and time.

One process is active and answers frames. A spare, where one is wanted, is warm and takes over. A candidate holds the
engine that shall come next. Times are of reliability.md, faults 11, 12, 25 and 27.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edge3vt.core.clock import NS_PER_MS, NS_PER_S

Engine = Literal["same", "cheaper", "next"]
FIRST = 0
"""Number of the process that is active from the beginning."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a process is given up. An engine that needs longer than hang_ns for a frame is taken for one that hangs.

    hang_ns leaves time to say it on the picture within 250 ms of the last good one: for a look, two frames at 60 Hz
    and their composing. open_ns: the longest that opening may take.
    """

    hang_ns: int = 170 * NS_PER_MS
    kill_ns: int = NS_PER_S
    open_ns: int = 120 * NS_PER_S
    restarts: int = 5
    within_ns: int = 60 * NS_PER_S


STALL_NS = 100 * NS_PER_MS
"""Whoever looks this seldom was held up itself, and blames nobody for the time before."""
STUCK_NS = 2 * NS_PER_S
"""A killed process that has not ended after this is in the kernel (D state) and holds its device."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A process has opened its engine."""

    number: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A process that is ready was looked at: its last pulse, and since when a frame waits for it."""

    number: int
    pulse_ns: int
    waits_since_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Died:
    """A process ended, or could not open its engine. code: EXIT, OOM, KILLED, OPEN."""

    number: int
    code: str


@dataclass(frozen=True, slots=True)
class Swap:
    """Another engine shall take over."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Somebody wants it tried again."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a process with this engine."""

    number: int
    engine: Engine


@dataclass(frozen=True, slots=True)
class Activate:
    """Frames go to this process from now on. planned: the one before is sound and may finish its frame."""

    number: int
    planned: bool = False


@dataclass(frozen=True, slots=True)
class Kill:
    """End this process at once."""

    number: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """The engine that was to come next did not stand its trial; all stays as it is."""

    number: int
    code: str


@dataclass(frozen=True, slots=True)
class Report:
    """Say that AI is off, and why; "" that it is on."""

    code: str


Event = Ready | Seen | Died | Swap | Reset
Action = Start | Activate | Kill | Refuse | Report


@dataclass(slots=True)
class _Child:
    started_ns: int
    ready: bool = False
    silent_since_ns: int = 0
    killed_ns: int | None = None


class Supervisor:
    """Decides. restarts: processes that were replaced, by what had become of the one before."""

    def __init__(self, now_ns: int, *, standby: bool = True, rules: Rules | None = None) -> None:
        self._rules, self._standby = rules or Rules(), standby
        self._children = {FIRST: _Child(now_ns, ready=True, silent_since_ns=now_ns)}
        self._active: int | None = FIRST
        self._spare: int | None = None
        self._candidate: int | None = None
        self._swap_asked = False
        self._last_number = FIRST
        self._losses: deque[int] = deque()
        self._owed: list[str] = []  # what became of those that were not replaced yet
        self._cause = self._given_up = self._reported = ""
        self._lean = self._cheaper = False
        self._trust_ns = self._stepped_ns = now_ns
        self.restarts: Counter[str] = Counter()

    @property
    def off(self) -> str:
        """Why there is no engine now; empty while there is one."""
        if self._active is not None:
            return "HANG" if self._silent(self._active, self._rules.hang_ns) else ""
        if any(self._stuck(child) for child in self._children.values()):
            return "STUCK"
        return self._given_up or self._cause

    def step(self, events: Iterable[Event], now_ns: int) -> list[Action]:
        """Take in what was seen up to now and say what to do, in order."""
        if now_ns - self._stepped_ns > STALL_NS:
            self._trust_ns = now_ns
        self._stepped_ns = now_ns
        actions: list[Action] = []
        for event in events:
            match event:
                case Ready(number) if number in self._children:
                    self._children[number].ready = True
                    self._children[number].silent_since_ns = now_ns
                    if number == self._candidate:
                        actions += self._swapped(now_ns)
                case Seen(number, pulse_ns, waits_since_ns) if number in self._children:
                    since = pulse_ns if waits_since_ns is None else min(pulse_ns, waits_since_ns)
                    self._children[number].silent_since_ns = since
                case Died(number, code) if number in self._children:
                    actions += self._lost(number, code, now_ns)
                case Swap():
                    self._swap_asked = True
                case Reset():
                    self._losses.clear()
                    self._given_up, self._lean, self._cheaper = "", False, False
        actions += self._end_silent(now_ns)
        actions += self._replace(now_ns)
        if self.off != self._reported:
            self._reported = self.off
            actions.append(Report(self.off))
        return actions

    def _lost(self, number: int, code: str, now_ns: int) -> list[Action]:
        """A process is gone."""
        child = self._children.pop(number)
        if child.killed_ns is not None:  # what it was killed for was counted then
            return []
        return self._give_up(number, code, now_ns)

    def _give_up(self, number: int, code: str, now_ns: int) -> list[Action]:
        """A process is not to be counted on any more."""
        if number == self._candidate:
            self._candidate = None
            return [Refuse(number, code)]
        self._losses.append(now_ns)
        self._owed.append(code)
        if number == self._active:
            self._active, self._cause = None, code
        else:
            self._spare = None
            if self._active is None:
                self._cause = code
        if code == "OOM":
            # Policy: from then on no spare; a cheaper engine, or the same one alone, is tried once.
            if self._cheaper and self._active is None:
                self._given_up = "OOM"
            self._lean = True
        return []

    def _end_silent(self, now_ns: int) -> list[Action]:
        """Hand over from an active process that hangs; kill what was silent, or opening, for too long."""
        actions: list[Action] = []
        if self._active is not None and self._silent(self._active, self._rules.hang_ns) and self._spare_is_sound():
            actions += self._kill(self._active, "HANG", now_ns)
        for number, child in list(self._children.items()):
            if child.killed_ns is None:
                if child.ready and self._silent(number, self._rules.kill_ns):
                    actions += self._kill(number, "HANG", now_ns)
                elif not child.ready and now_ns - child.started_ns >= self._rules.open_ns:
                    actions += self._kill(number, "OPEN", now_ns)
        return actions

    def _kill(self, number: int, code: str, now_ns: int) -> list[Action]:
        self._children[number].killed_ns = now_ns
        return [Kill(number), *self._give_up(number, code, now_ns)]

    def _replace(self, now_ns: int) -> list[Action]:
        """See to it that one is active, that there is a spare where one is wanted, and the candidate."""
        actions: list[Action] = []
        if self._active is None and not self._given_up and self._spare_is_sound():
            assert self._spare is not None
            self._active, self._spare, self._cause = self._spare, None, ""
            actions.append(Activate(self._active))
        if any(child.killed_ns is not None for child in self._children.values()):
            return actions  # no second process on a device before the first has left it
        while self._losses and now_ns - self._losses[0] >= self._rules.within_ns:
            self._losses.popleft()
        wanted = self._active is None or (self._standby and not self._lean)
        if wanted and self._spare is None and not self._given_up:
            if len(self._losses) <= self._rules.restarts:
                cheaper = self._lean and self._active is None
                self._cheaper = self._cheaper or cheaper
                self._spare = self._started(now_ns)
                self.restarts.update(self._owed)
                self._owed.clear()
                actions.append(Start(self._spare, "cheaper" if cheaper else "same"))
            elif self._active is None:
                self._given_up = "CRASHLOOP"
        if self._swap_asked:
            self._swap_asked = False
            if self._candidate is not None:
                actions += self._kill(self._candidate, "REPLACED", now_ns)
            self._candidate = self._started(now_ns)
            actions.append(Start(self._candidate, "next"))
        return actions

    def _swapped(self, now_ns: int) -> list[Action]:
        """The candidate is sound: it takes over, and nothing of the engine before stays."""
        former = [number for number in (self._active, self._spare) if number is not None]
        self._active, self._spare, self._candidate = self._candidate, None, None
        assert self._active is not None
        for number in former:
            self._children[number].killed_ns = now_ns
        self._losses.clear()
        self._owed.clear()
        self._given_up, self._cause, self._lean, self._cheaper = "", "", False, False
        return [Activate(self._active, planned=True), *map(Kill, former)]

    def _started(self, now_ns: int) -> int:
        self._last_number += 1
        self._children[self._last_number] = _Child(now_ns)
        return self._last_number

    def _spare_is_sound(self) -> bool:
        spare = self._spare
        return spare is not None and self._children[spare].ready and not self._silent(spare, self._rules.hang_ns)

    def _silent(self, number: int, for_ns: int) -> bool:
        return self._stepped_ns - max(self._children[number].silent_since_ns, self._trust_ns) >= for_ns

    def _stuck(self, child: _Child) -> bool:
        return child.killed_ns is not None and self._stepped_ns - child.killed_ns >= STUCK_NS
