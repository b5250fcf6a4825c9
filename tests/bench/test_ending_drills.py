"""The drills of the end, with little programs in the place of ``edge3vt run`` that end well or badly."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge3vt.bench import ending_drills
from edge3vt.bench.ending_drills import command, killed, terminated
from tests.bench.test_engine_drills import named

RECORDER = """
import os, signal, sys, time
import numpy as np
from pathlib import Path
from edge3vt.core.clock import SystemClock
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.stream.sinks.video import VideoSink
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
noise = np.random.default_rng(0).integers(0, 255, (8, 96, 128), np.uint8)
path, manner = Path(sys.argv[1]), sys.argv[2]
if __name__ == "__main__":
    sink, n, clock = VideoSink(path, overwrite=False), 0, SystemClock()
    while not told or manner == "deaf":
        frame = Frame(n, clock.now_ns(), noise[n % 8])
        sink(Segmentation(frame, None, None, None, Verdict.SKIPPED, "", False, State.LIVE, (), False, "", "x"))
        n += 1
        time.sleep(1 / 60)
    if manner == "careless":
        os._exit(0)
    sink.close()
"""


@pytest.fixture(autouse=True)
def sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending_drills, "LATEST_S", 1.6)


@pytest.fixture
def recorder(tmp_path: Path) -> list[str]:
    path = tmp_path / "recorder.py"
    path.write_text(RECORDER, encoding="utf-8")
    return [sys.executable, str(path), "OUT"]


def test_one_that_ends_well_passes(tmp_path: Path, recorder: list[str]) -> None:
    found = terminated(tmp_path, 1, [*recorder, "well"])
    assert [f.verdict for f in found if f.unit != "s"] == ["pass", "pass"]
    assert named(found, "longest way out").figure < 10  # type: ignore[operator]


def test_one_that_does_not_hear_and_one_that_leaves_its_recording_are_caught(
    tmp_path: Path, recorder: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending_drills, "EXIT_S", 0.5)
    assert {f.verdict for f in terminated(tmp_path, 1, [*recorder, "deaf"])} == {"FAIL"}
    careless = terminated(tmp_path, 1, [*recorder, "careless"])
    assert named(careless, "recordings that play").verdict == "FAIL"


def test_one_that_never_records_is_caught(tmp_path: Path) -> None:
    found = terminated(tmp_path, 1, [sys.executable, "-c", "pass"])
    assert [f.verdict for f in found[:2]] == ["FAIL", "FAIL"]


def test_what_a_kill_leaves_plays(tmp_path: Path, recorder: list[str]) -> None:
    assert [f.verdict for f in killed(tmp_path, 1, [*recorder, "well"])] == ["pass", "pass", "pass"]


def test_the_command_is_the_verb_of_the_command_line(tmp_path: Path) -> None:
    words = command(tmp_path / "a.mp4", tmp_path / "engine")
    assert words[3] == "run"
    assert words[-2:] == ["--engine", str(tmp_path / "engine")]
