"""Single pictures: PNG and JPEG in, PNG out."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from edge3vt.core.documents import write_bytes
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels
from edge3vt.picture.clip import check_size, file_size

SUFFIXES = (".png", ".jpg", ".jpeg")
_MAX_BYTES = 256 << 20
_JPEG_SIZES = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]..\x08(..)(..)", re.DOTALL)


def read_image(path: Path) -> Pixels:
    """A PNG or JPEG file as (H, W) grey or (H, W, 3) RGB uint8; 16-bit depth is reduced, transparency dropped.

    Its samples stay where they are stored, as those of its mask do, whatever its EXIF asks for. The size that the
    header claims is checked before anything is decoded. Raises DataError.
    """
    if file_size(path) > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES >> 20} MiB; this is no picture of a scanner")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    return decoded_image(data, str(path))


def decoded_image(data: bytes, where: str) -> Pixels:
    """The bytes of a PNG or JPEG file, as ``read_image`` gives them; ``where`` names them in the DataError."""
    check_size(*_claimed_size(data, where), where=where)
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise _damaged(where) from error
    if decoded is None:
        raise _damaged(where)
    colour = decoded if decoded.ndim == 2 else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return np.asarray(colour, dtype=np.uint8)


def write_image(path: Path, pixels: Pixels) -> None:
    """Write (H, W) grey or (H, W, 3) RGB as PNG, whole or not at all."""
    write_bytes(path, encoded_png(pixels))


def encoded_png(pixels: Pixels) -> bytes:
    """(H, W) grey or (H, W, 3) RGB as the bytes of a PNG file, compressed lightly."""
    bgr = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes()


def pictures_in(folder: Path) -> list[Path]:
    """PNG and JPEG files of a folder in natural order (2 before 10). Raises DataError where there are none."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror or error}); check the path") from error
    if not paths:
        raise DataError(f"{folder}: holds no pictures, expected {', '.join(SUFFIXES)} files; check the path")
    return sorted(paths, key=lambda path: _pieces(path.name))


def _pieces(name: str) -> list[tuple[bool, int, str]]:
    """The name's numbers by value, before the words between them."""
    pieces = filter(None, re.split(r"([0-9]+)", name.lower()))
    return [(False, int(piece), "") if piece.isascii() and piece.isdigit() else (True, 0, piece) for piece in pieces]


def _claimed_size(data: bytes, where: str) -> tuple[int, int]:
    """(width, height) as the header says."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        if b"IEND" not in data[-64:]:
            raise _damaged(where)
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data.startswith(b"\xff\xd8\xff"):
        sizes = [tuple(int.from_bytes(side, "big") for side in match) for match in _JPEG_SIZES.findall(data)]
        if not sizes or b"\xff\xd9" not in data[-1024:]:
            raise _damaged(where)
        height, width = max(sizes)  # of the picture, not of a thumbnail in its header
        return width, height
    raise DataError(f"{where}: neither a PNG nor a JPEG file; convert it to PNG")


def _damaged(where: str) -> DataError:
    return DataError(f"{where}: a damaged or truncated picture; copy it again")
