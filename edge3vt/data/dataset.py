"""A data set: a folder with one manifest, ``dataset.json``, ``pictures/ID.png`` and ``masks/ID.png``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge3vt.core.anatomy import ClassMap
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.picture.images import read_image

MANIFEST, PARTIAL, PICTURES, MASKS = "dataset.json", "items.partial.jsonl", "pictures", "masks"
SCHEMA = 1
VOUCHED = ("outside", "blanked, by the word of whoever imported it")  # a fact of pictures without a region
Split = Literal["train", "validation", "test"]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a data set, and its mask where it is labelled.

    id: names its files; never made from what a DICOM header says. patient: who, or which acquisition, it shows.
    source: the file it came from, as far as that may be told. classes: the names that its mask holds, without
    background. cine, frame: the cine that it is a picture of, and its place there. facts: what else is known, such
    as a phantom's truth; "region" is the ultrasound picture's rectangle, "x0,y0,x1,y1", half-open.
    """

    id: str
    picture_sha256: str
    mask_sha256: str | None
    patient: str
    source: str
    width: int
    height: int
    mm_per_px: float | None
    classes: tuple[str, ...]
    split: Split | None = None
    cine: str | None = None
    frame: int | None = None
    facts: dict[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise DataError(f"the item id {self.id[:80]!r} is no plain file name, expected letters, digits, . _ and -")


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A data set as its manifest tells of it."""

    folder: Path
    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]

    def picture(self, item: Item) -> Pixels:
        """(H, W) grey levels. Raises DataError."""
        return _grey(self.folder / PICTURES / f"{item.id}.png")

    def mask(self, item: Item) -> Mask:
        """(H, W) class indices of a labelled item. Raises DataError."""
        if item.mask_sha256 is None:
            raise DataError(f"{self.folder}: the item {item.id} is not labelled; leave it out here")
        return _grey(self.folder / MASKS / f"{item.id}.png")

    def of(self, split: str | None) -> tuple[Item, ...]:
        """The items of a split; None: those that have none yet."""
        return tuple(item for item in self.items if item.split == split)


@dataclass(frozen=True, slots=True)
class _Manifest:
    schema: int
    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]

    def __post_init__(self) -> None:
        ClassMap(self.schema, self.classes)
        seen: set[str] = set()
        for item in self.items:
            if item.id in seen:
                raise DataError(f"the item {item.id} stands twice, expected once; import the data set again")
            seen.add(item.id)
            if unknown := set(item.classes) - set(self.classes):
                raise DataError(
                    f"the item {item.id} holds the class '{min(unknown)}', which the data set does not have"
                )


def read_dataset(folder: Path) -> Dataset:
    """The data set in ``folder``; its pictures stay on disk. Raises DataError or ConfigError."""
    path = folder / MANIFEST
    if not path.is_file():
        unfinished = (folder / PARTIAL).exists()
        remedy = "repeat the command that makes it, it goes on" if unfinished else "check the path"
        raise DataError(f"{folder}: {'an unfinished' if unfinished else 'no'} data set (no {MANIFEST}); {remedy}")
    manifest = read_json(_Manifest, path)
    return Dataset(folder, manifest.name, manifest.classes, manifest.items)


def write_items(dataset: Dataset, items: Iterable[Item]) -> None:
    """Replace the manifest of ``dataset`` by one with these items, whole."""
    write_json(_Manifest(SCHEMA, dataset.name, dataset.classes, tuple(items)), dataset.folder / MANIFEST)


def _grey(path: Path) -> Pixels:
    pixels = read_image(path)
    if pixels.ndim != 2:
        raise DataError(f"{path}: a picture in colour, expected grey; import the data set again")
    return pixels
