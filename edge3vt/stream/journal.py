"""The log of a running stream: codes and numbers, never text of others, and never a flood.

A code is told at once when it is new, then at most every 10 s, with how often it was suppressed; all codes together
at most 10 times a second.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

from edge3vt.core.clock import NS_PER_S, Clock, wall_label

_CODES = """
AI_INVALID AI_LATE AI_OFF BLACK CLOSED CRASHLOOP DISK DRIFT ENGINE_READY ENGINE_REFUSED EXIT FAILING FD_GROWTH
FORMAT_CHANGED FROZEN HANG HOT KILLED LADDER LATE LAYOUT LIBRARY LIVE MEMORY_GROWTH NATIVE_STDERR NO_SIGNAL OOM OPEN
OTHER READY REC_STOPPED REGION_CONFIRMED REGION_FOUND REOPENED RESTART SINK_CLOSED SNAPSHOT SOURCE_LOST STARTING
STOPPING STUCK SUPPRESSED SWAPPED THROTTLED UNWATCHED
"""
CODES = frozenset(_CODES.split())
"""What may be said. A code that is none of these is told as OTHER."""
_FIELDS = """
age_ms attempt bytes causes count dropped epoch fds frame height index lines mb mb_per_hour ms pid rung share
temperature_c threads value width z
"""
FIELDS = frozenset(_FIELDS.split())
"""The numbers that may stand beside a code; what is called otherwise, or is no number, is left out."""
AGAIN_NS = 10 * NS_PER_S
LINES_PER_S = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One line to write. suppressed: how often this code was not told since it last was."""

    code: str
    numbers: tuple[tuple[str, float], ...] = ()
    suppressed: int = 0

    @property
    def text(self) -> str:
        told = [self.code, *(f"{name}={value:.6g}" for name, value in self.numbers)]
        return " ".join([*told, f"suppressed={self.suppressed}"] if self.suppressed else told)


class Limiter:
    """The rule of the log, pure: events in, lines out. Its memory is bounded by the number of CODES."""

    def __init__(self) -> None:
        self._told_ns: dict[str, int] = {}
        self._suppressed: dict[str, int] = {}
        self._lines_ns: deque[int] = deque(maxlen=LINES_PER_S)

    def step(self, code: str, numbers: dict[str, float], now_ns: int) -> Entry | None:
        """The line for this event, None where it is only counted."""
        code = code if code in CODES else "OTHER"
        told_ns = self._told_ns.get(code)
        if (told_ns is not None and now_ns - told_ns < AGAIN_NS) or self._full(now_ns):
            self._suppressed[code] = self._suppressed.get(code, 0) + 1
            return None
        return self._tell(code, _allowed(numbers), now_ns)

    def flush(self, now_ns: int, *, ending: bool = False) -> list[Entry]:
        """Lines for what was suppressed and is now due; all that is left when ending."""
        due = [
            code
            for code in self._suppressed
            if ending or code not in self._told_ns or now_ns - self._told_ns[code] >= AGAIN_NS
        ]
        return [self._tell(code, (), now_ns) for code in due if ending or not self._full(now_ns)]

    def _tell(self, code: str, numbers: tuple[tuple[str, float], ...], now_ns: int) -> Entry:
        self._told_ns[code] = now_ns
        self._lines_ns.append(now_ns)
        return Entry(code, numbers, self._suppressed.pop(code, 0))

    def _full(self, now_ns: int) -> bool:
        lines = self._lines_ns
        return len(lines) == LINES_PER_S and now_ns - lines[0] < NS_PER_S


def _allowed(numbers: dict[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple((k, float(v)) for k, v in numbers.items() if k in FIELDS and isinstance(v, int | float))


class Journal:
    """The shell: ``say`` from any thread. Lines go to the standard library's logger of this module, or to ``write``."""

    def __init__(self, clock: Clock, write: Callable[[str], None] | None = None) -> None:
        self._clock, self._limiter, self._lock = clock, Limiter(), threading.Lock()
        self._write = write or logging.getLogger(__name__).warning

    def say(self, code: str, **numbers: float) -> None:
        """Tell of an event. code: of CODES. numbers: named as in FIELDS."""
        with self._lock:
            entry = self._limiter.step(code, numbers, self._clock.now_ns())
        if entry is not None:
            self._put(entry)

    def flush(self, *, ending: bool = False) -> None:
        """Tell what was held back and is due; call it about once a second, and at the end."""
        with self._lock:
            entries = self._limiter.flush(self._clock.now_ns(), ending=ending)
        for entry in entries:
            self._put(entry)

    def _put(self, entry: Entry) -> None:
        with contextlib.suppress(OSError, ValueError):  # a log that cannot be written stops nothing
            self._write(f"{wall_label()} {entry.text}")


class Muffler(logging.Handler):
    """Stands for the handlers of the root logger: what libraries log is counted as LIBRARY, its text is dropped."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        self._journal.say("LIBRARY", value=record.levelno)


@contextlib.contextmanager
def muffled(journal: Journal) -> Iterator[TextIO]:
    """Bound everything that reaches stderr without us: libraries' loggers, native code, and children started inside.

    File descriptor 2 becomes a pipe that a thread empties: its lines are counted as NATIVE_STDERR, at most one line
    in 10 s, and their text is dropped. Children that are spawned inside inherit it. Yields the real stderr, which
    ``sys.stderr`` and the journal's own logger go to meanwhile. Not for --debug, whose purpose is that text.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    reading, writing = os.pipe()
    real = os.fdopen(os.dup(saved), "w", buffering=1, encoding="utf-8", errors="replace")
    os.dup2(writing, 2)
    os.close(writing)
    drain = threading.Thread(target=_drain, args=(reading, journal), name="stderr", daemon=True)
    drain.start()
    before, sys.stderr = sys.stderr, real
    root, own = logging.getLogger(), logging.getLogger(__name__)
    handlers, handler = root.handlers[:], logging.StreamHandler(real)
    muffler = Muffler(journal)
    own.addHandler(handler)
    own.propagate = False
    root.handlers[:] = [muffler]
    try:
        yield real
    finally:
        os.dup2(saved, 2)  # the last writing end, but for children that live on
        os.close(saved)
        drain.join(timeout=1.0)
        journal.flush(ending=True)
        root.handlers[:] = handlers
        own.removeHandler(handler)
        own.propagate = True
        sys.stderr = before
        real.close()


def _drain(reading: int, journal: Journal) -> None:
    """Empty the pipe until its last writer is gone: who writes to it never waits."""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while data := pipe.read(1 << 16):
            journal.say("NATIVE_STDERR", bytes=len(data), lines=data.count(b"\n"))
