"""Any source in a process of its own: one that hangs is killed and opened again, one that is gone is waited for.

The decisions are the pure ``keeper``'s, the process is ``reader``'s; here they meet.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from edge3vt.core.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from edge3vt.core.errors import DataError, Edge3vtError
from edge3vt.core.frame import Frame
from edge3vt.stream.sources import Source
from edge3vt.stream.sources.keeper import (
    SILENCE_NS,
    Action,
    Appeared,
    Died,
    Ended,
    Event,
    Failed,
    Heard,
    Keeper,
    Opened,
    Phase,
)
from edge3vt.stream.sources.reader import Facts, Reader

LOOK_NS = 50 * NS_PER_MS
"""How often a device that is gone is looked for, and how soon ``close`` is heard."""
FINITE_SILENCE_NS = 10 * NS_PER_S

log = logging.getLogger(__name__)


class RemoteSource:
    """The source that ``open_source`` (picklable) opens, in a spawned process. Iterate over it once, then ``close``.

    Frames are read-only copies; their indices go on over every reopening, each of which is a new epoch. device: a path
    that is there while the device is; its return is seen within LOOK_NS. Raises what the first opening raises.
    A source that ends by itself (a file) ends here, and its errors are raised in their place. tell: set it to hear the
    codes SOURCE_LOST and REOPENED, one of each an outage, from the thread that iterates.
    """

    tell: Callable[[str], None] = staticmethod(lambda code: None)

    def __init__(
        self,
        open_source: Callable[[], Source],
        clock: Clock | None = None,
        *,
        device: Path | None = None,
    ) -> None:
        self._open_source, self._device = open_source, device
        self._clock = clock or SystemClock()
        self._keeper = Keeper()
        self._child: Reader | None = None
        self._next_index = self._next_epoch = self._lost = 0
        self._corrupt: Counter[str] = Counter()
        self._facts: Facts | None = None
        self._error: Edge3vtError | None = None
        self._there = True
        self._iterating = False
        self._closing, self._closed = threading.Event(), threading.Event()
        try:
            while self._facts is None:
                self._turn()
                if self._error is not None:
                    raise self._error
        except BaseException:
            self._drop()
            raise

    @property
    def facts(self) -> Facts:
        assert self._facts is not None, "the constructor returns only after opening"
        return self._facts

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def width(self) -> int:
        return self.facts.width

    @property
    def height(self) -> int:
        return self.facts.height

    @property
    def rate_hz(self) -> float:
        return self.facts.rate_hz

    @property
    def frames(self) -> int | None:
        return self.facts.frames

    @property
    def notes(self) -> tuple[str, ...]:
        return self.facts.notes

    @property
    def reopened(self) -> int:
        """How many times it was open again after it was lost or killed."""
        return self._keeper.reopened

    @property
    def lost(self) -> int:
        """Frames that nobody took in time."""
        return self._lost

    @property
    def corrupt(self) -> dict[str, int]:
        """Pictures dropped because they could not be what they were said to be, by reason."""
        return dict(self._corrupt)

    @property
    def pid(self) -> int | None:
        """Of the process that reads the source now."""
        return self._child.pid if self._child is not None else None

    def __iter__(self) -> Iterator[Frame]:
        self._iterating = True
        if self._child is not None and self._keeper.phase is Phase.RUNNING:
            self._child.say("go")
            self._keeper.step([Heard()], self._clock.now_ns())  # its silence begins now
        try:
            while not self._closing.is_set():
                yield from self._turn()
                if self._error is not None:
                    raise self._error
                if self._keeper.phase is Phase.STOPPED:
                    return
        finally:
            self._drop()
            self._closed.set()

    def close(self) -> None:
        """End the process; a second call does nothing. From any thread: the one that iterates sees it and ends."""
        self._closing.set()
        if self._iterating:
            self._closed.wait(10 * LOOK_NS / NS_PER_S)
        if not self._iterating or not self._closed.is_set():
            self._drop()

    def __enter__(self) -> RemoteSource:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _turn(self) -> list[Frame]:
        """Wait for something to happen, let the keeper decide, do it; the frames that came, renumbered by the child."""
        wake_ns = self._keeper.wake_ns()
        now_ns = self._clock.now_ns()
        until_ns = now_ns + LOOK_NS if wake_ns is None else min(wake_ns, now_ns + LOOK_NS)
        events: list[Event] = []
        frames: list[Frame] = []
        if self._child is not None:
            self._child.wait(max(until_ns - now_ns, 0) / NS_PER_S)
            frames, events = self._gather(self._child)
        else:
            self._clock.sleep_until_ns(until_ns)
        if self._keeper.phase is Phase.WAITING and self._device is not None:
            there = self._device.exists()
            if there and not self._there:
                events.append(Appeared())
            self._there = there
        for action in self._keeper.step(events, self._clock.now_ns()):
            self._do(action)
        return frames

    def _gather(self, child: Reader) -> tuple[list[Frame], list[Event]]:
        dead = not child.alive  # asked before the rest: what it said last is then read as well
        events: list[Event] = []
        for kind, what in child.messages():
            match kind:
                case "opened":
                    self._facts = self._facts or what
                    self._keeper.silence_ns = _silence_ns(what)
                    if self._iterating:
                        child.say("go")
                    events.append(Opened())
                case "corrupt":
                    self._corrupt[what] += 1
                    events.append(Heard())
                case "failed":
                    self._fail(what)
                    events.append(Failed(str(what)))
                case _:
                    events.append(Ended(what))
        taken, lost = child.ring.take()
        self._lost += lost
        frames = [frame for frame, _ in taken]
        if frames:
            self._next_index, self._next_epoch = frames[-1].index + 1, frames[-1].epoch + 1
            events.insert(0, Heard())
        if dead:
            reason = f"its process ended ({child.exit_reason})"
            self._drop()
            if self._keeper.phase is not Phase.STOPPED:
                self._fail(DataError(reason))
                events.append(Died(reason))
        return frames, events

    def _do(self, action: Action) -> None:
        match action:
            case Action.OPEN:
                if self._child is None:
                    self._child = Reader(self._open_source, self._next_index, self._next_epoch)
                self._child.say("open")
            case Action.TERMINATE if self._child is not None:
                self._child.terminate()
            case Action.KILL if self._child is not None:
                self._child.kill()
            case Action.LOST if self._facts is not None and self._error is None:
                log.info("%s: lost (%s); it is opened again as soon as it can be", self.name, self._keeper.reason)
                self.tell("SOURCE_LOST")
            case Action.BACK if self._facts is not None:
                log.info("%s: back", self.name)
                self.tell("REOPENED")
            case _:
                pass

    def _fail(self, error: Exception) -> None:
        """Before the first opening, and for a source that ends by itself, an error is the caller's."""
        if self._facts is None or self._facts.frames is not None:
            self._error = error if isinstance(error, Edge3vtError) else DataError(str(error))

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()


def _silence_ns(facts: Facts) -> int:
    """How long this source may say nothing."""
    least_ns = SILENCE_NS if facts.frames is None else FINITE_SILENCE_NS
    return max(least_ns, round(3 * NS_PER_S / facts.rate_hz), round(1.5 * facts.quiet_s * NS_PER_S))
