"""The ladder on a running lane: heat and finished changes of the engine go in, and what it decides is done."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Protocol

from edge3vt.stream.ladder import Changed, Heat, Judged, Ladder, Move, Rung
from edge3vt.stream.lane import OpenSession

REMEMBERED = 20
"""Moves that the summary tells; all are counted."""


class Changeable(Protocol):
    """A lane whose engine can be changed while it runs."""

    def swap(self, open_session: OpenSession) -> Future[str]: ...


class Descent:
    """The ladder of ``stream``, used by its thread. engines: of FULL and, where one was verified, of SMALLER.

    heat: the newest word of the machine, None for none. moves: by the rung they went to. refused: changes of the engine
    that came to nothing.
    """

    def __init__(
        self,
        ladder: Ladder,
        lane: Changeable,
        engines: dict[Rung, OpenSession],
        heat: Callable[[], Heat | None] = lambda: None,
    ) -> None:
        self._ladder, self._lane, self._engines, self._heat = ladder, lane, engines, heat
        self._felt: Heat | None = None
        self._change: Future[str] | None = None
        self.reasons: deque[str] = deque(maxlen=REMEMBERED)
        self.moves: Counter[str] = Counter()
        self.refused = 0

    @property
    def rung(self) -> Rung:
        return self._ladder.rung

    @property
    def code(self) -> str:
        return self._ladder.code

    def step(self, events: Iterable[Judged | Heat | Changed], now_ns: int) -> Move | None:
        """As the ladder's; a move that changes the engine has begun to when it is returned."""
        gathered = list(events)
        if (heat := self._heat()) != self._felt and heat is not None:
            self._felt = heat
            gathered.append(heat)
        if self._change is not None and self._change.done():
            done = self._change.exception() is None
            self._change = None
            self.refused += not done
            gathered.append(Changed(done))
        move = self._ladder.step(gathered, now_ns)
        if move is not None:
            self.moves[move.rung.value] += 1
            self.reasons.append(move.reason)
            if move.changes:
                self._change = self._lane.swap(self._engines[move.rung])
        return move
