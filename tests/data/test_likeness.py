"""Copies are found, whatever was done to them; different pictures are not."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge3vt.core.frame import Pixels, Region
from edge3vt.data import likeness
from edge3vt.data.likeness import Print, fingerprint, near_pairs
from edge3vt.picture.images import read_image

REAL = Path(__file__).parents[3] / "shared/data/usgra-seg/train/images"


def tissue(seed: int, size: int = 192) -> Pixels:
    """Structures and speckle, different for each seed."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(0, 160, (7, 7)), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse * rng.uniform(0.7, 1.3, (size, size)) + 20, 0, 255).astype(np.uint8)


def prints_of(pictures: list[Pixels]) -> list[Print]:
    found = [fingerprint(picture) for picture in pictures]
    return [each for each in found if each is not None]


def jpeg(picture: Pixels) -> Pixels:
    data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 40))[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


COPIES: dict[str, tuple[Callable[[Pixels], Pixels], bool]] = {
    "as it is": (lambda p: p, False),
    "other gain": (lambda p: np.clip(p * 1.3 - 12, 0, 255).astype(np.uint8), False),
    "other gamma": (lambda p: (255 * (p / 255.0) ** 0.7).astype(np.uint8), False),
    "compressed": (jpeg, False),
    "half the size": (lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), False),
    "moved by 2 px": (lambda p: np.roll(p, 2, axis=1), False),
    "mirrored": (lambda p: np.ascontiguousarray(p[:, ::-1]), True),
    "mirrored, other gain": (lambda p: np.clip(p[:, ::-1] * 0.8, 0, 255).astype(np.uint8), True),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found_among_others(name: str) -> None:
    change, mirrored = COPIES[name]
    pictures = [tissue(seed) for seed in range(40)]
    prints = prints_of([*pictures, change(pictures[17])])
    pairs = list(near_pairs(prints, range(len(prints))))
    assert [(pair.first, pair.second, pair.mirrored) for pair in pairs] == [(17, 40, mirrored)]


def test_two_of_a_group_are_no_pair() -> None:
    prints = prints_of([tissue(1), tissue(2), tissue(1), tissue(1)])
    assert {(p.first, p.second) for p in near_pairs(prints, [0, 1, 0, 2])} == {(0, 3), (2, 3)}


def test_the_mirror_image_has_the_hash_that_was_foretold() -> None:
    for seed in range(20):
        picture = tissue(seed)
        one, other = prints_of([picture, np.ascontiguousarray(picture[:, ::-1])])
        assert (one.hash ^ other.mirrored).bit_count() <= 2  # rounding may move a value that is next to the median


def test_only_the_region_counts() -> None:
    picture, other = tissue(3), tissue(4)
    region = Region(40, 30, 150, 160)
    other[30:160, 40:150] = picture[30:160, 40:150]
    inside = [each for p in (picture, other) if (each := fingerprint(p, region)) is not None]
    assert inside[0].hash == inside[1].hash
    assert not list(near_pairs(prints_of([picture, tissue(4)]), [0, 1]))


def test_a_picture_of_one_level_has_no_print() -> None:
    assert fingerprint(np.full((50, 60), 9, np.uint8)) is None
    assert fingerprint(tissue(0), Region(5, 5, 5, 9)) is None


def test_pairs_across_blocks_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness, "BLOCK", 4)
    prints = prints_of([tissue(seed % 7) for seed in range(14)])
    assert [(p.first, p.second) for p in near_pairs(prints, range(14))] == [(i, i + 7) for i in range(7)]


def test_ten_thousand_prints_take_little_memory() -> None:
    rng = np.random.default_rng(0)
    smalls = rng.integers(0, 256, (16, 32, 32), dtype=np.uint8)
    codes = rng.integers(0, 1 << 63, (10_000, 2)).tolist()
    prints = [Print(code, mirrored, smalls[i % 16]) for i, (code, mirrored) in enumerate(codes)]
    prints[9_000] = prints[100] = prints_of([tissue(5)])[0]
    tracemalloc.start()
    try:
        pairs = [p for p in near_pairs(prints, range(10_000)) if p.bits == 0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(p.first, p.second) for p in pairs] == [(100, 9_000)]
    assert peak < 200 << 20


def test_a_set_of_copies_gives_its_first_pairs_at_once() -> None:
    prints = prints_of([tissue(5)]) * 3000
    assert len(list(islice(near_pairs(prints, range(3000)), 50))) == 50


@pytest.mark.skipif(not REAL.is_dir(), reason="the real pictures are not here")
def test_a_real_picture_taken_twice_is_found() -> None:
    pictures = [read_image(REAL / f"00{name}.png") for name in ("43", "77", "02", "07", "12")]
    grey = [p if p.ndim == 2 else np.asarray(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), dtype=np.uint8) for p in pictures]
    assert [(p.first, p.second) for p in near_pairs(prints_of(grey), range(5))] == [(0, 1)]
