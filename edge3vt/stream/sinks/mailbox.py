"""A worker thread behind a bounded queue: what a sink does with a frame never holds up the loop."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

NICENESS = 10
T = TypeVar("T")


class Mailbox(Generic[T]):
    """Calls ``work`` with each item in a thread of its own, in order.

    When ``depth`` items wait, the oldest gives way and counts as dropped; with ``block``, ``put`` waits instead.
    ``idle`` is called every ``idle_s`` while nothing comes, ``finish`` at the end, both in the thread. After an
    error nothing more is worked on, and all counts as dropped.
    """

    def __init__(
        self,
        work: Callable[[T], None],
        *,
        depth: int,
        block: bool = False,
        idle: Callable[[], None] = lambda: None,
        idle_s: float | None = None,
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        self._work, self._idle, self._finish = work, idle, finish
        self._depth, self._block, self._idle_s = depth, block, idle_s
        self._changed = threading.Condition()
        self._waiting: deque[T] = deque()
        self._closing = False
        self._error: Exception | None = None
        self.written = self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="sink", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand an item over."""
        with self._changed:
            if self._block:
                self._changed.wait_for(lambda: len(self._waiting) < self._depth or self._error is not None)
            if self._error is not None:
                self.dropped += 1
                return
            if len(self._waiting) == self._depth:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(item)
            self._changed.notify_all()

    @property
    def error(self) -> Exception | None:
        """What stopped the work, if something did."""
        return self._error

    def close(self, *, drain: bool = True, timeout_s: float | None = None) -> Exception | None:
        """Work off what waits, or drop it, and end the thread; returns the error that stopped it, if one did.

        A TimeoutError says that it has not ended in time; what it holds then counts as dropped.
        """
        with self._changed:
            self._closing = True
            if not drain:
                self._drop_all()
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            with self._changed:
                self._drop_all()
            return TimeoutError("it is stuck")
        return self._error

    def _run(self) -> None:
        if sys.platform == "linux":  # threads have priorities of their own: recording comes after the picture
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._closing, timeout=self._idle_s)
                    if self._closing and not self._waiting:
                        break
                    item = self._waiting.popleft() if self._waiting else None
                    self._changed.notify_all()
                if item is None:
                    self._idle()
                else:
                    self._work(item)
                    self.written += 1
        except Exception as error:  # the sink says so when it is closed
            with self._changed:
                self._error = error
                self.dropped += 1
                self._drop_all()
                self._changed.notify_all()
        try:
            self._finish()
        except Exception as error:
            self._error = self._error or error

    def _drop_all(self) -> None:
        self.dropped += len(self._waiting)
        self._waiting.clear()
