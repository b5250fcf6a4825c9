from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3vt.bench.endtoend import STAGES, EndToEnd, EngineAlone
from edge3vt.core.clock import SystemClock
from edge3vt.core.frame import Frame, Pixels
from edge3vt.core.session import Logits
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.model import read_model

ASSET = Path(__file__).parents[2] / "edge3vt/assets/student-s384/student.onnx"


class Square:
    """An engine that finds a square of class 1, and counts its runs."""

    def __init__(self, fails: bool = False) -> None:
        self.spec: ModelSpec = read_model(ASSET).spec
        self.fails, self.runs, self.seen = fails, 0, 0

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        self.runs += 1
        self.seen = int(pixels[0, 0, 192, 192])
        if not self.fails:
            logits[:] = 0
            logits[0, 1, 30:60, 30:60] = 5

    def close(self) -> None:
        pass


def test_a_frame_comes_out_composed_and_every_stage_is_timed() -> None:
    session = Square()
    run = EndToEnd(session, SystemClock(), (240, 320))
    frame = Frame(0, 0, np.full((240, 320), 80, np.uint8))
    pictures = [run(frame).copy() for _ in range(3)]
    assert pictures[0].shape == (240, 320, 3)
    assert session.seen == 80
    drawn = pictures[0][60:110, 60:110].reshape(-1, 3)
    assert (drawn != 80).any()
    assert all(len(run.taken_ns[stage]) == 3 for stage in STAGES)
    assert all(ns > 0 for stage in STAGES for ns in run.taken_ns[stage])


def test_an_engine_that_writes_nothing_is_no_figure() -> None:
    with pytest.raises(RuntimeError, match="not finite"):
        EndToEnd(Square(fails=True), SystemClock(), (240, 320))(Frame(0, 0, np.zeros((240, 320), np.uint8)))


def test_the_engine_alone_sees_the_same_crop() -> None:
    session = Square()
    frame = Frame(0, 0, np.full((240, 320), 80, np.uint8))
    EngineAlone(session, frame)(frame)
    assert (session.runs, session.seen) == (1, 80)
