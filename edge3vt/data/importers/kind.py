"""Which format a source is in, where that is plain."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.importers import dicom, video
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.pictures import UNLABELLED
from edge3vt.picture.images import SUFFIXES

Format = Literal["pictures", "labelme", "nnunet", "dicom", "video"]
_HEAD_BYTES = 64 << 10  # LabelMe writes the shapes first


def kind_of(source: Path, labels: LabelMap | None = None) -> Format:
    """The one format of a file or a folder. Raises DataError where none is seen, ConfigError where several are."""
    if not source.exists():
        raise DataError(f"{source}: is not there; check the path")
    if (source / "dataset.json").is_file() and (source / "imagesTr").is_dir():
        return "nnunet"
    found: list[Format] = []
    for path in _files(source):
        kind = _kind(path, source, labels.pictures if labels else "images")
        if kind and kind not in found:
            found.append(kind)
        if len(found) > 1:
            raise ConfigError(f"{source}: holds {' and '.join(found)}; choose one with --format")
    if not found:
        raise DataError(
            f"{source}: no pictures in images/, LabelMe, nnU-Net, DICOM or video files (a link to a folder is not "
            "followed); check the path or add --format"
        )
    return found[0]


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for folder, folders, names in os.walk(source):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names) if name[0] != ".")


def _kind(path: Path, source: Path, pictures: str) -> Format | None:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        folders = (source.name, *path.relative_to(source).parts)[:-1]
        return "pictures" if pictures in folders or UNLABELLED in folders else None
    if suffix in video.SUFFIXES:
        return "video"
    if suffix == ".json":
        return "labelme" if _has_shapes(path) else None
    return "dicom" if dicom.is_dicom(path) else None


def _has_shapes(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b'"shapes"' in file.read(_HEAD_BYTES)
    except OSError:
        return False
