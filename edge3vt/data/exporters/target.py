"""The folder that an export goes to: there whole or not at all, with the class map that reads it back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge3vt.core.digest import read_verified
from edge3vt.core.documents import write_bytes
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import MASKS, PICTURES, VOUCHED, Dataset, Item
from edge3vt.data.inspection import lit_outside, region_of

CLASS_MAP = "classes.toml"
_MARK = "# Exported by edge3vt"


@contextmanager
def whole_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A new folder that takes the name ``out`` on success and is removed on failure.

    Raises ConfigError where ``out`` exists: without ``overwrite``, or being no earlier export; DataError where it
    cannot be written.
    """
    if os.path.lexists(out):
        if not overwrite:
            raise ConfigError(f"{out}: exists already; choose another name, or replace it with --overwrite")
        if not _is_export(out):
            raise ConfigError(f"{out}: is no export of edge3vt, so it is not overwritten; choose another name")
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        partial.mkdir(parents=True)
        yield partial
        if os.path.lexists(out):
            shutil.rmtree(out)
        partial.replace(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error}); choose another output") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def copy_file(dataset: Dataset, item: Item, kind: str, target: Path) -> None:
    """Copy the picture or mask of an item byte for byte. Raises ArtifactError for bytes not the manifest's."""
    wanted = item.picture_sha256 if kind == PICTURES else item.mask_sha256
    path = dataset.folder / kind / f"{item.id}.png"
    data = read_verified(path, wanted or "", remedy="see edge3vt data audit")
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(data)


def copy_pair(dataset: Dataset, item: Item, picture: Path, mask: Path) -> None:
    """Copy the picture of an item, and its mask where it is labelled. Raises ArtifactError as ``copy_file``."""
    copy_file(dataset, item, PICTURES, picture)
    if item.mask_sha256 is not None:
        copy_file(dataset, item, MASKS, mask)


def write_class_map(
    folder: Path, dataset: Dataset, *, labels: Mapping[str, str] | None = None, splits: Iterable[str] = ()
) -> None:
    """The class map with which an import gives the classes in their order.

    It says ``blanked`` unless a picture is lit outside its region, or has none and holds marks like text.
    """
    lines = [f"{_MARK}: the class map to import this folder with.", "schema = 1"]
    lines.append(f"classes = [{', '.join(_text(name) for name in dataset.classes)}]")
    if all(_blanked(dataset, item) for item in dataset.items):
        lines.append("blanked = true")
    for name, table in (("labels", dict(labels or {})), ("splits", {split: split for split in splits})):
        if table:
            lines += ["", f"[{name}]", *(f"{_text(key)} = {_text(value)}" for key, value in table.items())]
    write_bytes(folder / CLASS_MAP, ("\n".join(lines) + "\n").encode())


def _blanked(dataset: Dataset, item: Item) -> bool:
    """Whether nothing stands around the picture: looked at, or somebody's word; a search for text gives none."""
    region = region_of(item)
    if item.facts.get("burnt_in_text") == "yes":
        return False
    return VOUCHED in item.facts.items() if region is None else not lit_outside(dataset.picture(item), region)


def _text(value: str) -> str:
    """A TOML basic string; but for DEL, JSON's escapes are TOML's."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _is_export(out: Path) -> bool:
    path = out / CLASS_MAP
    try:
        return not out.is_symlink() and path.is_file() and path.read_bytes().startswith(_MARK.encode())
    except OSError:
        return False
