from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edge3vt.core.clock import ManualClock
from edge3vt.core.errors import DataError
from edge3vt.stream.sources.video import VideoSource


def test_frames_come_at_their_presentation_times(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "gray"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for pts in (0, 40, 100):
            frame = av.VideoFrame.from_ndarray(np.full((24, 32), pts, np.uint8), format="gray")
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clock = ManualClock()
    source = VideoSource(path, clock, paced=True)
    assert [(f.captured_ns // 1_000_000, int(f.luma[0, 0])) for f in source] == [(0, 0), (40, 40), (100, 100)]
    assert (source.width, source.height, source.frames, source.name) == (32, 24, 3, "a.mkv")


def test_a_bad_file_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("not a video")
    with pytest.raises(DataError, match="no readable video"):
        VideoSource(path, ManualClock(), paced=True)
