"""The way in: a source read in a thread of its own, into a mailbox that drops the oldest and counts it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from edge3vt.core.clock import NS_PER_S, Clock
from edge3vt.core.frame import Frame

DEPTH = 4


class Intake:
    """Reads ``frames`` until they end. ``take`` gives what has come; ``lost`` counts what nobody took in time."""

    def __init__(self, frames: Iterable[Frame], clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._mailbox: deque[Frame] = deque()
        self._lost = 0
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, args=(frames,), name="intake", daemon=True)
        self._thread.start()

    def take(self, deadline_ns: int | None) -> tuple[list[Frame], int]:
        """Frames that have come since, oldest first, and how many were lost. Waits for one until ``deadline_ns``.

        Waits for ever with None; gives no frames at the deadline or when the source has ended. Raises what the source
        raised, once everything before has been taken.
        """
        with self._changed:
            timeout = None if deadline_ns is None else max((deadline_ns - self._clock.now_ns()) / NS_PER_S, 0.0)
            self._changed.wait_for(lambda: self._mailbox or self._ended, timeout=timeout)
            frames, lost = list(self._mailbox), self._lost
            self._mailbox.clear()
            self._lost = 0
            if not frames and self._ended and self._error is not None:
                error, self._error = self._error, None
                raise error
            return frames, lost

    @property
    def ended(self) -> bool:
        """Nothing more will come, and everything was taken."""
        with self._changed:
            return self._ended and not self._mailbox and self._error is None

    def stop(self) -> None:
        """Stop reading after the frame that is being read."""
        self._stopped = True

    def _read(self, frames: Iterable[Frame]) -> None:
        try:
            for frame in frames:
                with self._changed:
                    if self._stopped:
                        break
                    if len(self._mailbox) == DEPTH:
                        self._mailbox.popleft()
                        self._lost += 1
                    self._mailbox.append(frame)
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
