"""The encoder's process: what it writes, what it says when it fails, and that it outlives an interrupt."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import DataError
from edge3vt.stream.sinks.encoder import EncoderProcess


def picture(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def test_it_writes_each_picture_at_its_time(tmp_path: Path) -> None:
    encoder = EncoderProcess(tmp_path / "a.mp4")
    for index in range(20):
        encoder(picture(10 * index), index * NS_PER_S // 40)
    encoder.finish()
    with av.open(str(tmp_path / "a.mp4")) as video:
        frames = [(frame.time, frame.to_ndarray(format="gray").mean()) for frame in video.decode(video=0)]
    assert [round(time * 40) for time, _ in frames] == list(range(20))
    assert [level for _, level in frames] == pytest.approx([10 * i for i in range(20)], abs=4)


def test_a_place_that_cannot_be_written_is_an_os_error_with_its_reason(tmp_path: Path) -> None:
    encoder = EncoderProcess(tmp_path / "nowhere" / "a.mp4")
    with pytest.raises(OSError, match="No such file"):  # noqa: PT012 - whichever call hears of it first
        encoder(picture(1), 0)
        encoder.finish()


def test_a_refusal_comes_back_as_itself(tmp_path: Path) -> None:
    encoder = EncoderProcess(tmp_path / "a.mp4")
    encoder(picture(1), 0)
    with pytest.raises(DataError, match="changed from"):  # noqa: PT012 - whichever call hears of it first
        encoder(picture(1, width=80), 1)
        encoder.finish()


def test_a_process_that_was_killed_is_an_error_not_a_hang(tmp_path: Path) -> None:
    encoder = EncoderProcess(tmp_path / "a.mp4")
    encoder._process.kill()
    encoder._process.join()
    with pytest.raises(OSError, match="process ended"):
        encoder(picture(1), 0)
    with pytest.raises(OSError, match="process ended"):
        encoder.finish()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal to send there")
def test_the_keyboards_interrupt_does_not_end_a_recording(tmp_path: Path) -> None:
    encoder = EncoderProcess(tmp_path / "a.mp4")
    assert encoder._process.pid is not None
    os.kill(encoder._process.pid, signal.SIGINT)
    encoder(picture(1), 0)
    encoder.finish()
    with av.open(str(tmp_path / "a.mp4")) as video:
        assert len(list(video.decode(video=0))) == 1
