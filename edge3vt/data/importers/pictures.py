"""Folders of pictures and of masks: ``images/NAME.png`` and ``masks/NAME.png``, at whatever depth of the source.

Pictures in folders named ``unlabelled`` are items without masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import Split
from edge3vt.data.importers.image import files_under, is_palette, read_luma, shown_levels, stored_levels
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.raw import Job, Raw
from edge3vt.picture.images import SUFFIXES

UNLABELLED = "unlabelled"


@dataclass(frozen=True, slots=True)
class Pair(Job):
    """files: a picture and, where it is labelled, its mask. colours: 0xRRGGBB -> class. stored: a palette's indices
    count, not its colours."""

    colours: tuple[tuple[int, int], ...] = ()
    stored: bool = False


def find(root: Path, labels: LabelMap) -> list[Pair]:
    """A job for each picture, and for each mask without one. Raises DataError or ConfigError where there are none."""
    colours, stored = tuple(labels.colours().items()), labels.levels()
    if not root.is_dir():
        raise DataError(f"{root}: is no folder; name the one that holds {labels.pictures}/ and {labels.masks}/")
    jobs = []
    for folder in _folders(root, UNLABELLED):
        if labels.pictures not in folder.relative_to(root).parts:  # there they need masks as all others do
            for path in (path for paths in _by_name(folder).values() for path in paths):
                jobs.append(Pair((path,), path.relative_to(root).as_posix(), _split(folder, root, labels)))
    for folder in _folders(root, labels.pictures):
        split = _split(folder, root, labels)
        masks = _by_name(folder.parent / labels.masks) if labels.masks else {}
        if labels.masks and not masks:
            raise DataError(
                f"{folder}: no masks in {labels.masks}/ beside it; name their folder as 'masks' in the class map"
            )
        pictures = _by_name(folder)
        for name in sorted(pictures.keys() | masks.keys()):
            files = (*pictures.get(name, ()), *masks.get(name, ()))
            relative = files[0].relative_to(root if files[0].is_relative_to(root) else root.parent).as_posix()
            jobs.append(Pair(files, relative, split, _fault(name, pictures, masks, labels), colours, stored))
    if not jobs:
        raise DataError(
            f"{root}: holds no {labels.pictures}/ with pictures (a link to a folder is not followed); name it as "
            "'pictures' in the class map"
        )
    return jobs


def read(job: Pair) -> Iterator[Raw]:
    """The one picture of a job. Raises DataError."""
    if job.fault:
        raise DataError(f"{job}: {job.fault}")
    picture = read_luma(job.files[0])
    if len(job.files) == 1:
        yield Raw(picture)
        return
    path = job.files[1]
    levels = stored_levels(path) if job.stored and is_palette(path) else shown_levels(path)
    if levels.shape[:2] != picture.shape:
        raise DataError(
            f"{path}: its mask is {levels.shape[1]}x{levels.shape[0]} px, its picture "
            f"{picture.shape[1]}x{picture.shape[0]} px; export both at one size"
        )
    yield Raw(picture, _classes(levels, dict(job.colours), path))


def _classes(levels: Pixels, colours: dict[int, int], path: Path) -> Mask:
    """Class indices of the colours or levels of a mask; every one must be known."""
    weights = [0x010101] if levels.ndim == 2 else [0x010000, 0x000100, 0x000001]
    codes = np.zeros(levels.shape[:2], np.uint32)
    for plane, weight in zip(np.atleast_3d(levels).transpose(2, 0, 1), weights, strict=True):
        codes += plane * np.uint32(weight)
    mask: Mask = np.full(levels.shape[:2], 255, np.uint8)  # there are 64 classes at most
    for colour, label in colours.items():
        mask[codes == colour] = label
    unknown = np.flatnonzero(mask == 255)
    if unknown.size:
        y, x = divmod(int(unknown[0]), mask.shape[1])
        raise DataError(
            f"{path}: #{int(codes[y, x]):06x} at x {x}, y {y} ({unknown.size} pixels) is not in the class "
            "map; add it to 'labels', or save the mask without smoothing"
        )
    return mask


def _split(folder: Path, root: Path, labels: LabelMap) -> Split | None:
    return next((labels.splits[part] for part in folder.relative_to(root).parts if part in labels.splits), None)


def _folders(root: Path, name: str) -> list[Path]:
    """Every folder of that name at and under ``root``."""
    if not name or Path(name).name != name:
        raise ConfigError(f"class map: pictures is '{name}', expected the name of a folder")
    found = {path.parent for path in files_under(root, SUFFIXES)}
    above = {folder for path in found for folder in (path, *path.parents) if folder.is_relative_to(root)}
    return sorted(folder for folder in above if folder.name == name)


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """The pictures of a folder by their path in it, without suffix."""
    found: dict[str, list[Path]] = {}
    for path in files_under(folder, SUFFIXES):
        found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return found


def _fault(name: str, pictures: dict[str, list[Path]], masks: dict[str, list[Path]], labels: LabelMap) -> str:
    stem = name[-40:]
    if len(pictures.get(name, ())) > 1 or len(masks.get(name, ())) > 1:
        return f"several files are named {stem!r} but for their suffix; keep one"
    if name not in pictures:
        return f"no picture {stem!r} in {labels.pictures}/; add it, or remove the mask"
    if labels.masks and name not in masks:
        return f"no mask {stem!r} in {labels.masks}/; add it, or leave the picture out"
    return ""
