"""Where drills are run: a scripted source through the live loop into a sink, before the pixel oracle's eyes."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import cv2

from edge3vt.bench.oracle import HEIGHT, WIDTH, Originals, Sight, look, warm
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.segmentation import Segmentation
from edge3vt.picture.draw import Composer
from edge3vt.stream.lane import Lane
from edge3vt.stream.runner import stream
from edge3vt.stream.sinks.mailbox import Mailbox
from edge3vt.stream.sources.test import Pattern
from edge3vt.stream.telemetry import Ledger

SIZES = ((WIDTH, HEIGHT), (800, 600))
RATE_HZ = 60.0
PERIOD_MS = 1000 / RATE_HZ
BUDGET_MS = 16.7
DEPTH = 64
"""Pictures that may wait for the oracle: it has to see every one of them."""
CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one run. given: capture times of the source's frames by their codes, empty where it is elsewhere.

    unseen: pictures that the oracle could not keep up with. began_ns, ended_ns: of the loop.
    """

    sights: tuple[Sight, ...]
    given: dict[int, int]
    unseen: int
    began_ns: int
    ended_ns: int

    @property
    def delays_ms(self) -> list[float]:
        """From capture to the sink, of each code when it first left; the codes' whole ms where times are not known."""
        first: dict[int, int] = {}
        for sight in self.sights:
            if sight.code is not None:
                first.setdefault(sight.code, sight.at_ns)
        return [(at - self.given.get(code, code * NS_PER_MS)) / NS_PER_MS for code, at in first.items()]


def pattern(seconds: float | None, faults: str = "", **changes: Any) -> Pattern:
    """The source of drills: its code is the capture time."""
    asked = Pattern(width=WIDTH, height=HEIGHT, rate_hz=RATE_HZ, seconds=seconds, faults=faults, code="ms")
    return replace(asked, **changes)


def watch(
    source: Any,
    lane: Lane,
    *,
    originals: bool = True,
    script: Sequence[tuple[float, Callable[[], object]]] = (),
    sinks: Sequence[Callable[[Segmentation], object]] = (),
    ledger: Ledger | None = None,
    most_s: float | None = None,
    seen: Callable[[Sight], object] | None = None,
    each: int = 1,
) -> Seen:
    """Run the loop until the source ends, or for most_s seconds.

    script: what to do so many seconds after the first frame, in a thread.
    originals: the source is in this process, and pictures are compared with its own. seen: takes the sights, which
    are not kept then; each: of so many pictures one is looked at.
    """
    cv2.setNumThreads(1)
    sys.setswitchinterval(0.0005)
    sights: list[Sight] = []
    take = seen or sights.append
    kept = Originals(source if originals else (), remember=seen is None)
    count = 0

    def see(item: tuple[Segmentation, int]) -> None:
        seg, at_ns = item
        assert seg.picture is not None, "there is a composer"
        take(look(seg.picture, at_ns, kept.of(seg.picture) if originals else None, lane.spec))

    compose = Composer(lane.spec)
    for size in SIZES:
        compose.warm(*size)
    warm(SIZES)
    eyes: Mailbox[tuple[Segmentation, int]] = Mailbox(see, depth=DEPTH if seen is None else 4)
    stop = threading.Event()
    began_ns = 0
    with ExitStack() as stack:
        stack.callback(eyes.close)
        stack.callback(stop.set)
        gc.collect()
        for seg in stream(kept if originals else source, lane, BUDGET_MS, compose=compose, ledger=ledger, clock=CLOCK):
            at_ns = CLOCK.now_ns()
            if not began_ns:
                began_ns = at_ns
                threading.Thread(target=_play, args=(script, began_ns, stop), name="script", daemon=True).start()
            for sink in sinks:
                sink(seg)
            count += 1
            if count % each == 0:
                eyes.put((seg, at_ns))
            if most_s is not None and at_ns - began_ns > most_s * NS_PER_S:
                break
        ended_ns = CLOCK.now_ns()
    if (error := eyes.error) is not None:
        raise error
    return Seen(tuple(sights), dict(kept.given), eyes.dropped, began_ns, ended_ns)


def _play(script: Sequence[tuple[float, Callable[[], object]]], began_ns: int, stop: threading.Event) -> None:
    for after_s, act in script:
        wait_s = (began_ns + after_s * NS_PER_S - CLOCK.now_ns()) / NS_PER_S
        if stop.wait(max(wait_s, 0.0)):
            return
        act()
