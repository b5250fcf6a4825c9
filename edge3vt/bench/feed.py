"""Pictures in memory as a source that follows a schedule: nothing is rendered or decoded once the clock runs."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edge3vt.bench.scenario import Arrivals
from edge3vt.core.clock import NS_PER_S, Clock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame

LARGEST_BYTES = 4 << 30


class Feed:
    """``frames``, over and over, as ``arrivals`` says, for ``seconds``; each round is of other epochs.

    captured_ns: when a frame was due, or given where nothing is due. ``next`` lets the following frame of a flat-out
    feed come. captured, given: of each frame so far, by index, in ns. Raises DataError without frames.
    """

    def __init__(self, frames: Sequence[Frame], arrivals: Arrivals, seconds: float, clock: Clock) -> None:
        if not frames:
            raise DataError("the source has no pictures; take another one")
        self._frames, self._arrivals, self._seconds, self._clock = frames, arrivals, seconds, clock
        self._epochs = max(frame.epoch for frame in frames) + 1
        self._free = threading.Semaphore()
        self._closed = False
        self.name, self.rate_hz = arrivals.kind, arrivals.rate_hz
        self.height, self.width = frames[0].luma.shape
        self.frames: int | None = None
        self.notes: tuple[str, ...] = ()
        self.captured, self.given = array("q"), array("q")

    def __iter__(self) -> Iterator[Frame]:
        clock, frames = self._clock, self._frames
        start_ns = clock.now_ns()
        end_ns = start_ns + round(self._seconds * NS_PER_S)
        for index, due in enumerate(self._arrivals.due_ns(self._seconds)):
            if due is None:
                self._free.acquire()
                due_ns = now_ns = clock.now_ns()
            else:
                due_ns = start_ns + due
                clock.sleep_until_ns(due_ns)
                now_ns = clock.now_ns()
            if self._closed or due_ns >= end_ns:
                return
            self.captured.append(due_ns)
            self.given.append(now_ns)
            lap, at = divmod(index, len(frames))
            frame = frames[at]
            yield replace(frame, index=index, captured_ns=due_ns, epoch=frame.epoch + lap * self._epochs)

    def next(self) -> None:
        """A frame has left."""
        self._free.release()

    def close(self) -> None:
        """Give no more."""
        self._closed = True
        self._free.release()


def held(frames: Iterator[Frame], name: str) -> list[Frame]:
    """All frames of a source in memory. Raises DataError where they are too many or not of one size."""
    found: list[Frame] = []
    held_bytes = 0
    for frame in frames:
        held_bytes += frame.pixels.nbytes
        if held_bytes > LARGEST_BYTES:
            raise DataError(f"{name}: more than {LARGEST_BYTES >> 30} GiB of pictures; take a shorter one")
        if found and frame.pixels.shape != found[0].pixels.shape:
            raise DataError(f"{name}: pictures of several sizes; a bench takes one size")
        found.append(frame)
    return found
