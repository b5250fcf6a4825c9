"""The encoder's process: what it writes, what it says when it fails, and that it outlives an interrupt."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import NS_PER_S
from edge3vt.core.frame import Crop, Frame, Region
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.draw import Composer
from edge3vt.stream.sinks.encoder import H264, EncoderProcess, Recording
from edge3vt.stream.sinks.fragments import side_of

SPEC = ModelSpec(1, "student", "1", CLASS_NAMES, 96, 96, 4, True, True, "trained on synthetic images")


def picture(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def seg(level: int, captured_ns: int, width: int = 64, height: int = 48, region: Region | None = None) -> Segmentation:
    frame = Frame(level, captured_ns, picture(level, width, height)[..., 0], region=region)
    return Segmentation(frame, None, None, None, Verdict.ON_TIME, "", False, State.LIVE, (), False, "", "student-1")


def room(path: Path) -> EncoderProcess:
    return EncoderProcess(path, reserve_bytes=0)


def test_each_picture_comes_back_at_its_time(tmp_path: Path) -> None:
    video = H264(tmp_path / "a.mp4", "")
    for index in range(20):
        video(picture(10 * index), index * NS_PER_S // 40)
    video.finish()
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = [(frame.time, frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
    assert [round(time * 40) for time, _ in frames] == list(range(20))
    assert [level for _, level in frames] == pytest.approx([10 * i for i in range(20)], abs=4)


@pytest.mark.parametrize("rate_hz", [10, 30, 60])
def test_no_fragment_is_longer_than_a_second(tmp_path: Path, rate_hz: int) -> None:
    video = H264(tmp_path / "a.mp4", "")
    begun = [index / rate_hz for index in range(4 * rate_hz) if video(picture(9), index * NS_PER_S // rate_hz)]
    video.finish()
    assert np.diff([*begun, 4]).max() <= 1 + 1e-9
    with av.open(str(tmp_path / "a.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [float(p.pts * p.time_base) for p in packets if p.is_keyframe] == pytest.approx(begun, abs=1e-3)
    assert (tmp_path / "a.mp4").read_bytes().count(b"moof") == len(begun)


def test_another_size_is_fitted_into_the_first(tmp_path: Path) -> None:
    video = H264(tmp_path / "a.mp4", "")
    video(picture(200), 0)
    video(picture(200, 96, 24), NS_PER_S)
    video.finish()
    with av.open(str(tmp_path / "a.mp4")) as container:
        wide = list(container.decode(video=0))[1].to_ndarray(format="gray")
    assert wide.shape == (48, 64)
    assert wide[24].mean() == pytest.approx(200, abs=4)
    assert max(wide[:12].mean(), wide[-12:].mean()) < 8


def test_outside_the_region_it_is_black_and_says_what_it_is(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.mp4", reserve_bytes=0)
    shown = replace(
        seg(150, 10**9, 640, 480, Region(200, 60, 600, 400)),
        mask=np.pad(np.ones((20, 20), np.uint8), 38),
        mask_ns=10**9 - 16_000_000,
        crop=Crop(200, 30, 400, 96),
        shown=True,
    )
    for index in range(3):
        recording(replace(shown, frame=replace(shown.frame, index=index)), SPEC)
    recording.finish()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.metadata["comment"] == "not for diagnosis; student-1"
        kept = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert kept[100:400, 100:195].max() < 20  # beside region, legend and band
    assert abs(kept[380, 220].mean() - 150) < 6
    composed = Composer(SPEC)(shown).astype(int)
    assert np.abs(kept[-30:] - composed[-30:]).mean() < 12  # the band
    assert np.abs(kept[60:400, 200:600] - composed[60:400, 200:600]).mean() < 6
    head, *lines = [json.loads(line) for line in side_of(tmp_path / "a.mp4").read_text().splitlines()]
    assert (head["schema"], head["statement"]) == (1, "not for diagnosis")
    assert [line["picture"] for line in lines] == [0, 1, 2]
    first = lines[0]
    assert (first["captured_ns"], first["mask_age_ms"], first["verdict"], first["model_id"]) == (
        10**9,
        16.0,
        "on_time",
        "student-1",
    )
    assert first["region"] == [200, 60, 600, 400]


def test_a_place_that_cannot_be_written_is_an_os_error_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        room(tmp_path / "nowhere" / "a.mp4")


def test_less_than_the_reserve_is_no_room(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="are free"):
        EncoderProcess(tmp_path / "a.mp4", reserve_bytes=1 << 60)


def test_a_disk_that_fills_ends_the_recording_whole(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.mp4", reserve_bytes=0)
    recording(seg(1, 0), SPEC)
    recording._reserve = 1 << 60
    recording(seg(2, NS_PER_S // 2), SPEC)  # looked at once a fragment
    with pytest.raises(OSError, match="are free"):
        recording(seg(3, NS_PER_S), SPEC)
    recording.finish()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert len(list(container.decode(video=0))) == 3


def test_a_process_that_was_killed_is_an_error_not_a_hang(tmp_path: Path) -> None:
    encoder = room(tmp_path / "a.mp4")
    encoder.kill()
    encoder._process.join()
    with pytest.raises(OSError, match="process ended"):
        encoder(seg(1, 0), None)
    with pytest.raises(OSError, match="process ended"):
        encoder.finish()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal to send there")
def test_the_keyboards_interrupt_does_not_end_a_recording(tmp_path: Path) -> None:
    encoder = room(tmp_path / "a.mp4")
    assert encoder._process.pid is not None
    os.kill(encoder._process.pid, signal.SIGINT)
    encoder(seg(1, 0), None)
    encoder.finish()
    with av.open(str(tmp_path / "a.mp4")) as video:
        assert len(list(video.decode(video=0))) == 1


def test_it_finishes_when_whoever_asked_is_gone(tmp_path: Path) -> None:
    encoder = room(tmp_path / "a.mp4")
    for index in range(5):
        encoder(seg(index, index * NS_PER_S // 60), None)
    encoder._pictures.close()
    encoder._process.join(10)
    assert encoder._process.exitcode == 0
    with av.open(str(tmp_path / "a.mp4")) as video:
        assert len(list(video.decode(video=0))) == 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to("/dev/full")
    encoder = room(tmp_path / "a.mp4")
    with pytest.raises(OSError, match="No space"):  # noqa: PT012 - whichever call hears of it first
        for index in range(3):
            encoder(seg(index, index * NS_PER_S), None)
        encoder.finish()
    encoder._process.join(10)
