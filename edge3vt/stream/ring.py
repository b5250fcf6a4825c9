"""Frames from one process to another: a ring of shared memory, newest wins, what was written over is counted."""

from __future__ import annotations

import struct
from math import isnan, nan, prod

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Crop, CropMode, Frame, Layout, Pixels, Region
from edge3vt.stream.slots import Slots

_LAYOUTS = tuple(Layout)
_MODES: tuple[CropMode, ...] = ("acquire", "track")
_FRAME = struct.Struct("=3qd?q?4i?BB3I")
_CROP = struct.Struct("=B4i")


class Ring:
    """One writer, one reader. Given as an argument to a spawned process it arrives there attached.

    ``take`` gives copies, read-only. check_pixels: pixels carry a checksum too, for drills. No call blocks but
    ``wait``, and nothing but ``close`` must be done to end it, in each process.
    """

    def __init__(self, slots: Slots, picture_bytes: int) -> None:
        self._slots, self._picture_bytes = slots, picture_bytes
        self._undecodable = 0

    @classmethod
    def create(cls, slots: int, picture_bytes: int, *, check_pixels: bool = False) -> Ring:
        """A ring for pictures of at most picture_bytes (``Frame.pixels.nbytes``)."""
        return cls(Slots.create(slots, picture_bytes, check_bodies=check_pixels), picture_bytes)

    @property
    def corrupt(self) -> int:
        """Frames whose checksum was wrong or that cannot be a frame; they count as lost too."""
        return self._slots.corrupt + self._undecodable

    def put(self, frame: Frame, crop: Crop | None = None) -> None:
        """Copy a frame in, over the oldest one, and wake the reader. Raises DataError for a larger one than agreed."""
        if frame.pixels.nbytes > self._picture_bytes:
            raise DataError(
                f"frame {frame.index}: {frame.width}x{frame.height} {frame.layout.name} takes {frame.pixels.nbytes} "
                f"bytes, the ring was made for {self._picture_bytes}; make a new ring when the format changes"
            )
        self._slots.put(_packed(frame, crop), frame.pixels)

    def take(self, newest: int | None = None) -> tuple[list[tuple[Frame, Crop | None]], int]:
        """The frames that came since the last call, oldest first, and how many were lost. Waits for nothing.

        newest: no more than that many of the last ones; what is passed over counts as lost.
        """
        records, lost = self._slots.take(newest)
        frames = []
        for head, body in records:
            try:
                frames.append(_unpacked(head, body))
            except (ValueError, IndexError, struct.error):
                self._undecodable += 1
                lost += 1
        return frames, lost

    @property
    def pulse_ns(self) -> int:
        """When the writer last said that it lives, on the monotonic clock; 0 before the first time."""
        return self._slots.pulse_ns

    def beat(self) -> None:
        """The writer lives, whether or not it has a frame."""
        self._slots.beat()

    def wait(self, deadline_ns: int | None) -> bool:
        """Block until there is something to take (True) or the deadline, on the monotonic clock, passes (False)."""
        return self._slots.wait(deadline_ns)

    def fileno(self) -> int:
        """Readable while there is something to take: to wait for it beside a process's sentinel."""
        return self._slots.fileno()

    def close(self) -> None:
        """Let go of the memory in this process; a second call does nothing."""
        self._slots.close()


def _packed(frame: Frame, crop: Crop | None) -> bytes:
    region, shape = frame.region, frame.pixels.shape
    head = _FRAME.pack(
        frame.index,
        frame.captured_ns,
        frame.epoch,
        nan if frame.mm_per_px is None else frame.mm_per_px,
        frame.repeat_of is not None,
        frame.repeat_of or 0,
        region is not None,
        *((region.x0, region.y0, region.x1, region.y1) if region else (0, 0, 0, 0)),
        frame.full_range,
        _LAYOUTS.index(frame.layout),
        len(shape),
        *shape,
        *(0,) * (3 - len(shape)),
    )
    return head if crop is None else head + _CROP.pack(_MODES.index(crop.mode), crop.x, crop.y, crop.side, crop.size)


def _unpacked(head: bytes, body: Pixels) -> tuple[Frame, Crop | None]:
    """Raises ValueError, IndexError or struct.error for what cannot be a frame."""
    index, captured_ns, epoch, mm_per_px, repeats, repeat_of, bounded, x0, y0, x1, y1, full_range, layout, *shape = (
        _FRAME.unpack_from(head)
    )
    dimensions, *sizes = shape
    if prod(sizes[:dimensions]) != body.size:
        raise ValueError(f"{sizes[:dimensions]} is not {body.size} bytes")
    pixels = body.reshape(sizes[:dimensions])
    pixels.flags.writeable = False
    frame = Frame(
        index=index,
        captured_ns=captured_ns,
        pixels=pixels,
        layout=_LAYOUTS[layout],
        full_range=full_range,
        epoch=epoch,
        region=Region(x0, y0, x1, y1) if bounded else None,
        mm_per_px=None if isnan(mm_per_px) else mm_per_px,
        repeat_of=repeat_of if repeats else None,
    )
    if len(head) == _FRAME.size:
        return frame, None
    mode, x, y, side, size = _CROP.unpack(head[_FRAME.size :])
    return frame, Crop(x, y, side, size, _MODES[mode])
