"""``edge3vt run``: a source through the engine into sinks, live or offline."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import typer

from edge3vt.cli.engines import ready_engine
from edge3vt.cli.figures import Asked, Figures, begin_log
from edge3vt.cli.output import Json, Overwrite, finish, note
from edge3vt.cli.uris import open_sink, open_source
from edge3vt.core.anatomy import ClassMap
from edge3vt.core.clock import Clock, SystemClock
from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError
from edge3vt.core.segmentation import Segmentation
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.open import open_engine
from edge3vt.picture.draw import Composer
from edge3vt.stream.journal import Journal
from edge3vt.stream.lane import Lane, LaneResult, ThreadLane
from edge3vt.stream.profile import Framing, read_profile
from edge3vt.stream.runner import Sync, offline, stream
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sources import Source
from edge3vt.stream.sources.remote import RemoteSource
from edge3vt.stream.sources.rtsp import without_password
from edge3vt.stream.supervised import SupervisedLane
from edge3vt.stream.telemetry import Ledger, StreamSummary, lines
from edge3vt.stream.tracking import CropPolicy
from edge3vt.stream.watchdog import Watchdog

SWITCH_INTERVAL_S = 0.0005
"""A thread that holds the interpreter gives it up after this long; Python's own 5 ms are a third of a frame."""
HARD_EXIT_S = 3.0


def run(
    source: Annotated[
        str, typer.Argument(help="A .dcm clip, a video, a folder/, phantom://SEED, rtsp://, igtl:// or test://.")
    ],
    sinks: Annotated[
        list[str] | None, typer.Argument(help="out.mp4, a folder/ for pictures, display:// or null:// (the default).")
    ] = None,
    engine: Annotated[
        Path | None, typer.Option(help="An engine folder; default: the shipped student, built here.")
    ] = None,
    budget_ms: Annotated[float, typer.Option(help="Every frame leaves by capture + this many milliseconds.")] = 16.7,
    offline: Annotated[
        bool, typer.Option("--offline", help="Every frame in order with its own mask, unpaced.")
    ] = False,
    sync: Annotated[
        Sync, typer.Option(help="passthrough: a frame leaves as soon as its mask is there; lockstep: at the budget.")
    ] = "passthrough",
    crop: Annotated[CropPolicy, typer.Option(help="track: look closer where the vessels are.")] = "acquire",
    profile: Annotated[
        list[str] | None, typer.Option(help="Where the ultrasound picture lies on the screen: a TOML file; repeatable.")
    ] = None,
    standby: Annotated[
        bool, typer.Option(help="Keep a second engine open and warm, for when the first one hangs.")
    ] = True,
    metrics_port: Annotated[int | None, typer.Option(help="Figures for Prometheus, to this machine alone.")] = None,
    log_lines: Annotated[Path | None, typer.Option(help="A JSON line of figures a second, into this file.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Every frame's way, for ui.perfetto.dev, into this file.")] = None,
    rate: Annotated[float | None, typer.Option(help="Pictures a second of a folder, in Hz.")] = None,
    classes: Annotated[
        Path | None, typer.Option(help="A class map in TOML: other names for the engine's classes.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Put the overlay on a source.

    Example: edge3vt run clip.dcm overlay.mp4 --budget-ms 33
    """
    if not budget_ms > 0:
        raise ConfigError(f"--budget-ms is {budget_ms:g}, expected a positive number of milliseconds, as in 16.7")
    clock = SystemClock()
    framing = Framing([read_profile(name) for name in profile or ()])
    ledger, ended = Ledger(None if offline else budget_ms), threading.Event()
    with ExitStack() as stack:
        # before any process that would inherit the socket or stderr
        watchdog = stack.enter_context(closing(Watchdog(clock)))
        journal = Journal(clock) if offline else begin_log(stack, clock)
        frames = open_source(source, clock, paced=not offline, rate_hz=rate)
        if isinstance(frames, RemoteSource):
            stack.callback(frames.close)
        outputs = [
            stack.enter_context(open_sink(uri, overwrite=overwrite, block=offline, source=source, engine=engine))
            for uri in sinks or ["null://"]
        ]
        folder = engine or ready_engine()
        lane = open_lane(folder, class_map=classes, supervised=not offline, standby=standby)
        stack.callback(lane.close)
        asked = Asked(metrics_port, log_lines, trace)
        figures = Figures(
            stack, clock, journal, ledger, outputs, asked, model=lane.spec.name, restarts=lambda: lane.restarts
        )
        for text in frames.notes:
            note(f"{without_password(source)}: {text}")
        if not offline:
            signal.signal(signal.SIGTERM, partial(_end, watchdog, ended))
        summary = drive(
            frames,
            lane,
            outputs,
            clock,
            None if offline else budget_ms,
            (figures.delivered,),
            results=figures.result,
            sync=sync,
            policy=crop,
            framing=framing,
            ledger=ledger,
            watchdog=watchdog,
            ended=ended,
        )
    dropped = sum(sink.dropped for sink in outputs)
    document = {
        "source": without_password(source),
        "stream": summary,
        "sinks": [{"written": s.written, "dropped": s.dropped} for s in outputs],
    }
    report = lines(summary, frames.name)
    if dropped:
        report.append(f"Dropped by sinks: {dropped} frames")
    return finish("run", True, document, report, json=json)


def open_lane(
    engine: Path, class_map: Path | None = None, *, supervised: bool = False, standby: bool = False
) -> ThreadLane | SupervisedLane:
    """The engine folder in a thread, or in a process that is replaced, under the names of ``class_map`` where given."""
    names = None if class_map is None else read_toml(ClassMap, class_map)
    opened = partial(_open_renamed, engine, names, str(class_map))
    return SupervisedLane(opened, standby=standby) if supervised else ThreadLane(opened)


def drive(
    frames: Source,
    lane: Lane,
    sinks: Sequence[Sink],
    clock: Clock,
    budget_ms: float | None,
    watchers: Sequence[Callable[[Segmentation], None]] = (),
    *,
    results: Callable[[LaneResult], None] = lambda result: None,
    sync: Sync = "passthrough",
    policy: CropPolicy = "acquire",
    framing: Framing | None = None,
    ledger: Ledger | None = None,
    watchdog: Watchdog | None = None,
    ended: threading.Event | None = None,
) -> StreamSummary:
    """Run ``frames`` through the loop into ``sinks`` until they end, a sink is closed or ``ended`` is set.

    Offline without a budget.
    """
    cv2.setNumThreads(1)  # its workers would compete with the engine and the encoder
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()  # what is alive now stays: later collections need not walk it
    ledger = ledger or Ledger(budget_ms)
    for sink in sinks:
        sink.spec = lane.spec
    compose = Composer(lane.spec)
    compose.warm(frames.width, frames.height)

    def notices() -> tuple[str, ...]:
        return tuple(sink.notice for sink in sinks if sink.notice)

    loop = (
        offline(
            frames,
            lane,
            policy=policy,
            compose=compose,
            framing=framing,
            tell=notices,
            results=results,
            ledger=ledger,
            clock=clock,
        )
        if budget_ms is None
        else stream(
            frames,
            lane,
            budget_ms,
            sync=sync,
            policy=policy,
            compose=compose,
            framing=framing,
            tell=notices,
            results=results,
            ledger=ledger,
            clock=clock,
        )
    )
    first = True
    for seg in loop:
        for sink in sinks:
            sink(seg)
        if watchdog is not None:
            if first:
                watchdog.ready()
            watchdog.delivered()
        first = False
        for watch in watchers:
            watch(seg)
        if any(sink.closed for sink in sinks) or (ended is not None and ended.is_set()):
            break
    return ledger.summary()


def _end(watchdog: Watchdog, ended: threading.Event, *_: object) -> None:
    """On SIGTERM: the loop ends with its frame, recordings are finished, and after HARD_EXIT_S nothing waits."""
    watchdog.stopping()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it at once
    timer = threading.Timer(HARD_EXIT_S, os._exit, (143,))
    timer.daemon = True
    timer.start()
    ended.set()


class _Renamed:
    """A session whose classes have other names."""

    def __init__(self, session: Session, spec: ModelSpec) -> None:
        self._session, self.spec = session, spec
        self.run, self.close = session.run, session.close


def _open_renamed(engine: Path, names: ClassMap | None, where: str) -> Session:
    session = open_engine(engine)
    if names is not None:
        if len(names.classes) != len(session.spec.classes):
            raise ConfigError(
                f"{where}: {len(names.classes)} classes, but the engine has {len(session.spec.classes)} "
                f"({', '.join(session.spec.classes)}); name each of them once"
            )
        return _Renamed(session, replace(session.spec, classes=names.classes))
    return session
