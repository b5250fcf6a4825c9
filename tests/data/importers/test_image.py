from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame, Layout
from edge3vt.data.importers.image import (
    decoded_luma,
    files_under,
    is_palette,
    luma,
    read_luma,
    shown_levels,
    stored_levels,
)

LABELS = np.repeat(np.array([[0, 1], [2, 1]], np.uint8), 5, axis=1)


def palette(path: Path, levels: np.ndarray = LABELS) -> Path:
    image = Image.fromarray(levels).convert("P")
    image.putdata(levels.ravel().tolist())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(path)
    return path


def test_luma_is_that_of_a_frame() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    assert np.array_equal(luma(rgb), Frame(0, 0, rgb, Layout.RGB).luma)
    assert luma(rgb[..., 0]) is not None
    assert np.array_equal(luma(rgb[..., 0]), rgb[..., 0])


def test_pictures_of_unknown_depth_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 5), 4095, np.uint16))
    with pytest.raises(DataError, match=r"a\.png: 16 bits a sample, so its grey levels are not known"):
        read_luma(tmp_path / "a.png")
    with pytest.raises(DataError, match="its imageData: 16 bits"):
        decoded_luma((tmp_path / "a.png").read_bytes(), "its imageData")
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 5, 3), (0, 0, 255), np.uint8))
    assert np.unique(read_luma(tmp_path / "a.png")).tolist() == [76]
    assert np.array_equal(decoded_luma((tmp_path / "a.png").read_bytes(), ""), read_luma(tmp_path / "a.png"))


def test_a_palette_has_indices_and_colours(tmp_path: Path) -> None:
    path = palette(tmp_path / "a.png")
    assert is_palette(path)
    assert np.array_equal(stored_levels(path), LABELS)
    assert shown_levels(path)[1, 0].tolist() == [0, 128, 0]


def test_few_bits_are_levels_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), 255 * (LABELS > 0).astype(np.uint8), (cv2.IMWRITE_PNG_BILEVEL, 1))
    assert not is_palette(path)
    assert np.array_equal(stored_levels(path), LABELS > 0)
    assert np.unique(shown_levels(path)).tolist() == [0, 255]


def test_masks_that_would_lose_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), LABELS.astype(np.uint16))
    for read in (stored_levels, shown_levels):
        with pytest.raises(DataError, match="16 bits"):
            read(path)
    cv2.imwrite(str(path), np.dstack([LABELS] * 3))
    with pytest.raises(DataError, match="its mask has colours"):
        stored_levels(path)
    cv2.imwrite(str(tmp_path / "a.jpg"), LABELS)
    with pytest.raises(DataError, match="expected one label of 8 bits"):
        stored_levels(tmp_path / "a.jpg")


def test_a_damaged_palette_is_refused(tmp_path: Path) -> None:
    path = palette(tmp_path / "a.png", np.random.default_rng(0).integers(0, 3, (60, 80), dtype=np.uint8))
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 30] ^= 255
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged or truncated"):
        stored_levels(path)


def test_files_come_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.png", ".git/x.png", "a.png", ".a.png", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [p.relative_to(tmp_path).as_posix() for p in files_under(tmp_path, [".png"])] == [
        "a.png",
        "b/1.png",
        "b/2.PNG",
    ]
