"""Time. The only module that imports ``time`` or ``datetime``: one monotonic clock for every age and deadline."""

from __future__ import annotations

import datetime
import time
from typing import Protocol

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """A monotonic clock in nanoseconds. Its zero has no meaning."""

    def now_ns(self) -> int: ...

    def sleep_until_ns(self, deadline_ns: int) -> None: ...


class SystemClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def sleep_until_ns(self, deadline_ns: int) -> None:
        remaining = deadline_ns - time.monotonic_ns()
        if remaining > 0:
            time.sleep(remaining / NS_PER_S)


class ManualClock:
    """A clock that moves only when told: for tests and simulations. Sleeping moves it."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        self._now_ns = max(self._now_ns, deadline_ns)

    def advance_ms(self, ms: float) -> None:
        """Move forward by ``ms``; raises ValueError for a negative step."""
        if ms < 0:
            raise ValueError(f"a monotonic clock cannot go back by {-ms} ms")
        self._now_ns += round(ms * NS_PER_MS)


def wall_label() -> str:
    """Wall time as ISO 8601 UTC: a label in records, never compared or subtracted."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
