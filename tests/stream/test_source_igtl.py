"""Against pyigtl's own server, in a process of its own, and against sockets that do wrong."""

from __future__ import annotations

import importlib.util
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np
import pytest

from edge3vt.core.clock import SystemClock
from edge3vt.core.errors import BackendMissingError, ConfigError, DataError
from edge3vt.core.frame import Frame, Layout, Pixels, Region
from edge3vt.stream.barcode import read
from edge3vt.stream.sources import igtl
from edge3vt.stream.sources.igtl import IgtlSource, spacing_mm

CLOCK = SystemClock()
needs_pyigtl = pytest.mark.skipif(importlib.util.find_spec("pyigtl") is None, reason="the extra igtl is not here")

pytest.importorskip("pyigtl", reason="pyigtl is not installed")
SERVER = """
import sys, time
import numpy as np, pyigtl
from edge3vt.stream.barcode import draw
server = pyigtl.OpenIGTLinkServer(port=int(sys.argv[1]), local_server=True)
print("ready", flush=True)
matrix = np.diag([0.2, 0.2, 1.0, 1.0])
number = 0
while True:
    if not server.is_connected():
        time.sleep(0.01)
        continue
    luma = np.full((1, 240, 320), 60, np.uint8)
    draw(luma[0], number)
    colour = np.stack([luma[0], luma[0] // 2, luma[0]], axis=-1)[None]
    for name, image in (("Ultrasound", luma), ("Doppler", colour)):
        server.send_message(pyigtl.ImageMessage(image, device_name=name, ijk_to_world_matrix=matrix))
    server.send_message(pyigtl.TransformMessage(np.eye(4), device_name="Probe"))
    number += 1
    time.sleep(0.02)
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def server() -> Iterator[int]:
    """The port of pyigtl's server, which sends a grey and a colour device; it takes one client."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield port
    process.kill()
    process.communicate()


@needs_pyigtl
@pytest.mark.parametrize(("device", "layout"), [("Ultrasound", Layout.GRAY), ("Doppler", Layout.RGB)])
def test_images_of_the_real_server(server: int, device: str, layout: Layout) -> None:
    source = IgtlSource("127.0.0.1", server, CLOCK, device=device, region=Region(10, 20, 300, 200))
    assert (source.width, source.height, source.frames) == (320, 240, None)
    frames = list(islice(source, 30))
    codes = [read(f.pixels if layout is Layout.GRAY else f.pixels[..., 0]) or 0 for f in frames]
    assert codes == list(range(codes[0], codes[0] + 30))
    assert {(f.layout, f.full_range, f.region) for f in frames} == {(layout, True, Region(10, 20, 300, 200))}
    assert frames[0].mm_per_px == pytest.approx(0.2)
    assert source.tally.total == 0


def image(pixels: Pixels, device: str = "Image", matrix: object = None) -> bytes:
    from pyigtl import ImageMessage

    return bytes(ImageMessage(pixels, device_name=device, ijk_to_world_matrix=matrix).pack())


@contextmanager
def saying(*messages: bytes, hang_up: bool = False) -> Iterator[int]:
    """A port where a server says these and then nothing, or hangs up."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                for message in messages:
                    client.sendall(message)
                if not hang_up:
                    done.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listening.getsockname()[1])
        done.set()
        thread.join()


GREY = np.arange(48 * 64, dtype=np.uint16).reshape(1, 48, 64).astype(np.uint8)


@needs_pyigtl
def test_pictures_that_cannot_be_are_counted_and_a_new_size_is_an_epoch() -> None:
    short = image(GREY)
    short = short[:42] + struct.pack(">Q", len(short) - 58 - 10) + short[50:-10]  # ten bytes too few, and it says so
    messages = (image(GREY), short, image(GREY.astype(np.int16)), image(GREY.repeat(2, axis=0)), image(GREY[:, :, ::2]))
    with saying(*messages, hang_up=True) as port:
        source, frames = IgtlSource("127.0.0.1", port, CLOCK), list[Frame]()
        with pytest.raises(DataError, match="hung up"):
            frames.extend(source)
    assert [(f.width, f.epoch, f.index) for f in frames] == [(64, 0, 0), (32, 1, 1)]
    assert np.array_equal(frames[0].pixels, GREY[0])
    assert source.tally.total == 3
    assert any("int16 1x48x64" in reason for reason in source.tally.counts)


@needs_pyigtl
def test_where_the_sender_has_clipped_the_region_is_the_picture() -> None:
    with saying(image(GREY)) as port:
        (frame,) = islice(IgtlSource("127.0.0.1", port, CLOCK, region=Region(100, 100, 164, 148)), 1)
    assert frame.region is None
    with saying(image(GREY)) as port, pytest.raises(ConfigError, match="not inside the picture of 64x48 px"):
        IgtlSource("127.0.0.1", port, CLOCK, region=Region(100, 100, 165, 148))


@needs_pyigtl
def test_silence_refusal_and_other_protocols_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(igtl, "READ_S", 0.3)
    cases: list[tuple[tuple[bytes, ...], str]] = [
        ((), r"no image for 0.3 s"),
        ((image(GREY, "Other"),), r"no image of 'Mine' for 0.3 s"),
        ((b"HTTP/1.1 400 Bad Request\r\n" * 8,), "no OpenIGTLink"),
    ]
    for messages, said in cases:
        device = "Mine" if "Mine" in said else ""
        with saying(*messages) as port, pytest.raises(DataError, match=said):
            IgtlSource("127.0.0.1", port, CLOCK, device=device)
    with pytest.raises(DataError, match="nothing answers"):
        IgtlSource("127.0.0.1", free_port(), CLOCK)


def test_without_pyigtl_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyigtl", None)
    with pytest.raises(BackendMissingError, match=r"edge3vt\[igtl\]"):
        IgtlSource("127.0.0.1", 1, CLOCK)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [((0.2, 0.2), 0.2), ((0.2, 0.20001), 0.2), ((0.2, 0.25), None), ((1.0, 1.0), None), ((0.0, 0.0), None)],
)
def test_only_square_measured_pixels_have_a_size(sides: tuple[float, float], expected: float | None) -> None:
    turn: Callable[[float], np.ndarray] = lambda a: np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])  # noqa: E731
    matrix = np.eye(4)
    matrix[:2, :2] = turn(0.7) @ np.diag(sides)
    found = spacing_mm(matrix)
    assert found is None if expected is None else found == pytest.approx(expected, rel=1e-3)


@needs_pyigtl
def test_a_matrix_of_anything_is_no_scale_and_no_noise() -> None:
    for value in (np.nan, np.inf, 1e38, 0.0):
        assert spacing_mm(np.full((4, 4), value, np.float32)) is None
