from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame, Layout, Pixels
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.core.spec import ModelSpec
from edge3vt.stream.sinks.encoder import EncoderProcess, Recording
from edge3vt.stream.sinks.fragments import recording_name, side_of
from edge3vt.stream.sinks.video import DEPTH, VideoSink

LONG_S = 10


def seg(index: int, captured_ns: int, size: tuple[int, int] = (96, 64)) -> Segmentation:
    picture = np.full((size[1], size[0], 3), (60, 3 * index % 256, 200), np.uint8)
    picture[index % size[1]] = 255
    frame = Frame(index, captured_ns, picture, Layout.RGB)
    return Segmentation(frame, None, None, None, Verdict.ON_TIME, "", False, State.LIVE, (), False, "", "model")


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


def read(path: Path) -> tuple[list[int], list[Pixels]]:
    """Times in microseconds, and RGB pictures."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [round(f.time * 1e6) for f in frames], [f.to_ndarray(format="rgb24") for f in frames]


def test_frames_and_times_come_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.mp4"
    times_ns = [5_000_000_000 + 16_666_667 * i + (i % 3) * 2_000_000 for i in range(40)]
    with VideoSink(path, overwrite=False, block=True) as sink:
        for index, at in enumerate(times_ns):
            sink(seg(index, at))
        assert not path.exists()
    times_us, pictures = read(path)
    assert times_us == pytest.approx([(at - times_ns[0]) / 1000 for at in times_ns], abs=12)
    assert (sink.written, sink.dropped) == (40, 0)
    assert names(path.parent) == ["a.jsonl", "a.mp4"]
    assert np.abs(pictures[20][5].astype(int) - (60, 60, 200)).max() <= 6


def test_it_is_what_browsers_play(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with VideoSink(path, overwrite=False, block=True) as sink:
        for index in range(5):
            sink(seg(index, index * 40_000_000))
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (int(context.colorspace), int(context.color_range)) == (6, 1)


@pytest.mark.parametrize(("size", "padded"), [((97, 64), (98, 64)), ((96, 65), (96, 66)), ((97, 65), (98, 66))])
def test_odd_sizes_are_padded(tmp_path: Path, size: tuple[int, int], padded: tuple[int, int]) -> None:
    with VideoSink(tmp_path / "a.mp4", overwrite=False, block=True) as sink:
        for index in range(3):
            sink(seg(index, index * 40_000_000, size))
    _, pictures = read(tmp_path / "a.mp4")
    assert pictures[0].shape == (padded[1], padded[0], 3)
    assert np.abs(pictures[0][-1, -1].astype(int) - pictures[0][-3, -3]).max() <= 8


def test_times_that_stand_still_are_pulled_apart(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "a.mp4", overwrite=False, block=True) as sink:
        for index, at in enumerate([0, 0, 1, 0, 50_000_000]):
            sink(seg(index, at))
    times_us, _ = read(tmp_path / "a.mp4")
    assert len(times_us) == 5
    assert times_us == sorted(set(times_us))


class Held(Recording):
    """An encoder that waits to be let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, seg: Segmentation, spec: ModelSpec | None) -> None:
        self.begun.set()
        assert self.go.wait(LONG_S)
        super().__call__(seg, spec)


def test_a_slow_encoder_drops_and_counts(tmp_path: Path) -> None:
    made: list[Held] = []
    sink = VideoSink(tmp_path / "a.mp4", overwrite=False, encoder=lambda path: made.append(Held(path)) or made[0])
    sink(seg(0, 0))
    assert made[0].begun.wait(LONG_S)
    for index in range(1, DEPTH + 8):
        sink(seg(index, index * 10_000_000))
    made[0].go.set()
    sink.close()
    assert (sink.written, sink.dropped) == (DEPTH + 1, 7)
    assert len(read(tmp_path / "a.mp4")[0]) == DEPTH + 1


def test_a_stream_without_pictures_leaves_no_file(tmp_path: Path) -> None:
    VideoSink(tmp_path / "a.mp4", overwrite=False).close()
    assert names(tmp_path) == []


def test_an_existing_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="--overwrite"):
        VideoSink(path, overwrite=False)
    assert path.read_text() == "precious"


def test_an_existing_file_is_replaced_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("old")
    with VideoSink(path, overwrite=True, block=True) as sink:
        sink(seg(0, 0))
        assert path.read_text() == "old"
    assert len(read(path)[0]) == 1


def test_an_unwritable_place_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written") as refused:
        VideoSink(tmp_path / "file" / "a.mp4", overwrite=False)
    assert "\n" not in str(refused.value)


class Full(Recording):
    """A disk that is full after three pictures."""

    count = 0

    def __call__(self, seg: Segmentation, spec: ModelSpec | None) -> None:
        self.count += 1
        if self.count > 3:
            raise OSError(28, "No space left on device")
        super().__call__(seg, spec)


def test_a_full_disk_is_told_and_what_was_recorded_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("old")
    sink = VideoSink(path, overwrite=True, block=True, encoder=Full)
    for index in range(10):
        assert sink.notice == ("REC STOPPED: DISK" if sink.dropped else "")
        sink(seg(index, index * 40_000_000))
    with pytest.raises(DataError, match=r"failed after 3 pictures \(No space .* is in a\.partial-1\.mp4"):
        sink.close()
    assert (sink.written, sink.dropped, sink.notice) == (3, 7, "REC STOPPED: DISK")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.mp4", "a.partial-1.jsonl", "a.partial-1.mp4"]
    assert len(read(tmp_path / "a.partial-1.mp4")[0]) == 3


def test_an_error_of_the_run_keeps_what_was_recorded_under_another_name(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a.mp4", overwrite=False, block=True)
    with pytest.raises(DataError, match="the source broke"), sink:  # noqa: PT012
        sink(seg(0, 0))
        sink(seg(1, 40_000_000))
        while sink.written < 2:
            pass
        raise DataError("the source broke")
    assert names(tmp_path) == ["a.partial-1.jsonl", "a.partial-1.mp4"]
    assert len(read(tmp_path / "a.partial-1.mp4")[0]) == 2


def test_a_run_that_broke_before_its_first_picture_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no engine"), VideoSink(tmp_path / "a.mp4", overwrite=False):
        raise DataError("no engine")
    assert names(tmp_path) == []


def test_what_another_process_left_is_named_and_kept(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "b.mp4", overwrite=False, block=True) as sink:
        for index in range(3):
            sink(seg(index, index * 40_000_000))
    left = tmp_path / "a.99.recording.mp4"
    (tmp_path / "b.mp4").rename(left)
    side_of(tmp_path / "b.mp4").rename(side_of(left))
    with left.open("ab") as file:
        file.write(b"half a fragment")
    (tmp_path / "a.98.recording.mp4").write_bytes(b"no picture")
    (tmp_path / "a.partial-1.mp4").write_text("precious")
    with VideoSink(tmp_path / "a.mp4", overwrite=False) as sink:
        assert sink.salvaged == [tmp_path / "a.partial-2.mp4"]
    assert names(tmp_path) == ["a.partial-1.mp4", "a.partial-2.jsonl", "a.partial-2.mp4"]
    assert len(read(tmp_path / "a.partial-2.mp4")[0]) == 3


def test_a_recording_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    running = EncoderProcess(tmp_path / "a.99.recording.mp4", reserve_bytes=0)
    running(seg(0, 0), None)
    VideoSink(tmp_path / "a.mp4", overwrite=False).close()
    assert "a.99.recording.mp4" in names(tmp_path)
    running.finish()


def test_a_stuck_encoder_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge3vt.stream.sinks.video.CLOSE_S", 0.2)
    made: list[EncoderProcess] = []
    sink = VideoSink(
        tmp_path / "a.mp4", overwrite=False, encoder=lambda path: made.append(EncoderProcess(path)) or made[0]
    )
    assert made[0]._process.pid is not None
    os.kill(made[0]._process.pid, signal.SIGSTOP)
    for index in range(60):
        sink(seg(index, index * 16_000_000, (640, 480)))
    assert sink.dropped > 30
    with pytest.raises(DataError, match="failed after"):
        sink.close()
    assert not recording_name(tmp_path / "a.mp4").exists()


def test_an_interrupt_keeps_what_was_recorded(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a.mp4", overwrite=False)
    sink(seg(0, 0))
    with pytest.raises(KeyboardInterrupt), sink:
        raise KeyboardInterrupt
    assert len(read(tmp_path / "a.mp4")[0]) == 1
