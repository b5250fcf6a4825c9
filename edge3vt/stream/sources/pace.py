"""The one place where a recorded clip becomes frames in time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator

from edge3vt.core.clock import Clock
from edge3vt.core.frame import Frame
from edge3vt.picture.clip import Clip, Picture

AHEAD = 8
"""Pictures decoded ahead of time: a quarter of a second at 30 Hz, 19 MB of 1024x768 RGB."""


class Replay:
    """A clip as a source. Paced, each frame comes when it is due; else every frame in order, as fast as asked for.

    captured_ns: the due time, or, for a picture that could not be decoded by then, when it was. Unpaced frames
    carry the clip's own times from the moment of the first. decoded: pictures cost nothing to get, so that no thread
    has to get them ahead of time.
    """

    def __init__(self, clip: Clip, clock: Clock, *, paced: bool, decoded: bool = False) -> None:
        self._clip, self._clock, self._paced, self._decoded = clip, clock, paced, decoded
        self.name, self.width, self.height = clip.name, clip.width, clip.height
        self.rate_hz, self.notes = clip.rate_hz, clip.notes
        self.frames: int | None = clip.frames

    def __iter__(self) -> Iterator[Frame]:
        timed = pace(self._clip.pictures(), self._clock) if self._paced and not self._decoded else self._timed()
        for index, (picture, captured_ns) in enumerate(timed):
            picture.pixels.flags.writeable = False
            yield Frame(
                index=index,
                captured_ns=captured_ns,
                pixels=picture.pixels,
                layout=picture.layout,
                full_range=picture.full_range,
                epoch=picture.epoch,
                region=picture.region or self._clip.region,
                mm_per_px=picture.mm_per_px or self._clip.mm_per_px,
            )

    def _timed(self) -> Iterator[tuple[Picture, int]]:
        """Each picture with its due time; paced, when it is due."""
        start_ns = self._clock.now_ns()
        for picture in self._clip.pictures():
            due_ns = start_ns + picture.time_ns
            if self._paced:
                self._clock.sleep_until_ns(due_ns)
            yield picture, due_ns


def pace(pictures: Iterable[Picture], clock: Clock) -> Iterator[tuple[Picture, int]]:
    """Each picture when it is due, with its capture time. Decoded ahead in a thread; begins with AHEAD in hand."""
    ahead = _Ahead(pictures, clock)
    try:
        ahead.fill()
        start_ns = clock.now_ns()
        while (decoded := ahead.next()) is not None:
            picture, ready_ns = decoded
            due_ns = start_ns + picture.time_ns
            clock.sleep_until_ns(due_ns)
            yield picture, max(due_ns, ready_ns)
    finally:
        ahead.stop()


class _Ahead:
    """Takes pictures in a thread of its own, never more than AHEAD before they are asked for."""

    def __init__(self, pictures: Iterable[Picture], clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._decoded: deque[tuple[Picture, int]] = deque()
        self._ended = self._stopped = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._decode, args=(pictures,), name="decode", daemon=True)
        self._thread.start()

    def fill(self) -> None:
        """Wait until AHEAD pictures are there, or all."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._decoded) >= AHEAD or self._ended)

    def next(self) -> tuple[Picture, int] | None:
        """The next picture and when it was there; None at the end. Raises what decoding raised, in its place."""
        with self._changed:
            self._changed.wait_for(lambda: self._decoded or self._ended)
            if self._decoded:
                self._changed.notify_all()
                return self._decoded.popleft()
            if self._error is not None:
                raise self._error
            return None

    def stop(self) -> None:
        """Decode no more, and wait for the picture in hand."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def _decode(self, pictures: Iterable[Picture]) -> None:
        error: Exception | None = None
        try:
            for picture in pictures:
                with self._changed:
                    self._decoded.append((picture, self._clock.now_ns()))
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: len(self._decoded) < AHEAD or self._stopped)
                    if self._stopped:
                        break
        except Exception as failure:  # handed to whoever asks for the picture that failed
            error = failure
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()
