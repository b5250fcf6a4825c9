"""Keeps a source open, as a pure function of events and time: no thread, no process, no clock.

What is lost is opened again for ever, after 0.1 s, then twice as long each time up to 2 s; at once when the device is
seen to be there again. What hangs is terminated, killed a second later, and opened again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from edge3vt.core.clock import NS_PER_MS, NS_PER_S

FIRST_PAUSE_NS, LONGEST_PAUSE_NS = 100 * NS_PER_MS, 2 * NS_PER_S
KILL_AFTER_NS = NS_PER_S
OPENING_NS = 10 * NS_PER_S
"""Opening may take this long: a process that starts on a busy machine, a network source that shakes hands."""
SILENCE_NS = 750 * NS_PER_MS
"""A source that ran and gives nothing for this long hangs: with KILL_AFTER_NS it is opened again within 2 s."""
SETTLED_NS = NS_PER_S
"""Only a source that ran this long is opened again as quickly as the first time: one that dies at once must wait."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The source is open."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame came, sound or corrupt."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Opening or reading raised; the process lives and can open again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The frames are over. finite: as they should be."""

    finite: bool


@dataclass(frozen=True, slots=True)
class Died:
    """The process is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Appeared:
    """The device is there again."""


class Action(Enum):
    """What the shell does. LOST and BACK are for the log: one of each an outage. STOP ends a finite source."""

    OPEN = auto()
    TERMINATE = auto()
    KILL = auto()
    LOST = auto()
    BACK = auto()
    STOP = auto()


class Phase(Enum):
    WAITING = auto()
    OPENING = auto()
    RUNNING = auto()
    TERMINATING = auto()
    KILLED = auto()
    STOPPED = auto()


Event = Opened | Heard | Failed | Ended | Died | Appeared


@dataclass(slots=True)
class Keeper:
    """Begins with nothing open and OPEN as its first action. reopened: times it was open again after a loss."""

    silence_ns: int = SILENCE_NS
    opening_ns: int = OPENING_NS
    reopened: int = 0
    reason: str = ""
    phase: Phase = Phase.WAITING
    _since_ns: int = 0  # RUNNING: last heard; WAITING: when to open; else when the phase began
    _opened_ns: int = 0
    _pause_ns: int = FIRST_PAUSE_NS
    _was_open: bool = False
    _outage: bool = False
    _actions: list[Action] = field(default_factory=list)

    def step(self, events: Iterable[Event], now_ns: int) -> list[Action]:
        """Take in what happened; return what to do now, in order."""
        self._actions = []
        for event in events:
            self._take(event, now_ns)
        waited = now_ns - self._since_ns
        match self.phase:
            case Phase.WAITING if waited >= 0:
                self._go(Phase.OPENING, now_ns, Action.OPEN)
            case Phase.OPENING if waited >= self.opening_ns:
                self._hangs(f"not open after {self.opening_ns / NS_PER_S:g} s", now_ns)
            case Phase.RUNNING if waited >= self.silence_ns:
                self._hangs(f"gave nothing for {self.silence_ns / NS_PER_MS:g} ms", now_ns)
            case Phase.TERMINATING if waited >= KILL_AFTER_NS:
                self._go(Phase.KILLED, now_ns, Action.KILL)
            case _:
                pass
        return self._actions

    def wake_ns(self) -> int | None:
        """When ``step`` must be called again even if nothing happens."""
        match self.phase:
            case Phase.WAITING:
                return self._since_ns
            case Phase.OPENING:
                return self._since_ns + self.opening_ns
            case Phase.RUNNING:
                return self._since_ns + self.silence_ns
            case Phase.TERMINATING:
                return self._since_ns + KILL_AFTER_NS
            case _:
                return None

    def _take(self, event: Event, now_ns: int) -> None:
        match event, self.phase:
            case Opened(), Phase.OPENING:
                self.reopened += self._was_open
                if self._outage:
                    self._actions.append(Action.BACK)
                self._was_open, self._outage, self._opened_ns = True, False, now_ns
                self._go(Phase.RUNNING, now_ns)
            case Heard(), Phase.RUNNING:
                self._since_ns = now_ns
            case Ended(finite=True), Phase.RUNNING:
                self._go(Phase.STOPPED, now_ns, Action.STOP)
            case Ended(), Phase.RUNNING:
                self._lost("the source ended", now_ns)
            case Failed(reason), Phase.OPENING | Phase.RUNNING:
                self._lost(reason, now_ns)
            case Died(reason), Phase.OPENING | Phase.RUNNING | Phase.TERMINATING | Phase.KILLED:
                self._lost(reason, now_ns)
            case Appeared(), Phase.WAITING:
                self._since_ns, self._pause_ns = now_ns, FIRST_PAUSE_NS
            case _:
                pass  # old news: a frame from a process that is being terminated, say

    def _hangs(self, reason: str, now_ns: int) -> None:
        self._note(reason)
        self._go(Phase.TERMINATING, now_ns, Action.TERMINATE)

    def _lost(self, reason: str, now_ns: int) -> None:
        self._note(reason)
        settled = self.phase is Phase.RUNNING and now_ns - self._opened_ns >= SETTLED_NS
        hung = self.phase in (Phase.TERMINATING, Phase.KILLED)
        pause_ns = FIRST_PAUSE_NS if settled or hung else self._pause_ns
        self._pause_ns = min(2 * pause_ns, LONGEST_PAUSE_NS)
        self._go(Phase.WAITING, now_ns + pause_ns)

    def _note(self, reason: str) -> None:
        if not self._outage:
            self.reason, self._outage = reason, True
            self._actions.append(Action.LOST)

    def _go(self, phase: Phase, since_ns: int, action: Action | None = None) -> None:
        self.phase, self._since_ns = phase, since_ns
        if action is not None:
            self._actions.append(action)
