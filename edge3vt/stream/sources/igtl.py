"""Images over OpenIGTLink (openigtlink.org, version 2 of the protocol), as PLUS and 3D Slicer send them.

pyigtl knows the messages; the socket is our own, since pyigtl's client looks a hundred times a second at most and does
not see that a server hung up. Like it we leave a message's CRC alone: TCP has its own, and this one takes 13 ms for
1024x768 RGB.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from edge3vt.core.clock import Clock
from edge3vt.core.errors import BackendMissingError, DataError
from edge3vt.core.frame import Frame, Layout, Pixels, Region
from edge3vt.picture.clip import DEFAULT_RATE_HZ, check_size
from edge3vt.stream.sources.raw import CorruptError, Tally, checked_region

PORT = 18944
OPEN_S, READ_S = 5.0, 2.0
MOST_BYTES = 64 << 20
HEADER_BYTES = 58
SQUARE = 1e-3
"""Spacings that differ by no more than this share are equal: matrices travel as 32-bit floats."""


class IgtlSource:
    """IMAGE messages of one device as frames; without ``device``, of the first that sends one.

    Images are one slice of uint8, grey or RGB. mm_per_px is the matrix's where pixels are square, unless given; the
    matrix of nobody who measured (spacing 1) counts as unknown. region: of a picture of that size; where the sender has
    clipped already, so that a picture is as large as the region, it is the whole picture. captured_ns: arrival.
    Raises DataError when nothing answers in OPEN_S or no image comes for READ_S; BackendMissingError without pyigtl.
    """

    def __init__(
        self,
        host: str,
        port: int,
        clock: Clock,
        *,
        device: str = "",
        region: Region | None = None,
        mm_per_px: float | None = None,
    ) -> None:
        try:
            from pyigtl import messages
        except ImportError as error:
            raise BackendMissingError(
                "igtl:// needs pyigtl, which is not installed; pip install 'edge3vt[igtl]'"
            ) from error
        self._messages: Any = messages
        self.name, self.rate_hz, self.frames = f"igtl://{host}:{port}", DEFAULT_RATE_HZ, None
        self.notes: tuple[str, ...] = ("times are those of arrival",)
        self._clock, self._device, self._mm_per_px, self._region = clock, device, mm_per_px, region
        self.tally = Tally()
        try:
            self._socket = socket.create_connection((host, port), OPEN_S)
        except OSError as error:
            why = error.strerror or error
            raise DataError(f"{self.name}: nothing answers ({why}); check address and server") from error
        try:
            self._first: tuple[Any, int] | None = self._image()
            pixels, _ = _picture(self._first[0], self.name)
            self.height, self.width = pixels.shape[:2]
            check_size(self.width, self.height, self.name)
            self._device = self._first[0].device_name
            if region is not None and (region.width, region.height) == (self.width, self.height):
                self._region = None
            checked_region(self._region, self.width, self.height, self.name)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        """Once; then it is closed."""
        size, epoch, index = (self.height, self.width), 0, 0
        first, self._first = self._first, None
        try:
            while True:
                (message, arrived_ns), first = first or self._image(), None
                try:
                    pixels, layout = _picture(message, self.name)
                except CorruptError as error:
                    self.tally.add(str(error))
                    continue
                if pixels.shape[:2] != size:
                    size, epoch = (pixels.shape[0], pixels.shape[1]), epoch + 1
                yield Frame(
                    index=index,
                    captured_ns=arrived_ns,
                    pixels=pixels,
                    layout=layout,
                    epoch=epoch,
                    region=self._region,
                    mm_per_px=self._mm_per_px or spacing_mm(message.ijk_to_world_matrix),
                )
                index += 1
        finally:
            self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _image(self) -> tuple[Any, int]:
        """The next IMAGE message of the device, and when all of it was there."""
        until_ns = self._clock.now_ns() + round(READ_S * 1e9)
        while True:
            header = self._read(HEADER_BYTES, until_ns)
            try:
                fields = self._messages.MessageBase.parse_header(header)
            except (struct.error, UnicodeDecodeError) as error:
                raise DataError(f"{self.name}: sends no OpenIGTLink ({error}); check the server") from error
            if fields["body_size"] > MOST_BYTES or fields["header_version"] not in (1, 2, 3):
                raise DataError(f"{self.name}: sends no OpenIGTLink (or more than {MOST_BYTES >> 20} MiB at a time)")
            body = self._read(fields["body_size"], until_ns)
            arrived_ns = self._clock.now_ns()
            if fields["message_type"] != "IMAGE" or self._device not in ("", fields["device_name"]):
                continue
            message = self._messages.ImageMessage()
            try:
                with np.errstate(all="ignore"):  # a matrix may hold anything
                    message.unpack(fields, body)
            except (ValueError, KeyError, IndexError, struct.error, NotImplementedError) as error:
                self.tally.add(f"not unpackable ({type(error).__name__})")
                continue
            return message, arrived_ns

    def _read(self, count: int, until_ns: int) -> bytes:
        data = bytearray(count)
        view = memoryview(data)
        while view:
            left_s = (until_ns - self._clock.now_ns()) / 1e9
            if left_s <= 0:
                raise self._silent()
            self._socket.settimeout(left_s)
            try:
                got = self._socket.recv_into(view)
            except TimeoutError as error:
                raise self._silent() from error
            except OSError as error:
                raise DataError(f"{self.name}: lost ({error.strerror or error})") from error
            if not got:
                raise DataError(f"{self.name}: the server hung up")
            view = view[got:]
        return bytes(data)

    def _silent(self) -> DataError:
        whose = f" of '{self._device}'" if self._device else ""
        return DataError(f"{self.name}: no image{whose} for {READ_S:g} s; check that the server sends it")


def _picture(message: Any, name: str) -> tuple[Pixels, Layout]:
    """(H, W) grey or (H, W, 3) RGB; raises CorruptError for other images."""
    image = message.image
    if image.dtype != np.uint8 or image.shape[0] != 1 or image.shape[3:] not in ((), (1,), (3,)) or 0 in image.shape:
        shape = "x".join(str(side) for side in image.shape)
        raise CorruptError(f"{name}: an image of {image.dtype} {shape}, expected one slice of uint8, grey or RGB")
    pixels = np.ascontiguousarray(image[0].squeeze(axis=-1) if image.shape[3:] == (1,) else image[0])
    pixels.flags.writeable = False
    return pixels, Layout.GRAY if pixels.ndim == 2 else Layout.RGB


def spacing_mm(matrix: Any) -> float | None:
    """Edge of a pixel by an image-to-world matrix; None where pixels are not square or nothing was measured."""
    with np.errstate(all="ignore"):
        across, down = (float(np.linalg.norm(np.asarray(matrix)[:3, axis])) for axis in (0, 1))
    if not 0 < across < 100 or abs(across - down) > SQUARE * across or abs(across - 1) < SQUARE:
        return None
    return across
