"""``edge3vt run``: a source through the engine into sinks, live or offline."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import typer

from edge3vt.cli.engines import ready_engine
from edge3vt.cli.figures import Asked, Figures, begin_log
from edge3vt.cli.lanes import Engines, descent, described, manifest_of, open_lane, places, told
from edge3vt.cli.output import Json, Overwrite, finish, note
from edge3vt.cli.uris import open_sink, open_source
from edge3vt.core.clock import Clock, SystemClock
from edge3vt.core.errors import ConfigError
from edge3vt.core.segmentation import Segmentation
from edge3vt.picture.draw import Composer
from edge3vt.stream.child import Scheduling
from edge3vt.stream.descent import Descent
from edge3vt.stream.journal import Journal
from edge3vt.stream.ladder import Move, Steps
from edge3vt.stream.lane import Lane, LaneResult
from edge3vt.stream.profile import Framing, read_profile
from edge3vt.stream.runner import Sync, offline, stream
from edge3vt.stream.seeker import Seeker
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
        list[str] | None,
        typer.Argument(help="out.mp4, a folder/, display://, view://, widths.csv, seg.dcm or null:// (the default)."),
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
    smaller_engine: Annotated[
        Path | None, typer.Option(help="An engine folder of the same classes, for while this machine is late or hot.")
    ] = None,
    accept_region: Annotated[
        bool, typer.Option("--accept-region", help="Take the region found in the picture without anybody's look at it.")
    ] = False,
    cores: Annotated[str | None, typer.Option(help="LOOP,ENGINE: the CPU cores of each, as in 0,1.")] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Real-time priority for loop and engine, where it is permitted.")
    ] = False,
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
    live_only = {"--smaller-engine": smaller_engine, "--accept-region": accept_region, "--realtime": realtime}
    if offline and (given := [name for name, value in live_only.items() if value]):
        raise ConfigError(
            f"{', '.join(given)}: not with --offline, where nothing is late; a region comes from --profile"
        )
    loop_place, engine_place = places(cores, realtime=realtime)
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
            frames.tell = journal.say
        outputs = [
            stack.enter_context(open_sink(uri, overwrite=overwrite, block=offline, source=source, engine=engine))
            for uri in sinks or ["null://"]
        ]
        engines = Engines(engine or ready_engine(), smaller_engine, classes)
        lane = open_lane(engines, supervised=not offline, standby=standby, place=engine_place)
        stack.callback(lane.close)
        manifest = manifest_of(engines.folder)
        note(told(manifest))
        asked = Asked(metrics_port, log_lines, trace)
        figures = Figures(
            stack, clock, journal, ledger, outputs, asked, model=lane.spec.name, restarts=lambda: lane.restarts
        )
        for text in frames.notes:
            note(f"{without_password(source)}: {text}")
        steps: Descent | None = None
        watchers: list[Callable[[Segmentation], None]] = [figures.delivered]
        if isinstance(lane, SupervisedLane):
            steps = descent(lane, engines, budget_ms, figures.heat)
            figures.follow(steps)
        if not offline:
            seeker = Seeker(framing, accept=accept_region)
            stack.callback(seeker.close)
            watchers.append(figures.seeking(seeker, framing))
        if not offline:
            signal.signal(signal.SIGTERM, partial(_end, watchdog, ended))
        summary = drive(
            frames,
            lane,
            outputs,
            clock,
            None if offline else budget_ms,
            watchers,
            results=figures.result,
            sync=sync,
            policy=crop,
            framing=framing,
            ladder=steps,
            moved=figures.moved,
            tell=figures.notices,
            place=loop_place,
            ledger=ledger,
            watchdog=watchdog,
            ended=ended,
        )
    dropped = sum(sink.dropped for sink in outputs)
    document = {
        "source": without_password(source),
        "engine": described(manifest),
        "stream": summary,
        "sinks": [{"written": s.written, "dropped": s.dropped} for s in outputs],
    }
    report = lines(summary, frames.name)
    if steps is not None:
        document["ladder"] = {
            "rung": steps.rung.value,
            "moves": dict(steps.moves),
            "refused": steps.refused,
            "why": list(steps.reasons),
        }
        report += [f"Ladder, {reason}" for reason in steps.reasons]
    if dropped:
        report.append(f"Dropped by sinks: {dropped} frames")
    return finish("run", True, document, report, json=json)


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
    ladder: Steps | None = None,
    moved: Callable[[Move], None] = lambda move: None,
    tell: Callable[[], tuple[str, ...]] = tuple,
    place: Scheduling | None = None,
    ledger: Ledger | None = None,
    watchdog: Watchdog | None = None,
    ended: threading.Event | None = None,
) -> StreamSummary:
    """Run ``frames`` through the loop into ``sinks`` until they end, a sink is closed or ``ended`` is set.

    Offline without a budget. tell: notices for the status line beside the sinks' own. place: of this thread meanwhile.
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
        return (*(sink.notice for sink in sinks if sink.notice), *tell())

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
            ladder=ladder,
            moved=moved,
            tell=notices,
            results=results,
            ledger=ledger,
            clock=clock,
        )
    )
    with (place or Scheduling()).held():
        _deliver(loop, lane, sinks, watchers, watchdog, ended)
    return ledger.summary()


def _deliver(
    loop: Iterator[Segmentation],
    lane: Lane,
    sinks: Sequence[Sink],
    watchers: Sequence[Callable[[Segmentation], None]],
    watchdog: Watchdog | None,
    ended: threading.Event | None,
) -> None:
    first, spec = True, lane.spec
    for seg in loop:
        if lane.spec is not spec:  # another engine has taken over
            spec = lane.spec
            for sink in sinks:
                sink.spec = spec
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


def _end(watchdog: Watchdog, ended: threading.Event, *_: object) -> None:
    """On SIGTERM: the loop ends with its frame, recordings are finished, and after HARD_EXIT_S nothing waits."""
    watchdog.stopping()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it at once
    timer = threading.Timer(HARD_EXIT_S, os._exit, (143,))
    timer.daemon = True
    timer.start()
    ended.set()
