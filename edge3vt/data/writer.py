"""Making a data set, item by item: a run that was stopped goes on, and an item is there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType

import numpy as np

from edge3vt.core.anatomy import ClassMap
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ConfigError, DataError, Edge3vtError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.data import books
from edge3vt.data.dataset import MANIFEST, MASKS, PARTIAL, PICTURES, SCHEMA, Dataset, Item, Split, write_items
from edge3vt.picture.images import encoded_png


class Unwritable(DataError):
    """The output cannot be written; what was to be written is sound."""


def clear(folder: Path) -> None:
    """Remove a data set, whole or begun; anything else in ``folder`` stays.

    Raises ConfigError where a run is writing it, Unwritable where it cannot be removed.
    """
    if (folder / MANIFEST).exists() or (folder / PARTIAL).exists():
        handle = books.lock(folder)
        try:
            _wipe(folder)
        finally:
            os.close(handle)


def _wipe(folder: Path) -> None:
    try:
        (folder / PARTIAL).write_bytes(b"")  # killed from here on, the folder is one that was just begun
        (folder / MANIFEST).unlink(missing_ok=True)
        for kind in (PICTURES, MASKS):
            if (folder / kind).exists():
                shutil.rmtree(folder / kind)
        (folder / PARTIAL).unlink()
    except OSError as error:
        raise Unwritable(f"{folder}: cannot be removed ({error.strerror or error}); choose another output") from error


def write_item(
    folder: Path,
    classes: Sequence[str],
    id: str,
    picture: Pixels,
    mask: Mask | None,
    *,
    patient: str,
    source: str,
    mm_per_px: float | None = None,
    split: Split | None = None,
    cine: str | None = None,
    frame: int | None = None,
    facts: Mapping[str, float | str] | None = None,
) -> Item:
    """Write the files of one item into ``folder``; it belongs to the data set once a DatasetWriter takes it.

    picture: (H, W) uint8. mask: of the same shape, indices into ``classes``. Raises DataError for anything else,
    Unwritable where the files cannot be written.
    """
    _check(id, picture, mask, classes)
    present = () if mask is None else tuple(classes[i] for i in np.flatnonzero(np.bincount(mask.ravel())).tolist() if i)
    files = {PICTURES: encoded_png(picture)} | ({} if mask is None else {MASKS: encoded_png(mask)})
    item = Item(
        id=id,
        picture_sha256=sha256_bytes(files[PICTURES]),
        mask_sha256=None if mask is None else sha256_bytes(files[MASKS]),
        patient=patient,
        source=source,
        width=picture.shape[1],
        height=picture.shape[0],
        mm_per_px=mm_per_px,
        classes=present,
        split=split,
        cine=cine,
        frame=frame,
        facts=dict(facts or {}),
    )
    for kind, data in files.items():
        path = folder / kind / f"{id}.png"
        partial = path.with_name(f".{id}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise Unwritable(f"{path}: cannot be written ({error.strerror or error}); choose another output") from error
    return item


class DatasetWriter:
    """Makes a data set item by item; a run that was stopped goes on where it was, with ``resume``.

    Until a normal exit the items stand in ``items.partial.jsonl``, then in the manifest, sorted by id. ``request``
    is what the folder was asked to hold: a run goes on only with the same. Raises ConfigError for a folder that holds
    a data set, another's beginning (without ``overwrite``) or anything else, or that another run is writing.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        classes: Sequence[str],
        *,
        resume: bool,
        overwrite: bool = False,
        request: Mapping[str, str] | None = None,
    ) -> None:
        ClassMap(SCHEMA, tuple(classes))
        self.folder, self.name, self.classes = folder, name, tuple(classes)
        self._head = {"schema": SCHEMA, "name": name, "classes": list(classes), "request": dict(request or {})}
        self._resume, self._overwrite = resume, overwrite
        self._items: dict[str, Item] = {}
        self._cines: set[str] = set()
        self._file: TextIOWrapper | None = None
        self._lock: int | None = None

    def __enter__(self) -> DatasetWriter:
        path = self.folder / PARTIAL
        try:
            names = set(os.listdir(self.folder)) if self.folder.exists() else set()
            if names - {f".{PARTIAL}.part"} and not names & {MANIFEST, PARTIAL}:
                raise ConfigError(f"{self.folder}: holds other files; name a new folder")
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = books.lock(self.folder)
            if (self.folder / MANIFEST).exists() or (path.exists() and not self._resume):
                raise ConfigError(f"{self.folder}: holds a data set; choose another name or add --overwrite")
            try:
                self._keep(books.begun(self.folder, self._head))
            except ConfigError:
                if not self._overwrite:
                    raise
            books.begin(self.folder, self._head, self._items.values())
            for kind in (PICTURES, MASKS):
                (self.folder / kind).mkdir(exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except Edge3vtError:
            self._unlock()
            raise
        except OSError as error:
            self._unlock()
            raise Unwritable(
                f"{self.folder}: cannot be written ({error.strerror or error}); choose another output"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()
        try:
            if not self._items:
                self._remove()
                if kind is None:
                    raise DataError(f"{self.folder}: no item was written; there is no data set")
            elif kind is None:
                self._sweep()
                if hasattr(os, "sync"):
                    os.sync()  # the pictures, before the manifest that tells of them
                items = tuple(self._items[id] for id in sorted(self._items))
                write_items(Dataset(self.folder, self.name, self.classes, ()), items)
                (self.folder / PARTIAL).unlink()
        finally:
            self._unlock()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._items.values())

    def has(self, id: str) -> bool:
        """Whether there is a whole item, or a whole cine, of that id."""
        return id in self._items or id in self._cines

    def add(
        self,
        id: str,
        picture: Pixels,
        mask: Mask | None,
        *,
        patient: str,
        source: str,
        mm_per_px: float | None = None,
        split: Split | None = None,
        cine: str | None = None,
        frame: int | None = None,
        facts: Mapping[str, float | str] | None = None,
    ) -> Item:
        """Write one item; arguments as in ``write_item``."""
        self._check_new(id)
        item = write_item(
            self.folder,
            self.classes,
            id,
            picture,
            mask,
            patient=patient,
            source=source,
            mm_per_px=mm_per_px,
            split=split,
            cine=cine,
            frame=frame,
            facts=facts,
        )
        self.take([item])
        return item

    def take(self, items: Sequence[Item]) -> None:
        """Items whose files ``write_item`` has written, all or none: the pictures of a cine together."""
        if self._file is None:
            raise ValueError("a DatasetWriter takes items inside its with statement")
        for item in items:
            self._check_new(item.id)
        try:
            self._file.write(books.line(items))
            self._file.flush()
        except OSError as error:
            raise Unwritable(f"{self._file.name}: cannot be written ({error.strerror}); free some space") from error
        self._keep(items)

    def settle(self, items: Iterable[Item]) -> None:
        """Let the set hold these of its items, as they are now, and no others."""
        self._items = {item.id: item for item in items}

    def _check_new(self, id: str) -> None:
        if id in self._items:
            raise DataError(f"{self.folder}: the item {id} is there already; name each item differently")

    def _keep(self, items: Iterable[Item]) -> None:
        for item in items:
            self._items[item.id] = item
            if item.cine is not None:
                self._cines.add(item.cine)

    def _sweep(self) -> None:
        """Remove pictures that belong to no item: of a source that was refused half-way, or of a run that was ended."""
        masks = {item.id for item in self._items.values() if item.mask_sha256 is not None}
        for kind, ids in ((PICTURES, self._items.keys()), (MASKS, masks)):
            for path in list((self.folder / kind).iterdir()):
                if path.suffix == ".part" or path.stem not in ids:
                    path.unlink()
        if not masks:
            (self.folder / MASKS).rmdir()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

    def _remove(self) -> None:
        """Leave nothing behind of a data set without items."""
        _wipe(self.folder)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def _check(id: str, picture: Pixels, mask: Mask | None, classes: Sequence[str]) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 2 or picture.size == 0:
        raise DataError(f"{id}: a picture of {picture.dtype} {picture.shape}, expected uint8 (H, W)")
    if mask is None:
        return
    if mask.dtype != np.uint8 or mask.shape != picture.shape:
        raise DataError(f"{id}: a mask of {mask.dtype} {mask.shape}, expected uint8 {picture.shape} as its picture")
    if (largest := int(mask.max())) >= len(classes):
        raise DataError(f"{id}: its mask holds label {largest}, but there are {len(classes)} classes")
