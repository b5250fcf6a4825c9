"""Making a data set, item by item: a run that was stopped goes on, and an item is there whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType

import numpy as np

from edge3vt.core.anatomy import ClassMap
from edge3vt.core.digest import sha256_bytes, sha256_file
from edge3vt.core.documents import from_mapping, to_json
from edge3vt.core.errors import ConfigError, DataError, Edge3vtError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import MANIFEST, MASKS, PARTIAL, PICTURES, SCHEMA, Dataset, Item, Split, write_items
from edge3vt.picture.images import encoded_png


class Unwritable(DataError):
    """The output cannot be written; what was to be written is sound."""


def clear(folder: Path) -> None:
    """Remove a data set, whole or begun; anything else in ``folder`` stays. Raises Unwritable."""
    if not (folder / MANIFEST).exists() and not (folder / PARTIAL).exists():
        return
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
    a data set, another's beginning, or anything else.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        classes: Sequence[str],
        *,
        resume: bool,
        request: Mapping[str, str] | None = None,
    ) -> None:
        ClassMap(SCHEMA, tuple(classes))
        self.folder, self.name, self.classes = folder, name, tuple(classes)
        self._head = {"schema": SCHEMA, "name": name, "classes": list(classes), "request": dict(request or {})}
        self._resume = resume
        self._items: dict[str, Item] = {}
        self._cines: set[str] = set()
        self._file: TextIOWrapper | None = None

    def __enter__(self) -> DatasetWriter:
        path = self.folder / PARTIAL
        if (self.folder / MANIFEST).exists() or (path.exists() and not self._resume):
            raise ConfigError(f"{self.folder}: holds a data set; choose another name or add --overwrite")
        partial = path.with_name(f".{PARTIAL}.part")
        try:
            if path.exists():
                self._read_partial(path)
            elif self.folder.exists() and any(other != partial for other in self.folder.iterdir()):
                raise ConfigError(f"{self.folder}: holds other files; name a new folder")
            self.folder.mkdir(parents=True, exist_ok=True)
            # Written anew, so that neither a torn line nor an item that is not whole stays.
            lines = [self._head, *([item] for item in self._items.values())]
            partial.write_text("".join(to_json(line, indent=None) for line in lines), encoding="utf-8")
            partial.replace(path)
            for kind in (PICTURES, MASKS):
                (self.folder / kind).mkdir(exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise Unwritable(
                f"{self.folder}: cannot be written ({error.strerror or error}); choose another output"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()
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
            self._file.write(to_json(list(items), indent=None))
            self._file.flush()
        except OSError as error:
            raise Unwritable(f"{self._file.name}: cannot be written ({error.strerror}); free some space") from error
        self._keep(items)

    def keep(self, ids: Container[str]) -> None:
        """Leave out the items and cines that are not of these ids: their source has changed since the run before."""
        self._items = {id: item for id, item in self._items.items() if (item.cine or id) in ids}

    def _check_new(self, id: str) -> None:
        if id in self._items:
            raise DataError(f"{self.folder}: the item {id} is there already; name each item differently")

    def _keep(self, items: Iterable[Item]) -> None:
        for item in items:
            self._items[item.id] = item
            if item.cine is not None:
                self._cines.add(item.cine)

    def _read_partial(self, path: Path) -> None:
        """Take over what an earlier run has finished and what is still whole on disk."""
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        head = _parsed(lines[0]) if lines else None
        if head is None:  # it ended before its first line was on disk
            return
        if head != self._head:
            before, now = (h if isinstance(h, dict) else {} for h in (head, self._head))
            before, now = ({**h, **h.get("request", {})} for h in (before, now))
            key = next((k for k in now if k != "request" and before.get(k) != now[k]), "request")
            raise ConfigError(
                f"{self.folder}: begun with {key} {before.get(key)!r}, not {now.get(key)!r}; repeat its command, "
                "choose another name or add --overwrite"
            )
        for line in lines[1:]:
            try:
                items = from_mapping(_Line, {"items": _parsed(line)}, where=str(path)).items
            except Edge3vtError:  # torn by a kill: what it tells of is done again
                continue
            if all(self._whole(item) for item in items):
                self._keep(items)

    def _whole(self, item: Item) -> bool:
        hashes = {PICTURES: item.picture_sha256, MASKS: item.mask_sha256}
        paths = {self.folder / kind / f"{item.id}.png": wanted for kind, wanted in hashes.items() if wanted is not None}
        return all(path.is_file() and sha256_file(path) == wanted for path, wanted in paths.items())

    def _sweep(self) -> None:
        """Remove pictures that belong to no item: of a source that was refused half-way, or of a run that was ended."""
        masks = {item.id for item in self._items.values() if item.mask_sha256 is not None}
        for kind, ids in ((PICTURES, self._items.keys()), (MASKS, masks)):
            for path in list((self.folder / kind).iterdir()):
                if path.suffix == ".part" or path.stem not in ids:
                    path.unlink()
        if not masks:
            (self.folder / MASKS).rmdir()

    def _remove(self) -> None:
        """Leave nothing behind of a data set without items."""
        clear(self.folder)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


@dataclass(frozen=True, slots=True)
class _Line:
    items: tuple[Item, ...]


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _check(id: str, picture: Pixels, mask: Mask | None, classes: Sequence[str]) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 2 or picture.size == 0:
        raise DataError(f"{id}: a picture of {picture.dtype} {picture.shape}, expected uint8 (H, W)")
    if mask is None:
        return
    if mask.dtype != np.uint8 or mask.shape != picture.shape:
        raise DataError(f"{id}: a mask of {mask.dtype} {mask.shape}, expected uint8 {picture.shape} as its picture")
    if (largest := int(mask.max())) >= len(classes):
        raise DataError(f"{id}: its mask holds label {largest}, but there are {len(classes)} classes")
