"""``edge3vt demo``: the whole chain on what ships: engine, synthetic cine, real clip, report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from edge3vt.bench.evaluate import StreamAccuracy, Witness
from edge3vt.bench.report import check, page
from edge3vt.cli.build import verified
from edge3vt.cli.engines import ready_engine
from edge3vt.cli.lanes import open_lane
from edge3vt.cli.output import Json, finish, note
from edge3vt.cli.run import drive
from edge3vt.core.clock import NS_PER_MS, SystemClock
from edge3vt.core.documents import write_bytes, write_json
from edge3vt.core.errors import DataError
from edge3vt.core.machine import this_machine
from edge3vt.core.segmentation import Segmentation
from edge3vt.engine.manifest import EngineManifest, VerifyReport
from edge3vt.stream.lane import Lane
from edge3vt.stream.sinks.video import VideoSink
from edge3vt.stream.sources import Source
from edge3vt.stream.sources.dicom import DicomSource
from edge3vt.stream.sources.phantom import PhantomClip, PhantomSource
from edge3vt.stream.telemetry import StreamSummary, lines

BUDGET_MS = 16.7
SEED = 6_000_000
"""Phantoms from here on are in no training, validation, test or calibration set."""
OUTPUTS = ("phantom.mp4", "dicom.mp4", "report.html", "report.json")


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the videos and the report go.")] = Path("out/demo"),
    seed: Annotated[int, typer.Option(help="First seed of the synthetic cine's four fetuses.")] = SEED,
    json: Json = False,
) -> int:
    """Prepare and verify the engine for this machine, run it on a synthetic cine and on a real clip, and report.

    Example: edge3vt demo
    """
    for name in OUTPUTS:
        (out / name).unlink(missing_ok=True)
    engine = ready_engine()
    note("verifying the engine")
    manifest, verdict = verified(engine)
    clock, witness, totals_ms = SystemClock(), Witness(), list[float]()
    note("rendering the synthetic cine")
    cine = PhantomSource(PhantomClip(seed), clock, paced=True)
    with closing(open_lane(engine, supervised=True)) as lane:
        note("running it at 60 Hz")
        on_phantom = (witness, lambda seg: totals_ms.append(seg.timing.total_ns / NS_PER_MS))
        phantom, phantom_lost = _record(cine, lane, out / "phantom.mp4", *on_phantom)
        note("running the real clip")
        clip = DicomSource(_four_chamber_clip(), clock, paced=True)
        dicom, dicom_lost = _record(clip, lane, out / "dicom.mp4")
    note("comparing with the truth")
    accuracy = witness.accuracy(cine.truth)
    checks = _checks(phantom, dicom, accuracy, verdict)
    passed = verdict.passed and phantom_lost == 0 and dicom_lost == 0
    document = _document(phantom, dicom, accuracy, manifest, verdict) | {
        "checks": checks,
        "recorder_lost": {"phantom": phantom_lost, "dicom": dicom_lost},
    }
    html = page(
        title="edge3vt demo",
        phantom=phantom,
        dicom=dicom,
        dice={**accuracy.dice, "mean of the first four": accuracy.dice_mean},
        totals_ms=totals_ms,
        checks=checks,
        engine=document["engine"],
        machine=document["machine"],
    )
    write_bytes(out / "report.html", html.encode())
    write_json({"schema": 1, "passed": passed, **document}, out / "report.json")
    return finish("demo", passed, document, _lines(phantom, dicom, accuracy, verdict, checks, out), json=json)


def _record(
    frames: Source, lane: Lane, path: Path, *watchers: Callable[[Segmentation], None]
) -> tuple[StreamSummary, int]:
    """Run a source into a video; also returns how many emitted frames the video lacks."""
    with VideoSink(path, overwrite=True) as video:
        summary = drive(frames, lane, [video], SystemClock(), BUDGET_MS, watchers)
    return summary, summary.emitted - video.written


def _four_chamber_clip() -> Path:
    """The adult apical four-chamber cine inside the pydicom package."""
    from pydicom.data import get_testdata_file

    path = get_testdata_file("examples_ybr_color.dcm", download=False)
    if path is None:
        raise DataError("pydicom's examples_ybr_color.dcm is not installed; reinstall pydicom")
    return Path(str(path))


def _checks(
    phantom: StreamSummary, dicom: StreamSummary, accuracy: StreamAccuracy, verdict: VerifyReport
) -> list[dict[str, Any]]:
    return [
        check("phantom: mean Dice of the first four structures", accuracy.dice_mean, 0.85, at_least=True),
        check("phantom: overlay on frames that hold the view", accuracy.shown_in_view, 0.80, at_least=True),
        check("phantom: overlay on frames that do not", accuracy.shown_outside_view, 0.05, at_least=False),
        check("phantom: miss rate", phantom.miss_rate, 0.01, at_least=False),
        check("phantom: own masks", phantom.own_mask_rate, 0.95, at_least=True),
        check("four-chamber clip: overlay on its frames", dicom.shown / dicom.frames, 0.05, at_least=False),
        check("engine: times as fast as FP32", verdict.speedup, 2.0, at_least=True),
    ]


def _document(
    phantom: StreamSummary,
    dicom: StreamSummary,
    accuracy: StreamAccuracy,
    manifest: EngineManifest,
    verdict: VerifyReport,
) -> dict[str, Any]:
    return {
        "phantom": asdict(phantom) | asdict(accuracy),
        "dicom": asdict(dicom),
        "engine": {
            "runtime": manifest.recipe.runtime,
            "runtime_version": manifest.runtime_version,
            "precision": manifest.recipe.precision,
            "threads": manifest.recipe.threads,
            "model": manifest.spec.model_id,
            "training": manifest.spec.training,
            "sha256": manifest.sha256,
            "verify": asdict(verdict),
        },
        "machine": asdict(this_machine()),
    }


def _lines(
    phantom: StreamSummary,
    dicom: StreamSummary,
    accuracy: StreamAccuracy,
    verdict: VerifyReport,
    checks: list[dict[str, Any]],
    out: Path,
) -> list[str]:
    rows = [*lines(phantom, "synthetic cine, 1024x768 at 60 Hz"), "", *lines(dicom, "adult four-chamber clip"), ""]
    rows += [f"Dice: {', '.join(f'{name} {value:.3f}' for name, value in accuracy.dice.items())}", *verdict.reasons, ""]
    rows += [
        f"{'met   ' if c['met'] else 'MISSED'} {c['name']}: "
        f"{'n/a' if c['value'] is None else format(c['value'], '.4g')} ({c['direction']} {c['target']:g})"
        for c in checks
    ]
    return [*rows, "", f"Report: {out / 'report.html'}"]
