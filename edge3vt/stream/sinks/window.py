"""Frames into a window, through SDL."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from dataclasses import replace

from edge3vt.core.clock import NS_PER_S, Clock, SystemClock
from edge3vt.core.errors import BackendMissingError
from edge3vt.core.segmentation import Segmentation
from edge3vt.core.spec import ModelSpec
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sinks.mailbox import Mailbox
from edge3vt.stream.sinks.pipe import wide_pipe
from edge3vt.stream.sinks.screen import Places, serve

EVENTS_S = 0.05
OPENS_S = 20.0
REOPEN_NS = 2 * NS_PER_S
CLOSE_S = 1.0


class WindowSink(Sink):
    """A window with the newest picture, in a process of its own; its keys are listed by F1.

    Esc, or closing it, sets ``closed``; what comes after is not shown. When the display goes, ``notice`` says so, and
    it is opened again every two seconds until there is one. Raises BackendMissingError without pygame-ce (the extra
    ``window``) or without a display.
    """

    def __init__(self, title: str = "edge3vt", places: Places | None = None, clock: Clock | None = None) -> None:
        self._title, self._places, self._clock = title, places or Places(), clock or SystemClock()
        self._lost, self._lost_ns = False, 0
        self.opened = 0
        if why := self._open():
            self._end()
            if why == "missing":
                raise BackendMissingError(
                    "display:// needs pygame-ce, which is not installed; pip install 'edge3vt[window]'"
                )
            raise BackendMissingError(f"display:// found {why}; set DISPLAY or choose a file")
        self._mailbox: Mailbox[tuple[Segmentation, ModelSpec | None]] = Mailbox(
            lambda item: self._show(*item), depth=1, idle=self._attend, idle_s=EVENTS_S
        )

    @property
    def written(self) -> int:
        return self._mailbox.written

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped

    @property
    def notice(self) -> str:
        return "DISPLAY LOST" if self._lost else ""

    def __call__(self, seg: Segmentation) -> None:
        if not self.closed:
            self._mailbox.put((replace(seg, picture=None), self.spec))

    def close(self) -> None:
        error = self._mailbox.close(timeout_s=CLOSE_S)
        if isinstance(error, TimeoutError):  # the window hangs, and whoever writes to it
            self._process.kill()
            self._mailbox.close(timeout_s=CLOSE_S)
        self._end()
        if error is not None and not isinstance(error, TimeoutError):
            raise BackendMissingError(f"display:// failed ({error}); choose a file instead") from error

    def _open(self) -> str:
        """Start the process; returns why it cannot show anything, "" when it can."""
        context = multiprocessing.get_context("spawn")
        self._answers, its_answers = context.Pipe(duplex=False)
        its_pictures, self._pictures = wide_pipe(context)
        self._process = context.Process(
            target=serve, args=(self._title, self._places, its_pictures, its_answers), name="window", daemon=True
        )
        self._process.start()
        its_pictures.close()
        its_answers.close()
        try:
            said = self._answers.recv() if self._answers.poll(OPENS_S) else "no answer from the display"
        except (EOFError, OSError):
            said = "no display (its process ended)"
        self.opened += said == "open"
        return "" if said == "open" else str(said)

    def _show(self, seg: Segmentation, spec: ModelSpec | None) -> None:
        self._attend()
        if not self.closed and not self._lost:
            with suppress(OSError):  # heard of by whoever attends next
                self._pictures.send((seg, spec))

    def _attend(self) -> None:
        """Hear what the window says, and open it again when it is gone."""
        if self.closed:
            return
        if self._lost:
            if self._clock.now_ns() - self._lost_ns < REOPEN_NS:
                return
            self._lost_ns = self._clock.now_ns()
            self._lost = bool(self._open())
            if self._lost:
                self._end()
            return
        try:
            while not self.closed and self._answers.poll():
                said = self._answers.recv()
                self.confirmed = self.confirmed or said == "confirmed"
                self.closed = self.closed or said == "closed"
        except (EOFError, OSError):
            self._lost, self._lost_ns = True, self._clock.now_ns()
            self._end()

    def _end(self) -> None:
        with suppress(OSError):
            self._pictures.close()
        self._process.join(CLOSE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._answers.close()
