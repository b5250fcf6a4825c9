"""How fast one client takes pictures: two on their way at most, and one that has stopped taking them is let go."""

from __future__ import annotations

from collections import deque

from edge3vt.core.clock import NS_PER_S

IN_FLIGHT = 2
STUCK_NS = 10 * NS_PER_S


class Pace:
    """The messages that a client has not said it has drawn. Without clock or socket."""

    def __init__(self) -> None:
        self._open: deque[tuple[int, int]] = deque()

    @property
    def free(self) -> bool:
        """Whether one more may be sent."""
        return len(self._open) < IN_FLIGHT

    def sent(self, number: int, now_ns: int) -> None:
        """A message is on its way. Numbers rise."""
        self._open.append((number, now_ns))

    def acknowledged(self, number: int) -> bool:
        """The client has drawn it, and passed over those before. Returns whether it can know of that message."""
        if not self._open or not self._open[0][0] <= number <= self._open[-1][0]:
            return False
        while self._open and self._open[0][0] <= number:
            self._open.popleft()
        return True

    def stuck_ns(self, now_ns: int) -> int:
        """For how long the oldest message has not been answered."""
        return now_ns - self._open[0][1] if self._open else 0
