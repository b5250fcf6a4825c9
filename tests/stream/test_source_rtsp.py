from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame, Layout, Region
from edge3vt.stream.barcode import draw, read
from edge3vt.stream.sources import rtsp
from edge3vt.stream.sources.remote import RemoteSource
from edge3vt.stream.sources.rtsp import RtspSource

CLOCK = SystemClock()


def test_what_does_not_answer_is_one_line_without_the_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        port = taken.getsockname()[1]
        with pytest.raises(DataError, match=re.escape(f"rtsp://127.0.0.1:{port}/x: cannot be opened (")) as refused:
            RtspSource(f"rtsp://me:secret@127.0.0.1:{port}/x", CLOCK)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtsp, "OPEN_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        before_ns = CLOCK.now_ns()
        with pytest.raises(DataError, match="cannot be opened"):
            RtspSource(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x", CLOCK)
        assert CLOCK.now_ns() - before_ns < 3 * NS_PER_S


def test_the_silent_server_is_what_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: without the limit the call is still there long after it."""
    monkeypatch.setattr(rtsp, "OPEN_S", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        before_ns = CLOCK.now_ns()
        with pytest.raises(DataError):
            RtspSource(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x", CLOCK)
        assert CLOCK.now_ns() - before_ns > NS_PER_S


PICTURES = 250


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A coded clip of 10 s, behind a real RTSP server in a process of its own; its URL, and the folder it serves."""
    pytest.importorskip("aio_rtsp_toolkit", reason="no RTSP server here; pip install aio-rtsp-toolkit")
    folder = tmp_path_factory.mktemp("served")
    with av.open(str(folder / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        stream.codec_context.gop_size = 10
        for number in range(PICTURES):
            planes = np.full((720, 640), 128, np.uint8)
            planes[:480] = 60
            draw(planes[:480], number)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = start(folder, port)
    yield f"rtsp://127.0.0.1:{port}/a.mp4", folder
    process.kill()
    process.wait()


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    script = f"import asyncio, aio_rtsp_toolkit.server as s; asyncio.run(s.serve({str(folder)!r}, '127.0.0.1', {port}))"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    )
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
            break
        except OSError:
            CLOCK.sleep_until_ns(CLOCK.now_ns() + NS_PER_S // 20)
    return process


@pytest.mark.slow
def test_a_real_server(served: tuple[str, Path]) -> None:
    source = RtspSource(served[0], CLOCK, region=Region(0, 0, 640, 400), mm_per_px=0.2)
    assert (source.width, source.height, source.rate_hz, source.frames) == (640, 480, 25, None)
    frames = [frame for frame, _ in zip(source, range(50), strict=False)]
    codes = [read(f.luma) or 0 for f in frames]
    assert codes == list(range(codes[0], codes[0] + 50))
    assert {(f.layout, f.full_range, f.mm_per_px) for f in frames} == {(Layout.NV12, False, 0.2)}
    assert np.median(np.diff([f.captured_ns for f in frames])) == pytest.approx(40e6, rel=0.1)
    source.close()
    assert list(source) == []


@pytest.mark.slow
def test_a_region_outside_and_a_name_that_is_not_there(served: tuple[str, Path]) -> None:
    with pytest.raises(ConfigError, match="not inside the picture of 640x480 px"):
        RtspSource(served[0], CLOCK, region=Region(0, 0, 641, 400))
    with pytest.raises(DataError, match="cannot be opened"):
        RtspSource(served[0].replace("a.mp4", "b.mp4"), CLOCK)


@pytest.mark.slow
def test_a_stream_that_ends_is_opened_again(served: tuple[str, Path]) -> None:
    """Served once each time, so that it ends: the pictures go on in a new epoch."""
    with RemoteSource(partial(RtspSource, served[0], CLOCK)) as source:
        last: Frame | None = None
        for frame in source:
            if frame.epoch:
                break
            last = frame
        assert last is not None
        assert read(last.luma) == PICTURES - 1
        assert frame.index > last.index
        assert (source.reopened, source.corrupt) == (1, {})
