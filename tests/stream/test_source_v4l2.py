"""The real linuxpy against a kernel that is played: its ioctls and buffers, on a machine without a card."""

from __future__ import annotations

import dataclasses
import errno
import mmap
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edge3vt.core.clock import ManualClock
from edge3vt.core.errors import BackendMissingError, ConfigError, DataError
from edge3vt.core.frame import Layout, Pixels, Region
from edge3vt.core.lock import Claim
from edge3vt.picture.colour import to_rgb
from edge3vt.stream.sources import v4l2
from edge3vt.stream.sources.opencv import OpenCvSource
from edge3vt.stream.sources.raw import CorruptError
from edge3vt.stream.sources.v4l2 import (
    BUFFERS,
    Capture,
    V4l2Source,
    decoded_jpeg,
    device_path,
    full_range,
    jpeg_decoder,
    open_capture,
)

MONOTONIC, BAD = 0x2000, 0x40
WIDTH, HEIGHT = 64, 48


def fourcc(text: str) -> int:
    return int.from_bytes(text.encode(), "little")


@dataclass
class Kernel:
    """Answers ioctls as a driver would. pictures: (data, flags, time in ns) of each buffer to come."""

    formats: tuple[str, ...] = ("YUYV", "GREY")
    width: int = WIDTH
    height: int = HEIGHT
    field: int = 1
    colorspace: int = 1
    quantization: int = 0
    padding: int = 0
    rate: tuple[int, int] = (60, 1)
    pictures: list[tuple[bytes, int, int]] = dataclasses.field(default_factory=list)
    chosen: str = ""
    asked: list[str] = dataclasses.field(default_factory=list)
    maps: list[mmap.mmap] = dataclasses.field(default_factory=list)
    queued: list[int] = dataclasses.field(default_factory=list)
    fifo: int = -1

    def __call__(self, fd: Any, request: Any, *arguments: Any) -> Any:
        what = arguments[0] if arguments else None
        self.asked.append(request.name)
        answer: Callable[[Any], None] | None = getattr(self, request.name.lower(), None)
        if answer is None:
            raise OSError(errno.EINVAL, "Invalid argument")
        answer(what)
        return what

    def querycap(self, what: Any) -> None:
        what.card = b"A card"
        what.device_caps = what.capabilities = 0x1 | 0x04000000

    def enum_fmt(self, what: Any) -> None:
        if what.index >= len(self.formats):
            raise OSError(errno.EINVAL, "")
        what.pixelformat = fourcc(self.formats[what.index])

    def g_fmt(self, what: Any) -> None:
        pix, per_px = what.fmt.pix, {"YUYV": 2, "BGR3": 3, "RGB3": 3}.get(self.chosen or self.formats[0], 1)
        pix.width, pix.height, pix.pixelformat = self.width, self.height, fourcc(self.chosen or self.formats[0])
        pix.bytesperline, pix.sizeimage = self.width * per_px + self.padding, 4 * self.width * self.height
        pix.field, pix.colorspace, pix.quantization = self.field, self.colorspace, self.quantization

    def s_fmt(self, what: Any) -> None:
        self.chosen = what.fmt.pix.pixelformat.to_bytes(4, "little").decode()
        self.g_fmt(what)

    def s_parm(self, what: Any) -> None:
        pass

    def g_parm(self, what: Any) -> None:
        what.parm.capture.timeperframe.denominator, what.parm.capture.timeperframe.numerator = self.rate

    def reqbufs(self, what: Any) -> None:
        if what.count:
            self.maps = [mmap.mmap(-1, 4 * self.width * self.height + 4096) for _ in range(what.count)]

    def querybuf(self, what: Any) -> None:
        what.length, what.m.offset = 4 * self.width * self.height, what.index

    def qbuf(self, what: Any) -> None:
        assert what.index not in self.queued
        self.queued.append(what.index)

    def dqbuf(self, what: Any) -> None:
        if not self.pictures:
            raise OSError(errno.ENODEV, "No such device")
        data, flags, time_ns = self.pictures.pop(0)
        what.index = self.queued.pop(0)
        self.maps[what.index][: len(data)] = data
        what.bytesused, what.flags = len(data), flags
        what.timestamp.secs, what.timestamp.usecs = divmod(time_ns // 1000, 1_000_000)

    def streamon(self, what: Any) -> None:
        os.write(self.fifo, b"x")  # from now on the device is readable

    def streamoff(self, what: Any) -> None:
        pass


Play = Callable[..., Kernel]


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "video9"
    os.mkfifo(path)
    return path


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, device: Path) -> Play:
    """Puts a Kernel under the real linuxpy."""
    video = pytest.importorskip("linuxpy.video.device", reason="the extra v4l2 is not here")

    def played(**settings: Any) -> Kernel:
        kernel = Kernel(**settings, fifo=os.open(device, os.O_RDWR | os.O_NONBLOCK))
        monkeypatch.setattr(video, "ioctl", kernel)
        monkeypatch.setattr(video, "mem_map", lambda fd, length, offset: kernel.maps[offset])
        return kernel

    return played


def noise(*shape: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


SHAPES = {
    "NV12": (HEIGHT * 3 // 2, WIDTH),
    "YUYV": (HEIGHT, WIDTH, 2),
    "BGR3": (HEIGHT, WIDTH, 3),
    "RGB3": (HEIGHT, WIDTH, 3),
    "GREY": (HEIGHT, WIDTH),
}


@pytest.mark.parametrize("pixel_format", list(SHAPES))
def test_every_format_comes_as_it_is_with_the_kernels_times(play: Play, device: Path, pixel_format: str) -> None:
    pixels = noise(*SHAPES[pixel_format])
    kernel = play(formats=(pixel_format,), pictures=[(pixels.tobytes(), MONOTONIC, 10**9 + 7000 * i) for i in range(7)])
    source = V4l2Source(Capture(device, region=Region(0, 0, 60, 40), mm_per_px=0.3), ManualClock(5))
    assert (source.width, source.height, source.rate_hz, source.frames) == (WIDTH, HEIGHT, 60, None)
    frames = list(islice(source, 5))
    assert [(f.index, f.captured_ns) for f in frames] == [(i, 10**9 + 7000 * i) for i in range(5)]
    assert all(np.array_equal(f.pixels, pixels) for f in frames)
    assert {(f.layout, f.region, f.mm_per_px) for f in frames} == {
        (v4l2.LAYOUTS[pixel_format], Region(0, 0, 60, 40), 0.3)
    }
    assert len(kernel.maps) == BUFFERS == 3
    assert kernel.asked[-3:] != []
    assert "STREAMOFF" in kernel.asked
    assert kernel.chosen == pixel_format


def test_the_format_that_serves_the_engine_best_is_taken(play: Play, device: Path) -> None:
    kernel = play(formats=("GREY", "MJPG", "YUYV", "NV12"))
    V4l2Source(Capture(device), ManualClock()).close()
    assert kernel.chosen == "NV12"
    kernel = play(formats=("GREY", "MJPG", "YUYV", "NV12"))
    V4l2Source(Capture(device, pixel_format="YUYV"), ManualClock()).close()
    assert kernel.chosen == "YUYV"


def test_padded_rows_and_a_clock_that_is_not_ours(play: Play, device: Path) -> None:
    rows = noise(HEIGHT, WIDTH + 32)
    play(formats=("GREY",), padding=32, pictures=[(rows.tobytes(), 0, 3)])
    (frame,) = islice(V4l2Source(Capture(device), ManualClock(77)), 1)
    assert np.array_equal(frame.pixels, rows[:, :WIDTH])
    assert frame.captured_ns == 77


def test_bad_and_short_pictures_are_counted_and_an_unplugged_card_is_one_line(play: Play, device: Path) -> None:
    whole = noise(HEIGHT, WIDTH).tobytes()
    pictures = [
        (whole, MONOTONIC, 1000),
        (whole, MONOTONIC | BAD, 2000),
        (whole[:-1], MONOTONIC, 3000),
        (whole, MONOTONIC, 4000),
    ]
    play(formats=("GREY",), pictures=pictures)
    source = V4l2Source(Capture(device), ManualClock())
    frames = iter(source)
    indices = [(frame.index, frame.captured_ns) for frame in islice(frames, 2)]
    with pytest.raises(DataError, match=r"video9: No such device; check the cable") as lost:
        next(frames)
    assert "\n" not in str(lost.value)
    assert indices == [(0, 1000), (1, 4000)]
    assert dict(source.tally.counts) == {"marked as bad by the driver": 1, "picture too short": 1}


def test_silence_and_a_changed_signal(play: Play, device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "READ_S", 0.05)
    kernel = play(formats=("GREY",))
    monkeypatch.setattr(kernel, "streamon", lambda what: None)
    with pytest.raises(DataError, match="no picture for"):
        next(iter(V4l2Source(Capture(device), ManualClock())))
    play(formats=("GREY",))
    monkeypatch.setattr(v4l2.select, "select", lambda *lists: ([], [], lists[2]))
    with pytest.raises(DataError, match="the signal changed"):
        next(iter(V4l2Source(Capture(device), ManualClock())))


@pytest.mark.parametrize(
    ("settings", "asked", "said"),
    [
        ({"field": 4}, {}, r"interlaced \(INTERLACED\).*progressive"),
        ({"field": 7}, {}, r"interlaced \(ALTERNATE\)"),
        ({"formats": ("H264", "YUYV")}, {"pixel_format": "NV12"}, "gives H264, YUYV, expected NV12"),
        ({"formats": ("H264",)}, {}, "gives H264, expected one of NV12, YUYV"),
        ({}, {"width": 1920, "height": 1080}, "gives 64x48 px where 1920x1080 was asked for"),
        ({}, {"region": Region(0, 0, 65, 48)}, "not inside the picture of 64x48"),
        ({}, {"pixel_format": "XYZ1"}, "is not read here; known: NV12"),
    ],
)
def test_what_cannot_be_read_is_refused(play: Play, device: Path, settings: Any, asked: Any, said: str) -> None:
    play(**settings)
    with pytest.raises((DataError, ConfigError), match=said) as refused:
        V4l2Source(Capture(device, **asked), ManualClock())
    assert "\n" not in str(refused.value)
    play()
    V4l2Source(Capture(device), ManualClock()).close()  # the refused one let go of the device


def test_a_lower_rate_is_told(play: Play, device: Path) -> None:
    play(rate=(5, 1))
    source = V4l2Source(Capture(device, rate_hz=60), ManualClock())
    assert source.notes == ("gives 5 Hz as YUYV where 60 was asked for; try format=MJPG",)
    source.close()


def test_a_device_has_one_holder_and_must_be_there(play: Play, device: Path) -> None:
    play()
    with Claim(f"capture device {device.resolve()}"), pytest.raises(BackendMissingError, match=str(os.getpid())):
        V4l2Source(Capture(device), ManualClock())
    with pytest.raises(DataError, match="no such device; plug it in, or choose of"):
        V4l2Source(Capture(Path("/dev/v4l/by-id/none")), ManualClock())


@pytest.mark.parametrize(
    ("pixel_format", "colorspace", "quantization", "asked", "full"),
    [
        ("YUYV", 1, 0, "", False),
        ("YUYV", 7, 0, "", True),
        ("YUYV", 1, 1, "", True),
        ("YUYV", 7, 2, "", False),
        ("GREY", 3, 0, "", False),
        ("RGB3", 8, 0, "", True),
        ("RGB3", 8, 2, "", False),
        ("YUYV", 1, 2, "full", True),
        ("BGR3", 8, 1, "limited", False),
    ],
)
def test_the_range(pixel_format: str, colorspace: int, quantization: int, asked: v4l2.Range, full: bool) -> None:
    assert full_range(pixel_format, colorspace, quantization, asked) is full


def jpeg(pix_fmt: str = "yuvj422p", picture: Pixels | None = None) -> tuple[bytes, Pixels]:
    rgb = np.full((HEIGHT, WIDTH, 3), (200, 60, 40), np.uint8) if picture is None else picture
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, pix_fmt
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt, dst_color_range="JPEG")
    return b"".join(bytes(p) for p in (*encoder.encode(frame), *encoder.encode(None))), rgb


@pytest.mark.parametrize("pix_fmt", ["yuvj420p", "yuvj422p"])
def test_motion_jpeg_keeps_its_luma_and_colours(play: Play, device: Path, pix_fmt: str) -> None:
    data, rgb = jpeg(pix_fmt)
    play(formats=("MJPG",), pictures=[(data + bytes(9), MONOTONIC, 1000)])
    (frame,) = islice(V4l2Source(Capture(device), ManualClock()), 1)
    assert (frame.layout, frame.full_range) == (Layout.NV12, True)
    assert np.abs(to_rgb(frame).astype(int) - rgb).max() <= 8


def test_damaged_jpegs_are_corrupt_never_an_exception() -> None:
    """Also the planted fault: of 200 pictures with a byte changed many are seen, and none raises anything else."""
    whole, _ = jpeg(picture=noise(HEIGHT, WIDTH, 3))
    decoder, generator, seen = jpeg_decoder(), np.random.default_rng(2), 0
    for _ in range(200):
        data = bytearray(whole)
        data[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
        try:
            decoded_jpeg(decoder, bytes(data))
        except CorruptError:
            seen += 1
    assert seen > 20
    for data, said in ((whole[: len(whole) // 2], "cut short"), (b"", "no JPEG"), (b"RIFF" + whole, "no JPEG")):
        with pytest.raises(CorruptError, match=said):
            decoded_jpeg(decoder, bytes(data))
    assert decoded_jpeg(decoder, whole)[0].shape == (HEIGHT * 3 // 2, WIDTH)


def test_names_of_devices() -> None:
    assert device_path("0") == Path("/dev/video0")
    assert device_path("usb-card-video-index0") == Path("/dev/v4l/by-id/usb-card-video-index0")
    assert device_path("/dev/video3") == Path("/dev/video3")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "card.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for level in range(4):
            rgb = np.full((HEIGHT, WIDTH, 3), (60 * level, 20, 200), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode(None))
    return path


def test_opencv_is_the_fallback(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real cv2.VideoCapture, on a file in place of a card."""
    import cv2

    monkeypatch.setattr(v4l2.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(OpenCvSource, "backend", cv2.CAP_FFMPEG)
    source = open_capture(Capture(video, region=Region(0, 0, 9, 9)), ManualClock(7))
    assert isinstance(source, OpenCvSource)
    assert "edge3vt[v4l2]" in source.notes[0]
    frames = []
    with pytest.raises(DataError, match="gives no pictures any more"):
        frames.extend(source)
    frames = list(islice(OpenCvSource(Capture(video), ManualClock(7)), 4))
    assert [(f.layout, f.captured_ns, f.pixels[0, 0].tolist()) for f in frames] == [
        (Layout.BGR, 7, [200, 20, 60 * i]) for i in range(4)
    ]


def test_opencv_refuses_what_is_no_card(tmp_path: Path) -> None:
    path = tmp_path / "video7"
    path.write_bytes(b"no card")
    with pytest.raises(DataError, match="cannot be opened"):
        OpenCvSource(Capture(path), ManualClock())


def test_without_linuxpy_the_extra_is_named(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("linuxpy", "linuxpy.video"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendMissingError, match=r"edge3vt\[v4l2\]"):
        V4l2Source(Capture(device), ManualClock())


def test_the_opener_travels_to_a_process() -> None:
    import pickle

    assert (
        pickle.loads(pickle.dumps(partial(open_capture, Capture(Path("/dev/video0"))))).args[0].device.name == "video0"
    )
