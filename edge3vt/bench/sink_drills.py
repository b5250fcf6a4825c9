"""Drills beside the picture: a stuck sink, a full disk, a flooded log, a wall clock that jumps."""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import av

from edge3vt.bench.engine_drills import OpenLane, raw_first, scripted
from edge3vt.bench.findings import Finding
from edge3vt.bench.rig import CLOCK, Seen, pattern, watch
from edge3vt.core import clock
from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.core.errors import DataError
from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.journal import Journal, muffled
from edge3vt.stream.sinks.callback import CallbackSink
from edge3vt.stream.sinks.fragments import side_of
from edge3vt.stream.sinks.video import VideoSink
from edge3vt.stream.sources.test import PatternSource

JUMPS_H = (1, -1, 24 * 3652, -24 * 3652)
FLOOD_HZ = 1000
ROOM_BYTES = 600_000


def stuck(open_lane: OpenLane, seconds: float) -> list[Finding]:
    """One of two sinks never returns."""
    hold = threading.Event()
    jammed = CallbackSink(lambda seg: hold.wait())
    begun_ns = ended_ns = 0
    try:
        seen = _run(open_lane, seconds, [jammed])
    finally:
        begun_ns = CLOCK.now_ns()
        jammed.close()
        ended_ns = CLOCK.now_ns()
        hold.set()
    return [
        *raw_first("sink-stuck", seen),
        Finding("sink-stuck", "P9", "frames that the stuck sink counts as dropped", jammed.dropped, 1, least=True),
        Finding("sink-stuck", "P9", "let go after", (ended_ns - begun_ns) / NS_PER_MS, 1500, "ms"),
    ]


def disk_full(open_lane: OpenLane, seconds: float, folder: Path, room_bytes: int = ROOM_BYTES) -> list[Finding]:
    """The recording may not grow beyond room_bytes, as on a disk that fills: the kernel refuses more (RLIMIT_FSIZE)."""
    import resource

    path = folder / "full.mp4"
    before = set(multiprocessing.active_children())
    sink = VideoSink(path, overwrite=False)
    (encoder,) = set(multiprocessing.active_children()) - before
    assert encoder.pid is not None, "it runs"
    resource.prlimit(encoder.pid, resource.RLIMIT_FSIZE, (room_bytes, room_bytes))
    notices: deque[tuple[int, str]] = deque(maxlen=1)

    def note(seg: Segmentation) -> None:
        if sink.notice and not notices:
            notices.append((CLOCK.now_ns(), sink.notice))

    try:
        seen = _run(open_lane, seconds, [sink, note])
    finally:
        with suppress(DataError):
            sink.close()
    kept = sorted(folder.glob("full.partial-*.mp4"))
    lines = len(side_of(kept[0]).read_text(encoding="utf-8").splitlines()) - 1 if kept else 0
    return [
        *raw_first("disk-full", seen),
        Finding(
            "disk-full", "P7", "REC STOPPED: DISK is told", notices[0][1].count("DISK") if notices else 0, 1, least=True
        ),
        Finding(
            "disk-full", "P7", "pictures that play of what was recorded", plays(kept[0]) if kept else 0, 1, least=True
        ),
        Finding("disk-full", "P7", "of how many lines", lines, 1, least=True),
    ]


def log_flood(open_lane: OpenLane, seconds: float) -> list[Finding]:
    """A thousand errors a second, of the engine, of libraries and of native code: at most ten lines a second."""
    stamps: list[int] = []
    journal = Journal(CLOCK, lambda line: stamps.append(CLOCK.now_ns()))
    stop, library = threading.Event(), logging.getLogger("library")

    def flood() -> None:
        count = 0
        while not stop.wait(1 / FLOOD_HZ):
            count += 1
            journal.say(("AI_OFF", "SOURCE_LOST", f"X{count}")[count % 3], count=count)
            library.error("again %d", count)

    with muffled(journal):
        flooding = threading.Thread(target=flood, name="flood", daemon=True)
        flooding.start()
        try:
            seen = _run(open_lane, seconds, [])
        finally:
            stop.set()
            flooding.join()
    return [*raw_first("log-flood", seen), Finding("log-flood", "P11", "lines in any second", busiest(stamps), 10)]


def busiest(stamps_ns: list[int]) -> int:
    """The most of them within one second."""
    window: deque[int] = deque()
    most = 0
    for stamp in sorted(stamps_ns):
        window.append(stamp)
        while stamp - window[0] >= NS_PER_S:
            window.popleft()
        most = max(most, len(window))
    return most


def clock_jumps(open_lane: OpenLane, seconds: float) -> list[Finding]:
    """The wall clock jumps by an hour and ten years, back and forth, and every frame is labelled with it.

    It is the one clock module's wall time that jumps, in this process; the monotonic clock is the kernel's.
    """
    labels: set[str] = set()
    with jumping():
        seen = _run(open_lane, seconds, [lambda seg: labels.add(clock.wall_label()[:10])])
    ages = [sight.age_ms for sight in seen.sights if sight.age_ms is not None]
    alarms = sum(sight.ai_gone or sight.lost for sight in seen.sights)
    return [
        *raw_first("clock-jumps", seen),
        Finding("clock-jumps", "P10", "days that labels bore, so that it was tried", len(labels), 2, least=True),
        Finding("clock-jumps", "P10", "negative ages", sum(age < 0 for age in ages) if ages else None),
        Finding("clock-jumps", "P10", "false alarms", alarms if ages else None),
    ]


@contextmanager
def jumping() -> Iterator[None]:
    """The wall time of ``core.clock`` jumps at every look."""
    real: Any = vars(clock)["datetime"]
    jumps = cycle([real.timedelta(hours=hours) for hours in JUMPS_H])
    fake = SimpleNamespace(
        datetime=SimpleNamespace(now=lambda zone: real.datetime.now(zone) + next(jumps)), timezone=real.timezone
    )
    with mock.patch.object(clock, "datetime", fake):
        yield


def _run(open_lane: OpenLane, seconds: float, sinks: list[Callable[[Segmentation], object]]) -> Seen:
    lane = open_lane(scripted())
    for sink in sinks:
        if isinstance(sink, VideoSink):
            sink.spec = lane.spec
    try:
        return watch(PatternSource(pattern(seconds), CLOCK), lane, sinks=sinks)
    finally:
        lane.close()


def plays(path: Path) -> int:
    """How many pictures of a video decode."""
    try:
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0))
    except (av.FFmpegError, OSError):
        return 0
