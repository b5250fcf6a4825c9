"""A capture card through Video4Linux: the kernel's own capture times, few buffers, luma as the card gives it."""

from __future__ import annotations

import importlib.util
import os
import select
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av

from edge3vt.core.clock import NS_PER_S, Clock
from edge3vt.core.errors import BackendMissingError, ConfigError, DataError
from edge3vt.core.frame import Frame, Layout, Pixels, Region
from edge3vt.core.lock import Claim
from edge3vt.picture.clip import check_size
from edge3vt.picture.decoded import laid_out
from edge3vt.stream.sources import Source
from edge3vt.stream.sources.raw import CorruptError, Tally, checked_region, odd_sides, shaped

LAYOUTS = {
    "NV12": Layout.NV12,
    "YUYV": Layout.YUYV,
    "BGR3": Layout.BGR,
    "RGB3": Layout.RGB,
    "GREY": Layout.GRAY,
}
FORMATS = ("NV12", "YUYV", "BGR3", "RGB3", "MJPG", "GREY")
"""In the order of preference: luma in a plane of its own first, colours before grey."""
BUFFERS = 3
"""One that the card fills, one that waits, one that is read: more would only make pictures older."""
READ_S = 2.0
BY_ID = Path("/dev/v4l/by-id")
SPACE_JPEG, RANGE_FULL, RANGE_LIMITED = 7, 1, 2  # V4L2_COLORSPACE_JPEG, V4L2_QUANTIZATION_{FULL,LIM}_RANGE
FIELD_NONE = 1  # V4L2_FIELD_NONE: progressive

Range = Literal["", "full", "limited"]


@dataclass(frozen=True, slots=True)
class Capture:
    """What a card is asked for; 0 and "" leave it to the card. range: overrules what the card says of its luma."""

    device: Path
    width: int = 0
    height: int = 0
    rate_hz: float = 0.0
    pixel_format: str = ""
    range: Range = ""
    region: Region | None = None
    mm_per_px: float | None = None


def device_path(name: str) -> Path:
    """v4l2://NAME: a name in /dev/v4l/by-id (the same card after every start), a number of /dev/video, or a path."""
    if name.isdigit():
        return Path(f"/dev/video{name}")
    return Path(name) if name.startswith("/") else BY_ID / name


def open_capture(asked: Capture, clock: Clock) -> Source:
    """The card through linuxpy, or through OpenCV where that is not installed. Raises as the sources do."""
    if importlib.util.find_spec("linuxpy") is None:
        from edge3vt.stream.sources.opencv import OpenCvSource

        return OpenCvSource(asked, clock)
    return V4l2Source(asked, clock)


def check_device(asked: Capture) -> str:
    """The device's name for messages. Raises DataError when it is not there, ConfigError for a format not known."""
    name = f"v4l2://{asked.device}"
    if asked.pixel_format and asked.pixel_format not in FORMATS:
        raise ConfigError(f"{name}: format '{asked.pixel_format}' is not read here; known: {', '.join(FORMATS)}")
    if not asked.device.exists():
        there = sorted(str(path) for path in (*BY_ID.glob("*"), *Path("/dev").glob("video*")))
        raise DataError(f"{name}: no such device; plug it in, or choose of: {', '.join(there) or 'none is here'}")
    return name


class V4l2Source:
    """Pictures of a card, each with the time at which the kernel had it. Endless; read in order, then closed.

    Raises DataError for a device that is not there or gives no picture for READ_S, for an interlaced signal, for
    formats that are not read here, and when the signal changes (open it again); BackendMissingError for a device that
    another process holds. Pictures that the driver marks as bad, or that are too short, are counted, not given.
    """

    def __init__(self, asked: Capture, clock: Clock) -> None:
        self.name = check_device(asked)
        try:
            from linuxpy.video import device as video
        except ImportError as error:
            raise BackendMissingError(
                f"{self.name} needs linuxpy, which is not installed; pip install 'edge3vt[v4l2]'"
            ) from error
        self._video: Any = video
        self._asked, self._clock, self.frames = asked, clock, None
        self.tally, self.notes = Tally(), tuple[str, ...]()
        self._decoder: Any = None
        self._claim = Claim(f"capture device {asked.device.resolve()}")
        self._device: Any = video.Device(asked.device)
        try:
            self._device.open()
            self._capture: Any = video.VideoCapture(self._device, size=BUFFERS)
            self._negotiate()
            checked_region(asked.region, self.width, self.height, self.name)
        except OSError as error:
            self.close()
            raise self._lost(error) from error
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        try:
            with self._capture:
                while True:
                    self._wait()
                    picture = self._capture.buffer.raw_read()
                    try:
                        pixels, layout, full_range = self._shaped(picture)
                    except CorruptError as error:
                        self.tally.add(str(error))
                        continue
                    yield Frame(
                        index=index,
                        captured_ns=self._captured_ns(picture.buff),
                        pixels=pixels,
                        layout=layout,
                        full_range=full_range,
                        region=self._asked.region,
                        mm_per_px=self._asked.mm_per_px,
                    )
                    index += 1
        except OSError as error:
            raise self._lost(error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the device."""
        self._device.close()
        self._claim.close()

    def _negotiate(self) -> None:
        """Ask for size, format and rate, and take what the card makes of it."""
        asked, kinds = self._asked, self._video.BufferType
        given = {f.pixel_format.human_str() for f in self._capture.formats()}
        usable = [f for f in FORMATS if f in given]
        if (asked.pixel_format and asked.pixel_format not in given) or not usable:
            wanted = asked.pixel_format or f"one of {', '.join(FORMATS)}"
            raise DataError(f"{self.name}: gives {', '.join(sorted(given)) or 'nothing'}, expected {wanted}")
        now = self._capture.get_format()
        self._capture.set_format(asked.width or now.width, asked.height or now.height, asked.pixel_format or usable[0])
        pix = self._device_format(kinds)
        self.width, self.height, self._stride = pix.width, pix.height, pix.bytesperline
        self._format = self._video.human_pixel_format(pix.pixelformat)
        check_size(self.width, self.height, self.name)
        if self._format in LAYOUTS and (odd := odd_sides(LAYOUTS[self._format], self.width, self.height)):
            raise DataError(f"{self.name}: gives {odd}; ask for another size or format")
        if (asked.width or self.width, asked.height or self.height) != (self.width, self.height):
            raise DataError(
                f"{self.name}: gives {self.width}x{self.height} px where {asked.width}x{asked.height} was asked for; "
                "ask for a size it has (v4l2-ctl --list-formats-ext)"
            )
        if pix.field != FIELD_NONE:
            raise DataError(
                f"{self.name}: the signal is interlaced ({self._video.Field(pix.field).name}): half of each picture "
                "is older than the other; set the scanner's output to a progressive mode, such as 1080p"
            )
        if self._format not in FORMATS or (asked.pixel_format and self._format != asked.pixel_format):
            raise DataError(f"{self.name}: gives {self._format} where {asked.pixel_format or usable[0]} was asked for")
        self._full_range = full_range(self._format, pix.colorspace, pix.quantization, asked.range)
        self._settle_rate()

    def _settle_rate(self) -> None:
        try:
            if self._asked.rate_hz:
                self._capture.set_fps(self._asked.rate_hz)
            self.rate_hz = float(self._capture.get_fps())
        except (OSError, ZeroDivisionError):  # a card that takes what comes knows no rate
            self.rate_hz = self._asked.rate_hz or 60.0
            self.notes += (f"the card tells no rate; {self.rate_hz:g} Hz is assumed",)
        if self._asked.rate_hz and abs(self.rate_hz - self._asked.rate_hz) > 0.05 * self._asked.rate_hz:
            asked = f"{self._asked.rate_hz:g} was asked for; try format=MJPG"
            self.notes += (f"gives {self.rate_hz:g} Hz as {self._format} where {asked}",)
        with suppress(OSError):  # cameras have no signal that could change
            self._device.subscribe_event(self._video.EventType.SOURCE_CHANGE)

    def _device_format(self, kinds: Any) -> Any:
        return self._video.get_raw_format(self._device, kinds.VIDEO_CAPTURE).fmt.pix

    def _wait(self) -> None:
        ready, _, special = select.select([self._device], [], [self._device], READ_S)
        if special:
            raise DataError(f"{self.name}: the signal changed; it is opened again as it is now")
        if not ready:
            raise DataError(f"{self.name}: no picture for {READ_S:g} s; check the cable and the scanner's output")

    def _shaped(self, picture: Any) -> tuple[Pixels, Layout, bool]:
        if picture.buff.flags & self._video.BufferFlag.ERROR:
            raise CorruptError("marked as bad by the driver")
        if self._format != "MJPG":
            layout = LAYOUTS[self._format]
            return shaped(picture.data, layout, self.width, self.height, self._stride), layout, self._full_range
        self._decoder = self._decoder or jpeg_decoder()
        pixels, layout, full = decoded_jpeg(self._decoder, picture.data)
        return pixels, layout, {"full": True, "limited": False}.get(self._asked.range, full)

    def _captured_ns(self, buff: Any) -> int:
        """The kernel's time where it is of the monotonic clock, else now."""
        flags = self._video.BufferFlag
        if buff.flags & flags.TIMESTAMP_MASK == flags.TIMESTAMP_MONOTONIC:
            return int(buff.timestamp.secs) * NS_PER_S + int(buff.timestamp.usecs) * 1000
        return self._clock.now_ns()

    def _lost(self, error: OSError) -> DataError:
        why = error.strerror or os.strerror(error.errno or 0)
        return DataError(f"{self.name}: {why}; check the cable, and who else uses the device")


def full_range(pixel_format: str, colorspace: int, quantization: int, asked: Range) -> bool:
    """Whether luma runs 0-255: as asked, as the card says, else by V4L2_MAP_QUANTIZATION_DEFAULT."""
    if asked:
        return asked == "full"
    if quantization in (RANGE_FULL, RANGE_LIMITED):
        return quantization == RANGE_FULL
    return pixel_format in ("BGR3", "RGB3", "MJPG") or colorspace == SPACE_JPEG


def jpeg_decoder() -> Any:
    """A decoder of Motion JPEG that refuses what it finds damaged."""
    decoder: Any = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    decoder.thread_count = 1
    return decoder


def decoded_jpeg(decoder: Any, data: bytes) -> tuple[Pixels, Layout, bool]:
    """One JPEG as (pixels, layout, full_range); raises CorruptError for what is none, or damaged where that shows."""
    if not data.startswith(b"\xff\xd8"):
        raise CorruptError("no JPEG")
    if data.rstrip(b"\0")[-2:] != b"\xff\xd9":
        raise CorruptError("JPEG cut short")
    try:
        pictures = decoder.decode(av.Packet(data))
    except av.error.FFmpegError as error:
        raise CorruptError("JPEG damaged") from error
    if len(pictures) != 1 or pictures[0].is_corrupt:
        raise CorruptError("JPEG damaged")
    return laid_out(pictures[0])
