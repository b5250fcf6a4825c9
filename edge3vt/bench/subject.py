"""The engine that is benched: what it is, how it is opened, and how fast it is alone, in a process of its own."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from edge3vt.bench.engine_block import Runs, back_to_back, crops
from edge3vt.bench.result import EngineFacts
from edge3vt.core.clock import SystemClock
from edge3vt.core.frame import Frame, Pixels
from edge3vt.engine.manifest import read
from edge3vt.engine.open import open_engine
from edge3vt.engine.slots import active
from edge3vt.stream.lane import OpenSession


@dataclass(frozen=True, slots=True)
class Engine:
    """What is benched: facts, and how it is opened, picklable. wait: of a TensorRT stream."""

    facts: EngineFacts
    open_session: OpenSession
    wait: str = ""


def engine_at(folder: Path) -> Engine:
    """The engine in a folder. Raises ArtifactError."""
    manifest = read(active(folder))
    recipe, spec = manifest.recipe, manifest.spec
    facts = EngineFacts(
        name=manifest.name,
        model_id=spec.model_id,
        sha256=manifest.sha256,
        precision=recipe.precision,
        runtime=recipe.runtime,
        runtime_version=manifest.target.runtime_version,
        threads=recipe.threads,
        width=spec.width,
        height=spec.height,
    )
    return Engine(facts, partial(open_engine, folder), recipe.tensorrt.wait if recipe.tensorrt else "")


def alone(engine: Engine, frames: Sequence[Frame], seconds: float) -> tuple[Runs, str]:
    """Back to back for so long, on crops of these frames; and how a TensorRT session runs it, else empty."""
    pictures = crops(frames, engine.facts.width)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _deaf) as pool:
        return pool.submit(_measured, engine.open_session, pictures, seconds).result()


def _deaf() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer


def _measured(open_session: OpenSession, pictures: Sequence[Pixels], seconds: float) -> tuple[Runs, str]:
    cv2.setNumThreads(1)
    session = open_session()
    try:
        return back_to_back(session, pictures, seconds, SystemClock()), str(getattr(session, "how", ""))
    finally:
        session.close()
