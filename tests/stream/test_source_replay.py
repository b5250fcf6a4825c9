from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from edge3vt.core.clock import ManualClock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame, Layout, Region
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.stream.sinks.fragments import side_of
from edge3vt.stream.sinks.video import VideoSink
from edge3vt.stream.sources.replay import ReplaySource

TIMES_NS = [7_000_000_001 + 20_000_000 * i + 123_457 * (i % 5) for i in range(12)]
REGION = Region(8, 4, 90, 60)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Twelve pictures as the recorder writes them; the last four of another epoch."""
    path = tmp_path / "a.mp4"
    with VideoSink(path, overwrite=False, block=True) as sink:
        for index, at in enumerate(TIMES_NS):
            pixels = np.full((64, 96, 3), 20 * index, np.uint8)
            frame = Frame(index, at, pixels, Layout.RGB, epoch=3 + index // 8, region=REGION, mm_per_px=0.25)
            sink(Segmentation(frame, None, None, None, Verdict.ON_TIME, "", False, State.LIVE, (), False, "", "m"))
    return path


def test_a_recording_comes_back_at_its_exact_times_with_what_was_known(recording: Path) -> None:
    source = ReplaySource(recording, ManualClock(), paced=True)
    frames = list(source)
    assert source.frames == 12
    assert [f.captured_ns for f in frames] == [at - TIMES_NS[0] for at in TIMES_NS]
    assert [f.epoch for f in frames] == [0] * 8 + [1] * 4
    assert {(f.region, f.mm_per_px) for f in frames} == {(REGION, 0.25)}
    assert "hold the overlay" in source.notes[-1]


def test_without_its_side_file_the_times_are_the_videos(recording: Path) -> None:
    side_of(recording).unlink()
    frames = list(ReplaySource(recording, ManualClock(), paced=True))
    assert [f.captured_ns for f in frames] == pytest.approx([at - TIMES_NS[0] for at in TIMES_NS], abs=12_000)
    assert [f.captured_ns for f in frames] != [at - TIMES_NS[0] for at in TIMES_NS]
    assert {(f.region, f.epoch) for f in frames} == {(None, 0)}


@pytest.mark.parametrize(("loops", "expected"), [(3, 36), (0, 100)])
def test_it_begins_again_at_its_rate_in_new_epochs(recording: Path, loops: int, expected: int) -> None:
    source = ReplaySource(recording, ManualClock(), paced=True, loops=loops)
    frames = list(islice(source, 100))
    assert source.frames == (36 if loops else None)
    assert len(frames) == expected
    assert [f.epoch for f in frames[:36]] == [e for loop in range(3) for e in [2 * loop] * 8 + [2 * loop + 1] * 4]
    steps = np.diff([f.captured_ns for f in frames])
    assert steps.min() > 0
    assert steps[11] == pytest.approx(20_000_000, abs=200_000)
    assert steps[12] == TIMES_NS[1] - TIMES_NS[0]


def test_a_dicom_clip_in_a_loop() -> None:
    path = Path(str(get_testdata_file("examples_ybr_color.dcm", download=False)))
    frames = list(ReplaySource(path, ManualClock(), paced=False, loops=2))
    assert [f.epoch for f in frames] == [0] * 30 + [1] * 30
    assert np.array_equal(frames[0].pixels, frames[30].pixels)


def test_a_picture_of_another_size_has_no_region(recording: Path) -> None:
    side = side_of(recording)
    side.write_text(side.read_text().replace('"width": 96', '"width": 192'))
    assert {f.region for f in ReplaySource(recording, ManualClock(), paced=False)} == {None}


def test_lines_that_stand_still_do_not_stop_the_time(recording: Path) -> None:
    side = side_of(recording)
    lines = [json.loads(line) for line in side.read_text().splitlines()]
    lines[4]["captured_ns"] = lines[3]["captured_ns"] - 5
    side.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert np.diff([f.captured_ns for f in ReplaySource(recording, ManualClock(), paced=False)]).min() > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "does not begin|tells of no picture"),
        (lambda text: text.replace('"schema": 1', '"schema": 9'), "does not begin"),
        (lambda text: "\n".join(text.splitlines()[:6]), "tells of 5 pictures, the video holds 12"),
        (lambda text: text.replace('"epoch": 4', '"epoch": "four"'), "line 10 tells of no picture"),
        (lambda text: text.replace('"mm_per_px": 0.25', '"mm_per_px": -1'), "line 2 tells of no picture"),
        (lambda text: text.replace('"region": [8, ', '"region": ['), "line 2 tells of no picture"),
        (lambda text: text[:-40], "line 13 tells of no picture"),
    ],
)
def test_a_side_file_that_does_not_fit_is_one_line(recording: Path, change: object, said: str) -> None:
    side = side_of(recording)
    side.write_text(change(side.read_text()))  # type: ignore[operator]
    with pytest.raises(DataError, match=said) as refused:
        ReplaySource(recording, ManualClock(), paced=True)
    assert "\n" not in str(refused.value)


def test_more_lines_than_pictures_are_a_recording_that_was_cut(recording: Path) -> None:
    side = side_of(recording)
    side.write_text(side.read_text() + side.read_text().splitlines()[-1] + "\n")
    assert len(list(ReplaySource(recording, ManualClock(), paced=False))) == 12


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="check the path"):
        ReplaySource(tmp_path / "none.mp4", ManualClock(), paced=True)
    with pytest.raises(ConfigError, match="-1 loops"):
        ReplaySource(tmp_path / "none.mp4", ManualClock(), paced=True, loops=-1)
