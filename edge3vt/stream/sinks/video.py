"""Frames into an H.264 file that a browser plays."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import cv2
import numpy as np

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.documents import whole_file
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sinks.mailbox import Mailbox

DEPTH = 16
TICKS_HZ = 90_000
OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "crf": "28"}
"""x264's cheapest preset: a frame of 1024x768 took 8 ms of a core, conversion included."""
BT601, LIMITED_RANGE = 6, 1  # ITU-T H.273: MatrixCoefficients; AVCOL_RANGE_MPEG


class Encoder(Protocol):
    """Writes pictures into a file. Raises OSError, or PyAV's errors."""

    def __call__(self, picture: Pixels, captured_ns: int) -> None: ...

    def finish(self) -> None: ...


class H264:
    """x264 on one thread into MP4, each picture at its capture time relative to the first."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"})
        self._stream: Any = None
        self._size = (0, 0)
        self._start_ns = 0
        self._pts = -1

    def __call__(self, picture: Pixels, captured_ns: int) -> None:
        """Encode (H, W, 3) RGB. Raises DataError when its size is not the first one's."""
        size = (picture.shape[1], picture.shape[0])
        if self._stream is None:
            self._open(size, captured_ns)
        elif size != self._size:
            raise DataError(f"the picture changed from {self._size} to {size} px; record each size into its own file")
        right, below = size[0] % 2, size[1] % 2
        if right or below:
            picture = np.asarray(cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE))
        yuv = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
        frame.pts = self._pts = max(round((captured_ns - self._start_ns) * TICKS_HZ / NS_PER_S), self._pts + 1)
        frame.time_base = Fraction(1, TICKS_HZ)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def _open(self, size: tuple[int, int], captured_ns: int) -> None:
        stream: Any = self._container.add_stream("libx264", rate=60, options=OPTIONS)
        stream.width, stream.height = size[0] + size[0] % 2, size[1] + size[1] % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS_HZ)
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = 120
        stream.codec_context.colorspace, stream.codec_context.color_range = BT601, LIMITED_RANGE
        self._stream, self._size, self._start_ns = stream, size, captured_ns


class VideoSink(Sink):
    """An MP4 file, encoded in a thread; it gets its name when it is whole.

    block: wait for the encoder instead of dropping. Raises ConfigError for an existing file without ``overwrite``,
    DataError for one that cannot be written. A stream without pictures leaves no file.
    """

    def __init__(
        self, path: Path, *, overwrite: bool, block: bool = False, encoder: Callable[[Path], Encoder] = H264
    ) -> None:
        if path.exists() and not overwrite:
            raise ConfigError(f"{path}: exists already; choose another name, or replace it with --overwrite")
        self._path = path
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.recording{path.suffix}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._encoder = encoder(self._partial)
        except (OSError, av.error.FFmpegError) as error:
            why = error.strerror or error
            raise DataError(f"{path}: cannot be written ({why}); choose another output") from error
        self._mailbox: Mailbox[tuple[Pixels, int]] = Mailbox(
            lambda item: self._encoder(*item), depth=DEPTH, block=block, finish=self._encoder.finish
        )

    @property
    def written(self) -> int:
        return self._mailbox.written

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped

    def __call__(self, seg: Segmentation) -> None:
        if seg.picture is not None:
            self._mailbox.put((seg.picture, seg.frame.captured_ns))

    def close(self) -> None:
        error = self._mailbox.close()
        try:
            if error is not None:
                raise self._failed(error) from error
            if self.written:
                with whole_file(self._path) as whole:
                    self._partial.replace(whole)
        finally:
            self._partial.unlink(missing_ok=True)

    def discard(self) -> None:
        self._mailbox.close(drain=False)
        self._partial.unlink(missing_ok=True)

    def _failed(self, error: Exception) -> DataError:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        return DataError(f"{self._path}: the recording failed ({why}); free disk space or choose another output")
