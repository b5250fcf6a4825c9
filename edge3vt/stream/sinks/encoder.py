"""H.264 into MP4, in a process of its own: encoding takes neither the loop's interpreter nor its priority.

The file grows by fragments of less than a second, each of which plays without what comes after it.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import av
import cv2
import numpy as np

from edge3vt.core.clock import NS_PER_MS, NS_PER_S, wall_label
from edge3vt.core.documents import to_json
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Segmentation
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.band import NOT_FOR_DIAGNOSIS
from edge3vt.picture.blank import blanked
from edge3vt.picture.draw import Composer
from edge3vt.stream.sinks.fragments import locked, side_of
from edge3vt.stream.sinks.mailbox import NICENESS
from edge3vt.stream.sinks.pipe import wide_pipe

TICKS_HZ = 90_000
FRAGMENT_NS = 9 * NS_PER_S // 10  # and one picture more, which makes a second at most from 10 Hz on
RESERVE_BYTES = 64 << 20  # of the disk stay free: other files must be closed too
MOVFLAGS = "+frag_keyframe+empty_moov+default_base_moof"
OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "crf": "28"}
"""x264's cheapest preset: a frame of 1024x768 took 8 ms of a core, conversion included."""
BT601, LIMITED_RANGE = 6, 1  # ITU-T H.273: MatrixCoefficients; AVCOL_RANGE_MPEG


class Encoder(Protocol):
    """Records what the loop gives out. Raises OSError, or PyAV's errors."""

    def __call__(self, seg: Segmentation, spec: ModelSpec | None) -> None: ...

    def finish(self) -> None: ...

    def kill(self) -> None: ...


class H264:
    """x264 on one thread into MP4, each picture at its capture time relative to the first.

    The first picture's size is the recording's; others are shrunk or framed to fit.
    """

    def __init__(self, path: Path, comment: str) -> None:
        options = {"movflags": MOVFLAGS, "flush_packets": "1"}
        self._container = av.open(f"file:{path}", "w", format="mp4", options=options)
        self._container.metadata["comment"] = comment
        self._stream: Any = None
        self._size = (0, 0)
        self._start_ns = self._fragment_ns = 0
        self._pts = -1

    def __call__(self, picture: Pixels, captured_ns: int) -> bool:
        """Encode (H, W, 3) RGB; whether it begins a fragment."""
        size = (picture.shape[1], picture.shape[0])
        if self._stream is None:
            self._open(size, captured_ns)
        elif size != self._size:
            picture = _fitted(picture, self._size)
        right, below = self._size[0] % 2, self._size[1] % 2
        if right or below:
            picture = np.asarray(cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE))
        yuv = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
        frame.pts = max(round((captured_ns - self._start_ns) * TICKS_HZ / NS_PER_S), self._pts + 1)
        frame.time_base = Fraction(1, TICKS_HZ)
        begins = self._pts < 0 or captured_ns - self._fragment_ns >= FRAGMENT_NS
        if begins:
            frame.pict_type, self._fragment_ns = av.video.frame.PictureType.I, captured_ns
        self._pts = frame.pts
        self._container.mux(self._stream.encode(frame))
        return begins

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
        stream.codec_context.gop_size = 1 << 20  # key pictures come by time
        stream.codec_context.colorspace, stream.codec_context.color_range = BT601, LIMITED_RANGE
        self._stream, self._size, self._start_ns = stream, size, captured_ns


class Recording:
    """A video of what the loop gave out, blanked outside the region, and a JSON line for each of its pictures.

    It draws by itself, so that it holds the overlay as the AI gave it, whatever the operator chose to see. Raises
    OSError when less than ``reserve_bytes`` of the disk would stay free.
    """

    def __init__(self, path: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._path, self._reserve = path, reserve_bytes
        self._spec: ModelSpec | None = None
        self._compose: Composer | None = None
        self._video: H264 | None = None
        self._count = 0
        self._check_room()
        with ExitStack() as stack:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            stack.callback(os.close, handle)
            stack.enter_context(locked(handle))
            self._side = stack.enter_context(side_of(path).open("w", encoding="utf-8", buffering=1))
            self._open = stack.pop_all()
        head = {"schema": 1, "started": wall_label(), "statement": NOT_FOR_DIAGNOSIS}
        self._side.write(to_json(head, indent=None))

    def __call__(self, seg: Segmentation, spec: ModelSpec | None) -> None:
        if self._compose is None or spec != self._spec:
            self._compose, self._spec = Composer(spec), spec
        if self._video is None:
            self._video = H264(self._path, f"{NOT_FOR_DIAGNOSIS}; {seg.model_id}")
        picture = self._compose(replace(seg, frame=blanked(seg.frame)))
        self._side.write(to_json(_line(self._count, seg), indent=None))
        self._count += 1
        if self._video(picture, seg.frame.captured_ns):
            self._check_room()

    def finish(self) -> None:
        with self._open:
            if self._video is not None:
                self._video.finish()

    def kill(self) -> None:
        """There is no process to end."""

    def _check_room(self) -> None:
        if shutil.disk_usage(self._path.parent).free < self._reserve:
            raise OSError(errno.ENOSPC, f"less than {self._reserve >> 20} MiB are free")


def _line(count: int, seg: Segmentation) -> dict[str, object]:
    """What is known of a picture, for ``replay://`` and for whoever reads the recording later."""
    frame, age_ns, region = seg.frame, seg.mask_age_ns, seg.frame.region
    return {
        "picture": count,
        "index": frame.index,
        "captured_ns": frame.captured_ns,
        "epoch": frame.epoch,
        "repeat_of": frame.repeat_of,
        "width": frame.width,
        "height": frame.height,
        "region": None if region is None else (region.x0, region.y0, region.x1, region.y1),
        "mm_per_px": frame.mm_per_px,
        "state": seg.state.value,
        "code": seg.code,
        "verdict": seg.verdict.value,
        "reason": seg.reason,
        "emitted_late": seg.emitted_late,
        "mask_age_ms": None if age_ns is None else age_ns / NS_PER_MS,
        "shown": seg.shown,
        "withheld": seg.withheld,
        "model_id": seg.model_id,
    }


def _fitted(picture: Pixels, size: tuple[int, int]) -> Pixels:
    """The whole picture in the middle of a black one of another size."""
    height, width = picture.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    fitted = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    x, y = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    fitted[y : y + inner[1], x : x + inner[0]] = small
    return fitted


class EncoderProcess:
    """A Recording in a spawned process, which ignores the keyboard's interrupt: the recording is finished all the same.

    Raises what a Recording raises, and OSError when the process has died.
    """

    def __init__(self, path: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        context = multiprocessing.get_context("spawn")
        answers, its_answers = context.Pipe(duplex=False)
        its_pictures, pictures = wide_pipe(context)
        self._pictures, self._answers = pictures, answers
        self._process = context.Process(
            target=_encode, args=(path, reserve_bytes, its_pictures, its_answers), name="encoder", daemon=True
        )
        self._process.start()
        its_pictures.close()
        its_answers.close()
        self._await()

    def __call__(self, seg: Segmentation, spec: ModelSpec | None) -> None:
        if self._answers.poll():  # it speaks unasked only of an error
            self._await()
        try:
            self._pictures.send((replace(seg, picture=None), spec))
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

    def kill(self) -> None:
        """End it at once; what waits for it hears of it."""
        self._process.kill()

    def _await(self) -> None:
        """Its next answer. Raises the error that it is."""
        try:
            error = self._answers.recv()
        except (EOFError, OSError):
            raise OSError(errno.EPIPE, "the encoder's process ended") from None
        if error is not None:
            raise error


def _encode(path: Path, reserve_bytes: int, pictures: Connection, answers: Connection) -> None:
    """The process: record what comes until None; answer None or the error, when opened and at the end.

    When whoever asked is gone, it finishes the recording all the same.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    cv2.setNumThreads(1)
    try:
        encoder = Recording(path, reserve_bytes=reserve_bytes)
        try:
            answers.send(None)
            while (said := pictures.recv()) is not None:
                encoder(*said)
        except EOFError:
            pass
        except Exception:
            with suppress(Exception):  # the fragments before are whole
                encoder.finish()
            raise
        encoder.finish()
        answers.send(None)
    except BrokenPipeError:  # nobody listens
        pass
    except DataError as error:
        answers.send(error)
    except Exception as error:  # PyAV's errors do not travel between processes
        code, why = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
        answers.send(OSError(code or errno.EIO, why))
