"""URIs of sources: what they open, and what they refuse in one line."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from edge3vt.cli.uris import SOURCE_SCHEMES, open_source
from edge3vt.core.clock import ManualClock, SystemClock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Layout, Region
from edge3vt.stream.barcode import read
from edge3vt.stream.sources.remote import RemoteSource
from edge3vt.stream.sources.replay import ReplaySource

PLUS = '<P><DataSource ClipRectangleOrigin="10 20" ClipRectangleSize="300 200"/></P>'


def refused(uri: str) -> str:
    with pytest.raises((ConfigError, DataError)) as refusal:
        open_source(uri, SystemClock(), paced=True)
    assert refusal.value.exit_code == 2
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_scripted_source_in_a_process_with_all_its_settings(tmp_path: Path) -> None:
    plus, plug = tmp_path / "plus.xml", tmp_path / "device"
    plus.write_text(PLUS)
    plug.touch()
    uri = (
        "test://bars?rate=50&width=640&height=480&layout=nv12&range=limited&seconds=2&code=ms"
        f"&present={plug}&faults=gap@0.5-0.6&plus={plus}&mm_per_px=0.25"
    )
    source = open_source(uri, SystemClock(), paced=True)
    assert isinstance(source, RemoteSource)
    with source:
        assert (source.width, source.height, source.rate_hz, source.frames) == (640, 480, 50, 100)
        (frame,) = islice(source, 1)
    assert (frame.layout, frame.full_range, frame.mm_per_px) == (Layout.NV12, False, 0.25)
    assert frame.region == Region(10, 20, 310, 220)
    assert read(frame.luma) == frame.captured_ns // 1_000_000 % 2**32


def test_a_replay_in_a_loop() -> None:
    path = str(get_testdata_file("examples_ybr_color.dcm", download=False))
    source = open_source(f"replay://{path}?loops=2", ManualClock(), paced=False)
    assert isinstance(source, ReplaySource)
    assert source.frames == 60
    assert open_source(f"replay://{path}?loops=0", ManualClock(), paced=True).frames is None


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("gopher://x", "known: dicom, file, folder, igtl, phantom, replay, rtsp, test, v4l2"),
        ("rstp://x", "did you mean 'rtsp'?"),
        ("test://speckle?rat=3", "did you mean 'rate'?"),
        ("test://speckle?rate=fast", "rate is 'fast', expected a positive number of Hz"),
        ("test://speckle?layout=rgba", "layout is 'rgba', expected one of gray, rgb, bgr, yuyv, nv12"),
        ("test://speckle?faults=boom@1", "no fault is written 'boom@1'"),
        ("test://plaid", "known: speckle, bars, flat"),
        ("test://speckle?region=0,0,2000,10", "is not inside the picture of 1024x768 px"),
        ("test://speckle?region=1,2,3", "region is '1,2,3', expected x0,y0,x1,y1"),
        ("test://speckle?plus=/nowhere.xml", "check the path"),
        ("v4l2://no-such-card", "no such device; plug it in"),
        ("v4l2://no-such-card?format=H264", "format is 'H264', expected one of NV12, YUYV"),
        ("v4l2://no-such-card?width=-1", "width is '-1', expected pixels"),
        ("igtl://127.0.0.1:port", "expected HOST:PORT"),
        ("igtl://127.0.0.1?devcie=x", "did you mean 'device'?"),
        ("rtsp://me:secret@127.0.0.1:9/x#transport=smoke", "transport is 'smoke', expected one of tcp, udp"),
        ("replay://none.mp4", "check the path"),
        ("replay://none.mp4?loops=many", "loops is 'many', expected a whole number"),
    ],
)
def test_what_is_refused(uri: str, said: str) -> None:
    line = refused(uri)
    assert said in line
    assert "secret" not in line


def test_a_live_source_is_not_offline() -> None:
    for scheme in ("v4l2", "rtsp", "igtl", "test"):
        assert scheme in SOURCE_SCHEMES
        with pytest.raises(ConfigError, match="a live source has no --offline"):
            open_source(f"{scheme}://x", SystemClock(), paced=False)
