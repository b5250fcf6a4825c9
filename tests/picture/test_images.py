from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from edge3vt.core.errors import DataError
from edge3vt.picture.images import pictures_in, read_image, write_image

GREY = np.random.default_rng(0).integers(0, 256, (30, 41), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (30, 41, 3), dtype=np.uint8)


@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "rgb"])
def test_png_comes_back_as_it_was(tmp_path: Path, pixels: np.ndarray) -> None:
    write_image(tmp_path / "a.png", pixels)
    assert np.array_equal(read_image(tmp_path / "a.png"), pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_jpeg_is_read_in_its_colours(tmp_path: Path) -> None:
    red = np.full((40, 40, 3), (250, 10, 10), np.uint8)
    cv2.imwrite(str(tmp_path / "a.jpg"), red[..., ::-1])
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - red).max() < 12


def turned(path: Path, pixels: np.ndarray, orientation: int) -> None:
    """A JPEG whose EXIF asks to be turned."""
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    image.save(path, exif=exif, quality=100)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_samples_stay_where_they_are_stored(tmp_path: Path, orientation: int) -> None:
    """As those of a mask do, which has no EXIF."""
    turned(tmp_path / "a.jpg", GREY, orientation)
    found = read_image(tmp_path / "a.jpg")
    assert found.shape == GREY.shape
    assert np.abs(found.astype(int) - GREY).max() < 12


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), GREY.astype(np.uint16) * 257)
    assert np.array_equal(read_image(tmp_path / "a.png"), GREY)


def bomb() -> bytes:
    """A PNG header that claims 60000 x 60000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    end = b"IEND"
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, end)
    )


def spoiled(kind: str) -> bytes:
    png = cv2.imencode(".png", RGB)[1].tobytes()
    jpeg = cv2.imencode(".jpg", RGB)[1].tobytes()
    return {
        "empty": b"",
        "text": b"this is no picture, whatever its name says",
        "png cut": png[: len(png) // 2],
        "jpeg cut": jpeg[: len(jpeg) // 2],
        "bomb": bomb(),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", "empty"),
        ("text", "neither a PNG nor a JPEG"),
        ("png cut", "truncated"),
        ("jpeg cut", "truncated"),
        ("bomb", "claims 60000x60000 px"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(tmp_path: Path, kind: str, said: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(spoiled(kind))
    with pytest.raises(DataError) as refused:
        read_image(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_picture_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(DataError, match="is a folder"):
        read_image(tmp_path)


def test_pictures_are_listed_in_natural_order(tmp_path: Path) -> None:
    for name in ("b10.png", "b9.PNG", "b2.jpg", "a.jpeg", "notes.txt", ".hidden.png", "10.png", "9.png"):
        (tmp_path / name).touch()
    assert [p.name for p in pictures_in(tmp_path)] == ["9.png", "10.png", "a.jpeg", "b2.jpg", "b9.PNG", "b10.png"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no pictures"):
        pictures_in(tmp_path)
    with pytest.raises(DataError, match="No such file"):
        pictures_in(tmp_path / "none")
