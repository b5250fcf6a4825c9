from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame, Pixels
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.stream.sinks.encoder import H264
from edge3vt.stream.sinks.video import DEPTH, VideoSink

LONG_S = 10


def seg(index: int, captured_ns: int, size: tuple[int, int] = (96, 64)) -> Segmentation:
    picture = np.full((size[1], size[0], 3), (60, 3 * index % 256, 200), np.uint8)
    picture[index % size[1]] = 255
    frame = Frame(index, captured_ns, picture[..., 0])
    return Segmentation(
        frame, None, None, None, Verdict.ON_TIME, "", False, State.LIVE, (), False, "", "model", picture=picture
    )


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
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]
    assert np.abs(pictures[20][40].astype(int) - (60, 60, 200)).max() <= 6


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
    assert np.abs(pictures[0][-1, -1].astype(int) - (60, 0, 200)).max() <= 8


def test_times_that_stand_still_are_pulled_apart(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "a.mp4", overwrite=False, block=True) as sink:
        for index, at in enumerate([0, 0, 1, 0, 50_000_000]):
            sink(seg(index, at))
    times_us, _ = read(tmp_path / "a.mp4")
    assert len(times_us) == 5
    assert times_us == sorted(set(times_us))


class Held(H264):
    """An encoder that waits to be let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, picture: Pixels, captured_ns: int) -> None:
        self.begun.set()
        assert self.go.wait(LONG_S)
        super().__call__(picture, captured_ns)


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


def test_a_frame_without_a_picture_is_not_recorded(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "a.mp4", overwrite=False) as sink:
        sink(replace(seg(0, 0), picture=None))
    assert sink.written == 0
    assert list(tmp_path.iterdir()) == []


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


class Full(H264):
    """A disk that is full after three pictures."""

    count = 0

    def __call__(self, picture: Pixels, captured_ns: int) -> None:
        self.count += 1
        if self.count > 3:
            raise OSError(28, "No space left on device")
        super().__call__(picture, captured_ns)


def test_an_encoder_error_surfaces_at_close_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("old")
    sink = VideoSink(path, overwrite=True, block=True, encoder=Full)
    for index in range(10):
        sink(seg(index, index * 40_000_000))
    with pytest.raises(DataError, match=r"a\.mp4: the recording failed \(No space left on device\)"):
        sink.close()
    assert (sink.written, sink.dropped) == (3, 7)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_change_of_size_is_an_error(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a.mp4", overwrite=False, block=True)
    sink(seg(0, 0))
    sink(seg(1, 40_000_000, (64, 64)))
    with pytest.raises(DataError, match="each size"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_run_leaves_nothing(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a.mp4", overwrite=False)
    sink(seg(0, 0))
    with pytest.raises(DataError, match="the source broke"), sink:
        raise DataError("the source broke")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_keeps_what_was_recorded(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a.mp4", overwrite=False)
    sink(seg(0, 0))
    with pytest.raises(KeyboardInterrupt), sink:
        raise KeyboardInterrupt
    assert len(read(tmp_path / "a.mp4")[0]) == 1
