"""``edge3vt run``: a source through the engine into sinks, live or offline."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import typer

from edge3vt.cli.engines import ready_engine
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
from edge3vt.stream.lane import ThreadLane
from edge3vt.stream.runner import offline, stream
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sources import Source
from edge3vt.stream.telemetry import Ledger, StreamSummary, lines

SWITCH_INTERVAL_S = 0.0005
"""A thread that holds the interpreter gives it up after this long; Python's own 5 ms are a third of a frame."""


def run(
    source: Annotated[str, typer.Argument(help="A .dcm clip, a video, a folder/ of pictures, or phantom://SEED.")],
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
    with ExitStack() as stack:
        frames = open_source(source, clock, paced=not offline, rate_hz=rate)
        outputs = [
            stack.enter_context(open_sink(uri, overwrite=overwrite, block=offline)) for uri in sinks or ["null://"]
        ]
        lane = open_lane(engine or ready_engine(), class_map=classes)
        stack.callback(lane.close)
        for text in frames.notes:
            note(f"{source}: {text}")
        summary = drive(frames, lane, outputs, clock, None if offline else budget_ms)
    dropped = sum(sink.dropped for sink in outputs)
    document = {
        "source": source,
        "stream": summary,
        "sinks": [{"written": s.written, "dropped": s.dropped} for s in outputs],
    }
    report = lines(summary, frames.name)
    if dropped:
        report.append(f"Dropped by sinks: {dropped} frames")
    return finish("run", True, document, report, json=json)


def open_lane(engine: Path, class_map: Path | None = None) -> ThreadLane:
    """The engine folder in a thread of its own, under the names of ``class_map`` where one is given."""
    names = None if class_map is None else read_toml(ClassMap, class_map)
    return ThreadLane(partial(_open_renamed, engine, names, str(class_map)))


def drive(
    frames: Source,
    lane: ThreadLane,
    sinks: Sequence[Sink],
    clock: Clock,
    budget_ms: float | None,
    watchers: Sequence[Callable[[Segmentation], None]] = (),
) -> StreamSummary:
    """Run ``frames`` through the loop into ``sinks`` until they end or a sink is closed; offline without a budget."""
    cv2.setNumThreads(1)  # its workers would compete with the engine and the encoder
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()  # what is alive now stays: later collections need not walk it
    ledger = Ledger(budget_ms)
    for seg in _loop(frames, lane, clock, budget_ms, ledger):
        for sink in sinks:
            sink(seg)
        for watch in watchers:
            watch(seg)
        if any(sink.closed for sink in sinks):
            break
    return ledger.summary()


def _loop(
    frames: Source, lane: ThreadLane, clock: Clock, budget_ms: float | None, ledger: Ledger
) -> Iterator[Segmentation]:
    compose = Composer(lane.spec)
    compose.warm(frames.width, frames.height)
    if budget_ms is None:
        return offline(frames, lane, compose=compose, ledger=ledger, clock=clock)
    return stream(frames, lane, budget_ms, compose=compose, ledger=ledger, clock=clock)


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
