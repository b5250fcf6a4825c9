"""``edge3vt demo``: the whole chain on what ships: engine, synthetic cine, real clip, report."""

from __future__ import annotations

import dataclasses
import shutil
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from edge3vt.bench.evaluate import StreamAccuracy, Witness
from edge3vt.bench.report import check, page
from edge3vt.cli.build import verified
from edge3vt.cli.engines import DEFAULT_RECIPE, ready_engine
from edge3vt.cli.output import Json, finish, note
from edge3vt.cli.run import drive, open_lane
from edge3vt.core.clock import SystemClock
from edge3vt.core.documents import write_bytes, write_json
from edge3vt.core.errors import DataError
from edge3vt.core.machine import this_machine
from edge3vt.stream.sinks.video import VideoSink
from edge3vt.stream.sources.dicom import DicomSource
from edge3vt.stream.sources.phantom import PhantomSource
from edge3vt.stream.telemetry import StreamSummary, lines

BUDGET_MS = 16.7
PHANTOM_SEED = 4_000_000
OUTPUTS = ("phantom.mp4", "dicom.mp4", "report.html", "report.json")


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the videos and the report go.")] = Path("out/demo"),
    seed: Annotated[int, typer.Option(help="Another synthetic cine.")] = PHANTOM_SEED,
    json: Json = False,
) -> int:
    """Prepare and verify the engine for this machine, run it on a synthetic cine and on a real clip, and report.

    Example: edge3vt demo, then open out/demo/report.html
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in OUTPUTS:
        (out / name).unlink(missing_ok=True)
    engine = ready_engine()
    note("verifying the engine")
    manifest, verdict = verified(engine)
    clock = SystemClock()

    with closing(open_lane(engine)) as lane:
        note("rendering the synthetic cine")
        cine = PhantomSource(clock, paced=True, seed=seed, seconds=10, scenes=4, width=1024, height=768, rate_hz=60)
        witness = Witness()
        note("running it at 60 Hz")
        phantom, phantom_drops = _record(cine, lane, out / "phantom.mp4", witness)
        note("running the real clip")
        clip = DicomSource(_four_chamber_clip(), clock, paced=True)
        dicom, dicom_drops = _record(clip, lane, out / "dicom.mp4")
    accuracy = witness.accuracy(cine.truth)
    ...
