"""Soft labels: what a teacher, of whatever tool, thinks of each picture of a data set, in a folder of their own.

``soft.json``, and ``ID.npz`` for each item. In it ``probabilities``, uint8 (C, S, S), 255 for 1.0: of the item's region
in a square of S px, as ``geometry.whole`` lays it; and ``crop``, uint16 (4,), x0, y0, x1, y1 in those px, half-open:
where a teacher that looks closer spoke, zeros where none did.

A folder without ``soft.json`` is what nnU-Net v2 saves with ``--save_probabilities``, the cases named by item: in each
``ID.npz`` only ``probabilities``, float (C, 1, H, W) or (C, H, W), on the pixels of the whole picture.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.anatomy import ClassMap
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import read_json, whole_file, write_json
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Pixels, Region
from edge3vt.data.dataset import MANIFEST, Dataset, Item
from edge3vt.data.geometry import sampled, whole
from edge3vt.data.inspection import region_of

SOFT, SCHEMA = "soft.json", 1
MAX_SIDE, MAX_BYTES = 4096, 1 << 30
TOLERANCE = 0.02  # of the sum of a pixel's probabilities, beside what rounding to 255 levels does
NOWHERE = (0, 0, 0, 0)
Corners = tuple[int, int, int, int]
_UNREADABLE = (  # what zipfile and NumPy raise for damaged or foreign files
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class _Record:
    """made_by: the teacher, in words. dataset_sha256: of the manifest, so that no split is dealt anew unnoticed."""

    schema: int
    dataset: str
    dataset_sha256: str
    classes: tuple[str, ...]
    side: int
    made_by: str
    crop: bool

    def __post_init__(self) -> None:
        ClassMap(self.schema, self.classes)
        if not 1 <= self.side <= MAX_SIDE:
            raise ConfigError(f"the side is {self.side} px, expected 1 to {MAX_SIDE}")
        if not self.made_by.strip():
            raise ConfigError("made_by is empty, expected the teacher's name")


@dataclass(frozen=True, slots=True, eq=False)
class SoftLabels:
    """The soft labels of a data set. made_by is empty, and crop False, where another tool saved them."""

    folder: Path
    classes: tuple[str, ...]
    side: int
    made_by: str
    crop: bool
    items: Mapping[str, Item] = field(repr=False)

    def of(self, id: str) -> tuple[Pixels, Corners]:
        """An item's probabilities, uint8 (C, S, S), and where the crop was, NOWHERE for none. Raises DataError."""
        path, item = self._path(id), self.items[id]
        if not path.is_file():
            raise DataError(f"{path}: no soft label of the item {id}; let the teacher finish")
        if not self.made_by:
            return self._foreign(path, item), NOWHERE
        probabilities, corners = _arrays(path, "probabilities", "crop")
        if corners.shape != (4,) or corners.dtype != np.uint16:
            raise DataError(f"{path}: its crop is {corners.dtype} {corners.shape}, expected uint16 (4,); make it again")
        x0, y0, x1, y1 = (int(corner) for corner in corners)
        return self._checked(probabilities, str(path)), self._corners((x0, y0, x1, y1), str(path))

    def missing(self, items: Iterable[Item]) -> tuple[str, ...]:
        """The ids of those items that have no soft label yet."""
        there = {path.name for path in self.folder.glob("*.npz")}
        return tuple(item.id for item in items if f"{item.id}.npz" not in there)

    def write(self, id: str, probabilities: NDArray[Any], crop: Corners = NOWHERE) -> None:
        """Write an item's soft label, whole or not at all. Raises DataError.

        probabilities: (C, S, S), uint8 with 255 for 1.0, or floats.
        """
        if not self.made_by:
            raise DataError(f"{self.folder}: another tool's soft labels, to which none is added; name a new folder")
        path = self._path(id)
        if probabilities.dtype.kind == "f":
            probabilities = _levels(probabilities, f"the soft label of {id}")
        corners = np.array(self._corners(crop, f"the soft label of {id}"), np.uint16)
        probabilities = self._checked(probabilities, f"the soft label of {id}")
        with whole_file(path) as partial:
            np.savez_compressed(partial, probabilities=probabilities, crop=corners)

    def _path(self, id: str) -> Path:
        if id not in self.items:
            raise DataError(f"{self.folder}: the data set has no item {id!r} to have a soft label")
        return self.folder / f"{id}.npz"

    def _checked(self, probabilities: NDArray[Any], where: str) -> Pixels:
        expected = (len(self.classes), self.side, self.side)
        if probabilities.shape != expected or probabilities.dtype != np.uint8:
            found = f"{probabilities.dtype} {probabilities.shape}"
            raise DataError(f"{where}: its probabilities are {found}, expected uint8 {expected}; make it again")
        _check_sums(probabilities.sum(axis=0, dtype=np.int32) / np.float32(255), len(self.classes) / 510, where)
        return probabilities

    def _corners(self, corners: Corners, where: str) -> Corners:
        x0, y0, x1, y1 = corners
        if corners != NOWHERE and not (self.crop and 0 <= x0 < x1 <= self.side and 0 <= y0 < y1 <= self.side):
            expected = (
                f"x0 < x1 and y0 < y1 within {self.side} px" if self.crop else "zeros, as no teacher looks closer"
            )
            raise DataError(f"{where}: its crop is {corners}, expected {expected}; make it again")
        return corners

    def _foreign(self, path: Path, item: Item) -> Pixels:
        """Another tool's probabilities of the whole picture, as ours: of the region, in a square."""
        (found,) = _arrays(path, "probabilities")
        expected = (len(self.classes), item.height, item.width)
        flat = found[:, 0] if found.ndim == 4 and found.shape[1] == 1 else found
        if flat.shape != expected or found.dtype.kind != "f":
            raise DataError(
                f"{path}: its probabilities are {found.dtype} {found.shape}, expected floats {expected}: "
                f"the data set's {len(self.classes)} classes on the whole picture; predict its exported pictures again"
            )
        region = region_of(item) or Region(0, 0, item.width, item.height)
        if min(region.width, region.height) < 1:
            raise DataError(f"the item {item.id}: its region is empty; import it again")
        levels = _levels(flat, str(path))[:, region.y0 : region.y1, region.x0 : region.x1]
        square = whole(region.height, region.width, self.side)
        return _with_background(np.stack([sampled(level, level, square)[0] for level in levels[1:]]))


def begin_soft(folder: Path, dataset: Dataset, side: int, *, made_by: str, crop: bool) -> SoftLabels:
    """A new folder for soft labels of ``dataset``, or one to go on with: what is ``missing`` is still to be written.

    Raises ConfigError for a folder that holds anything else, or what another teacher made.
    """
    asked = _Record(SCHEMA, dataset.name, _digest(dataset), dataset.classes, side, made_by, crop)
    if (folder / SOFT).is_file():
        found = read_json(_Record, folder / SOFT)
        for name in ("dataset", "dataset_sha256", "classes", "side", "made_by", "crop"):
            if getattr(found, name) != getattr(asked, name):
                raise ConfigError(
                    f"{folder}: holds soft labels whose {name} is {_told(getattr(found, name))}, not "
                    f"{_told(getattr(asked, name))}; name a new folder"
                )
    elif folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise ConfigError(f"{folder}: holds other files; name a new folder")
    else:
        write_json(asked, folder / SOFT)
    return SoftLabels(folder, asked.classes, side, made_by, crop, _by_id(dataset))


def read_soft(folder: Path, dataset: Dataset, side: int, items: Iterable[Item] | None = None) -> SoftLabels:
    """The soft labels in ``folder``, ours or nnU-Net's, which stay on disk, for squares of ``side`` px.

    items: those that must have one, all of the data set by default. Raises DataError, also where the soft labels are
    of other classes or of another state of the data set, or ConfigError.
    """
    if (folder / SOFT).is_file():
        record = read_json(_Record, folder / SOFT)
        if record.classes != dataset.classes:
            raise DataError(
                f"{folder}: soft labels of {', '.join(record.classes)}, expected the data set's classes "
                f"{', '.join(dataset.classes)}; make them with its class map"
            )
        if record.dataset_sha256 != _digest(dataset):
            raise DataError(
                f"{folder}: soft labels of '{record.dataset}' in another state than {dataset.folder} is in: its "
                "pictures or its splits differ; make them again"
            )
        if record.side != side:
            raise DataError(f"{folder}: soft labels of {record.side} px, expected {side}; make them again at that size")
        soft = SoftLabels(folder, record.classes, side, record.made_by, record.crop, _by_id(dataset))
    elif folder.is_dir() and any(folder.glob("*.npz")):
        soft = SoftLabels(folder, dataset.classes, side, "", False, _by_id(dataset))
    else:
        raise DataError(f"{folder}: no soft labels, neither {SOFT} nor an .npz file; check the path")
    wanted = dataset.items if items is None else tuple(items)
    if lacking := soft.missing(wanted):
        raise DataError(
            f"{folder}: {len(lacking)} of {len(wanted)} items have no soft label, the first is {lacking[0]}; "
            "let the teacher finish"
        )
    return soft


def _by_id(dataset: Dataset) -> Mapping[str, Item]:
    return {item.id: item for item in dataset.items}


def _digest(dataset: Dataset) -> str:
    return sha256_file(dataset.folder / MANIFEST)


def _told(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"'{text if len(text) <= 80 else text[:80] + '…'}'"


def _arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Arrays of an archive, by name; none that would run code when it is read. Raises DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            held = {name.removesuffix(".npy"): archive.getinfo(name) for name in archive.namelist()}
            for name in names:
                if name not in held:
                    raise DataError(f"{path}: holds no '{name}', but {', '.join(sorted(held))[:80] or 'nothing'}")
                if held[name].file_size > MAX_BYTES:
                    raise DataError(f"{path}: its '{name}' is larger than {MAX_BYTES >> 20} MiB; this is no soft label")
            read = [BytesIO(archive.read(held[name])) for name in names]  # with the check of their CRC
        return [np.lib.format.read_array(file, allow_pickle=False) for file in read]
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: no readable .npz archive ({reason}); make it again") from error


def _levels(probabilities: NDArray[Any], where: str) -> Pixels:
    """(C, H, W) floats to 255 levels. Raises DataError where they are no probabilities."""
    if probabilities.ndim != 3 or probabilities.shape[0] < 2:
        raise DataError(f"{where}: its probabilities are {probabilities.shape}, expected (classes, height, width)")
    values = probabilities.astype(np.float32, copy=False)
    low, high = (float(end) for end in (values.min(initial=0), values.max(initial=1)))
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):  # NaN is neither
        raise DataError(f"{where}: its probabilities are from {low:g} to {high:g}, expected 0 to 1; save the softmax")
    _check_sums(values.sum(axis=0), 0.0, where)
    return _with_background(np.rint(values[1:].clip(0, 1) * 255).astype(np.uint8))


def _with_background(structures: Pixels) -> Pixels:
    """(C - 1, H, W) levels with the background, what they leave of 255, before them."""
    background = (255 - structures.sum(axis=0, dtype=np.int32)).clip(0, 255).astype(np.uint8)
    return np.concatenate((background[None], structures))


def _check_sums(sums: NDArray[np.float32], rounding: float, where: str) -> None:
    off = np.abs(sums - 1)
    if off.size and float(off.max()) > TOLERANCE + rounding:
        y, x = divmod(int(off.argmax()), sums.shape[1])
        raise DataError(
            f"{where}: its probabilities at x {x}, y {y} add up to {float(sums[y, x]):.3f}, expected 1; save the "
            "softmax over all classes"
        )
