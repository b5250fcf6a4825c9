"""Pictures and masks of a prepared folder, as importers need them: luma, or the samples that stand for classes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.picture.images import decoded_image, read_image

_GREY, _PALETTE = 0, 3  # a PNG's colour types


def files_under(root: Path, suffixes: Iterable[str]) -> Iterator[Path]:
    """The files at and under ``root`` with one of these suffixes, sorted; hidden ones are left out."""
    wanted = tuple(suffixes)
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in sorted(names):
            path = Path(folder, name)
            if name[0] != "." and path.suffix.lower() in wanted and path.is_file():
                yield path


def luma(pixels: Pixels) -> Pixels:
    """(H, W) grey as it is, (H, W, 3) RGB as BT.601 luma."""
    return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def read_luma(path: Path) -> Pixels:
    """The picture in a file as luma. Raises DataError, also for 16 bits: nobody knows how many of them are used."""
    return _shallow_luma(read_image(path), _head(path), str(path))


def decoded_luma(data: bytes, where: str) -> Pixels:
    """The picture in the bytes of a file, as ``read_luma`` gives it; ``where`` names them in the DataError."""
    return _shallow_luma(decoded_image(data, where), data, where)


def is_turned(path: Path) -> bool:
    """Whether the EXIF of a picture asks a program to turn or mirror it, or cannot be read."""
    with warnings.catch_warnings():  # PIL warns of odd files, which are judged here
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as image:
                return bool(image.getexif().get(ExifTags.Base.Orientation, 1) != 1)
        except Exception:  # PIL raises whatever the damage leads to
            return True


def is_palette(path: Path) -> bool:
    """Whether a file is a PNG with a palette."""
    return _png_kind(_head(path))[1] == _PALETTE


def stored_levels(path: Path) -> Mask:
    """(H, W) samples as they stand in a PNG of at most 8 bits: palette indices or grey levels. Raises DataError."""
    shown = read_image(path)
    depth, kind = _png_kind(_head(path))
    if kind == _PALETTE:
        try:
            with Image.open(path, formats=("PNG",)) as image:
                return np.asarray(image, dtype=np.uint8)
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"{path}: a damaged or truncated picture; copy it again") from error
    if kind != _GREY or depth > 8 or shown.ndim != 2:
        what = "16 bits a sample" if depth > 8 else "colours"
        raise DataError(f"{path}: its mask has {what}, expected one label of 8 bits a pixel; convert it to 8-bit PNG")
    return np.asarray(shown // (255 // (2**depth - 1)), dtype=np.uint8)


def shown_levels(path: Path) -> Pixels:
    """A mask as one sees it: (H, W) grey or (H, W, 3) RGB. Raises DataError, also for what loses labels in 8 bits."""
    if _png_kind(_head(path))[0] > 8:
        raise DataError(f"{path}: its mask has 16 bits a sample, expected 8; convert it to 8-bit PNG")
    return read_image(path)


def _shallow_luma(pixels: Pixels, head: bytes, where: str) -> Pixels:
    if _png_kind(head)[0] > 8:
        raise DataError(f"{where}: 16 bits a sample, so its grey levels are not known; convert it to 8 bits")
    return luma(pixels)


def _head(path: Path) -> bytes:
    """Signature and header of a PNG."""
    try:
        with path.open("rb") as file:
            return file.read(26)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error


def _png_kind(head: bytes) -> tuple[int, int]:
    """(bits a sample, colour type) of a PNG; (8, -1) of anything else."""
    if len(head) < 26 or not head.startswith(b"\x89PNG\r\n\x1a\n") or head[24] not in (1, 2, 4, 8, 16):
        return 8, -1
    return head[24], head[25]
