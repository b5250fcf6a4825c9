"""Video files through PyAV. Local files of a few known formats only: no playlists, no network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Layout, Region
from edge3vt.picture.clip import DEFAULT_RATE_HZ, Picture, check_size, file_size

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegvideo,mpegts"


@dataclass(frozen=True, slots=True)
class VideoClip:
    """A video file that was read through once, undecoded. steady: its pictures are evenly spaced."""

    path: Path
    width: int
    height: int
    rate_hz: float
    frames: int
    steady: bool
    notes: tuple[str, ...] = ()
    region: Region | None = None
    mm_per_px: float | None = None

    @property
    def name(self) -> str:
        return self.path.name

    def pictures(self) -> Iterator[Picture]:
        """Grey video as GRAY, all other as RGB by the file's own matrix and range, each at its presentation time."""
        period_ns = round(NS_PER_S / self.rate_hz)
        with _opened(self.path) as (container, stream):
            stream.codec_context.thread_count = 1
            start: int | None = None
            time_ns = -period_ns
            for frame in container.decode(stream):
                if frame.pts is None or stream.time_base is None:
                    time_ns += period_ns
                else:
                    start = frame.pts if start is None else start
                    due_ns = int((frame.pts - start) * stream.time_base * NS_PER_S)
                    time_ns = due_ns if due_ns > time_ns else time_ns + 1
                if (frame.width, frame.height) != (self.width, self.height):
                    raise DataError(
                        f"{self.path}: the picture changes from {self.width}x{self.height} to "
                        f"{frame.width}x{frame.height} px; cut the video there"
                    )
                grey = frame.format.name == "gray"
                pixels = np.asarray(frame.to_ndarray(format="gray" if grey else "rgb24"), dtype=np.uint8)
                limited = grey and frame.color_range == 1
                yield Picture(time_ns, pixels, Layout.GRAY if grey else Layout.RGB, full_range=not limited)


def open_video(path: Path) -> VideoClip:
    """Check a video file by reading its packets. Raises DataError for what is no video, damaged or truncated."""
    file_size(path)
    with _opened(path) as (container, stream):
        context = stream.codec_context
        check_size(context.width, context.height, str(path))
        packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
        if not packets:
            raise DataError(f"{path}: holds no pictures; record it again")
        times = sorted(packet.pts for packet in packets if packet.pts is not None)
        longest = max(packet.duration or 0 for packet in packets)
        # An index that tells of more than the file holds: the end is missing.
        short = stream.frames and stream.duration and times and times[-1] - times[0] < stream.duration - 3 * longest
        if any(packet.is_corrupt for packet in packets) or short:
            raise DataError(f"{path}: damaged or truncated near picture {len(packets)}; copy it again")
        notes: tuple[str, ...] = ()
        steady = True
        if len(times) == len(packets) > 1 and times[-1] > times[0] and stream.time_base is not None:
            rate = float((len(times) - 1) / ((times[-1] - times[0]) * stream.time_base))
            steps = np.diff(times)
            steady = int(steps.max() - steps.min()) <= 1
        else:
            rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_RATE_HZ)
            notes = (f"no presentation times; {rate:g} Hz is assumed",) if len(packets) > 1 else ()
        ratio = stream.sample_aspect_ratio
        if ratio and ratio != 1:
            notes += (f"its pixels are not square ({ratio.numerator}:{ratio.denominator}); shown as they are",)
        return VideoClip(path, context.width, context.height, rate, len(packets), steady, notes)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[av.container.InputContainer, Any]]:
    """The container and its first video stream; FFmpeg's errors become DataError."""
    try:
        # The prefix keeps a name with a colon from being taken for a protocol.
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
        with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
            if not container.streams.video:
                raise DataError(f"{path}: holds no video; expected a file with a picture track")
            if container.streams.video[0].codec_context is None:
                raise DataError(f"{path}: its codec is not known; convert it to H.264")
            yield container, container.streams.video[0]
    except av.error.FFmpegError as error:
        raise DataError(
            f"{path}: no readable video ({error.strerror or error}); expected mp4, mov, avi, mkv or mpeg, whole"
        ) from error
