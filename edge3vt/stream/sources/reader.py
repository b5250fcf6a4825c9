"""The process that reads a source: as its parent sees it, and what it does."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from typing import Any

from edge3vt.core.errors import DataError, Edge3vtError
from edge3vt.stream.child import Lifeline, hold
from edge3vt.stream.ring import Ring
from edge3vt.stream.sources import Source

SLOTS = 4
PICTURE_BYTES = 3840 * 2160 * 3
"""The largest picture of a capture card. Pages that no picture touches cost nothing."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source said of itself when it was open. quiet_s: the longest pause it makes on purpose."""

    name: str
    width: int
    height: int
    rate_hz: float
    frames: int | None
    notes: tuple[str, ...]
    quiet_s: float


class Reader:
    """A spawned process with a ring of frames and a pipe of messages: opened, corrupt, failed or ended, with what.

    Told "open" it opens the source, told "go" it reads. Indices and epochs of its frames begin at ``index``, ``epoch``
    and go on over its openings.
    """

    def __init__(self, open_source: Callable[[], Source], index: int, epoch: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.ring = Ring.create(SLOTS, PICTURE_BYTES)
        self._lifeline = Lifeline()
        self._pipe, its_pipe = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(self._lifeline, self.ring, its_pipe, open_source, index, epoch),
            name="source",
            daemon=True,
        )
        try:
            self._process.start()
        except BaseException:
            self._let_go()
            raise
        finally:
            its_pipe.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def exit_reason(self) -> str:
        """How it ended: a signal's name or an exit code."""
        code = self._process.exitcode
        return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"

    def wait(self, timeout_s: float) -> None:
        """Until a frame or a message is there, or it has ended, or the time is over."""
        wait_for([self.ring.fileno(), self._pipe, self._process.sentinel], timeout_s)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def messages(self) -> list[tuple[str, Any]]:
        """What it said since the last call."""
        said = []
        with suppress(EOFError, OSError):
            while self._pipe.poll():
                said.append(self._pipe.recv())
        return said

    def say(self, command: str) -> None:
        with suppress(OSError):  # it died: its sentinel tells
            self._pipe.send(command)

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._let_go()

    def _let_go(self) -> None:
        self._pipe.close()
        self._lifeline.close()
        self.ring.close()


def _serve(
    lifeline: Any, ring: Ring, pipe: Connection, open_source: Callable[[], Source], index: int, epoch: int
) -> None:
    """The process: open when told, put frames until they end, say how it ended, and wait to be told again."""
    hold(lifeline)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        try:
            pipe.recv()
            source = open_source()
            if (tally := getattr(source, "tally", None)) is not None:
                tally.watch = lambda reason: pipe.send(("corrupt", reason))
            quiet_s = getattr(source, "quiet_s", 0.0)
            facts = source.name, source.width, source.height, source.rate_hz, source.frames, tuple(source.notes)
            pipe.send(("opened", Facts(*facts, quiet_s)))
            pipe.recv()
            first_index, first_epoch = index, epoch
            for frame in source:
                if frame.pixels.nbytes > PICTURE_BYTES:
                    pipe.send(("corrupt", "picture too large"))
                    continue
                repeat_of = None if frame.repeat_of is None else first_index + frame.repeat_of
                here = replace(
                    frame, index=first_index + frame.index, epoch=first_epoch + frame.epoch, repeat_of=repeat_of
                )
                ring.put(here)
                index, epoch = here.index + 1, here.epoch + 1
            pipe.send(("ended", source.frames is not None))
        except (EOFError, BrokenPipeError):
            return
        except Edge3vtError as error:
            pipe.send(("failed", error))
        except Exception as error:  # whatever a library throws: it is opened again
            pipe.send(("failed", DataError(f"{type(error).__name__}: {' '.join(str(error).split())}")))
