"""H.264 into MP4, in a process of its own: encoding takes neither the loop's interpreter nor its priority."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import av
import cv2
import numpy as np

from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels
from edge3vt.stream.sinks.mailbox import NICENESS

TICKS_HZ = 90_000
OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "crf": "28"}
"""x264's cheapest preset: a frame of 1024x768 took 8 ms of a core, conversion included."""
BT601, LIMITED_RANGE = 6, 1  # ITU-T H.273: MatrixCoefficients; AVCOL_RANGE_MPEG


PIPE_BYTES = 1 << 20
"""Linux' pipes hold 64 KiB; a picture through that wakes both sides forty times."""


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


class EncoderProcess:
    """An H264 in a spawned process, which ignores the keyboard's interrupt: the recording is finished all the same.

    Raises what H264 raises, and OSError when the process has died.
    """

    def __init__(self, path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        answers, its_answers = context.Pipe(duplex=False)
        its_pictures, pictures = context.Pipe(duplex=False)
        if sys.platform == "linux":
            import fcntl

            with suppress(OSError):  # the system may allow less
                fcntl.fcntl(pictures.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._pictures, self._answers = pictures, answers
        self._process = context.Process(
            target=_encode, args=(path, its_pictures, its_answers), name="encoder", daemon=True
        )
        self._process.start()
        its_pictures.close()
        its_answers.close()
        self._await()

    def __call__(self, picture: Pixels, captured_ns: int) -> None:
        if self._answers.poll():  # it speaks unasked only of an error
            self._await()
        try:
            self._pictures.send((picture.shape, captured_ns))
            self._pictures.send_bytes(np.ascontiguousarray(picture).data.cast("B"))
        except BrokenPipeError:
            self._await()

    def finish(self) -> None:
        with suppress(OSError):
            self._pictures.send(None)
        try:
            self._await()
        finally:
            self._pictures.close()
            self._process.join()

    def _await(self) -> None:
        """Its next answer. Raises the error that it is."""
        try:
            error = self._answers.recv()
        except (EOFError, OSError):
            raise OSError(errno.EPIPE, "the encoder's process ended") from None
        if error is not None:
            raise error


def _encode(path: Path, pictures: Connection, answers: Connection) -> None:
    """The process: encode what comes until None; answer None or the error, when opened and at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    cv2.setNumThreads(1)
    try:
        encoder = H264(path)
        answers.send(None)
        while (said := pictures.recv()) is not None:
            shape, captured_ns = said
            picture = np.empty(shape, dtype=np.uint8)
            pictures.recv_bytes_into(picture.data.cast("B"))
            encoder(picture, captured_ns)
        encoder.finish()
        answers.send(None)
    except EOFError:  # whoever asked is gone
        pass
    except DataError as error:
        answers.send(error)
    except Exception as error:  # PyAV's errors do not travel between processes
        code, why = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
        answers.send(OSError(code or errno.EIO, why))
