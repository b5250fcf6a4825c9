"""One item's files, looked at in a child process: are they what the manifest says, and what do they hold?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.digest import sha256_file
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels, Region
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import MASKS, PICTURES, Item
from edge3vt.data.lettering import words
from edge3vt.data.likeness import Print, fingerprint
from edge3vt.data.rules import FLAT, SATURATED
from edge3vt.picture.images import read_image

Trouble = tuple[str, str]  # a rule of the audit, and what was found


@dataclass(frozen=True, slots=True)
class Job:
    """An item to look at, of a data set with ``classes``."""

    folder: Path
    classes: tuple[str, ...]
    item: Item

    def __str__(self) -> str:
        return self.item.id


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What was seen. levels: (256,) pixels of each grey level inside the region; pixels: (C,) those of each class."""

    troubles: tuple[Trouble, ...]
    print: Print | None
    levels: NDArray[np.int64]
    pixels: NDArray[np.int64]


def region_of(item: Item) -> Region | None:
    """The rectangle of the ultrasound picture within the picture, where it is known. Raises DataError."""
    told = item.facts.get("region")
    if told is None:
        return None
    try:
        x0, y0, x1, y1 = (int(side) for side in str(told).split(","))
    except ValueError:
        raise DataError(f"{item.id}: its region is {told!r}, expected x0,y0,x1,y1; import it again") from None
    return Region(x0, y0, x1, y1).clipped(item.width, item.height)


def inspect(job: Job) -> Look:
    """Look at the picture and the mask of an item. Raises DataError where its region is none."""
    item, region = job.item, region_of(job.item)
    troubles: list[Trouble] = []
    picture = _read(job, PICTURES, item.picture_sha256, troubles)
    mask = None if item.mask_sha256 is None else _read(job, MASKS, item.mask_sha256, troubles)
    size = (item.height, item.width)
    if picture is not None and picture.shape != size:
        told = f"the manifest says {_told(size)}"
        troubles.append(("size-mismatch", f"its picture is {_told(picture.shape)}, but {told}"))
        picture = None
    if mask is not None and mask.shape != size:
        troubles.append(("size-mismatch", f"its mask is {_told(mask.shape)}, but its picture {_told(size)}"))
        mask = None
    if mask is not None:
        troubles += _of_mask(mask, job)
    if str(item.facts.get("burnt_in_text", "")).lower() == "yes":
        troubles.append(("burnt-in", "its DICOM header says that text is burnt into the picture"))
    pixels, levels = np.zeros(len(job.classes), np.int64), np.zeros(256, np.int64)
    if mask is not None:
        pixels = np.bincount(mask.ravel(), minlength=len(pixels))[: len(pixels)]
    seen = None
    if picture is not None:
        part = picture if region is None else picture[region.y0 : region.y1, region.x0 : region.x1]
        levels = np.bincount(part.ravel(), minlength=256)
        troubles += [
            *_of_picture(picture, region),
            *_of_levels(levels, shows_nothing=mask is not None and not mask.any()),
        ]
        seen = fingerprint(picture, region)
    return Look(tuple(troubles), seen, levels, pixels)


def printed(job: Job) -> Print | None:
    """The print of an item's picture, as an audit compares it. Raises DataError."""
    return fingerprint(read_image(job.folder / PICTURES / f"{job.item.id}.png"), region_of(job.item))


def lit_outside(picture: Pixels, region: Region) -> int:
    """How many pixels of a (H, W) picture outside its region are not black."""
    inside = picture[region.y0 : region.y1, region.x0 : region.x1]
    return int(np.count_nonzero(picture) - np.count_nonzero(inside))


def percentile(levels: NDArray[np.int64], percent: float) -> int:
    """The grey level that ``percent`` of the pixels do not exceed."""
    return int(np.searchsorted(np.cumsum(levels), percent / 100 * levels.sum()))


def _read(job: Job, kind: str, wanted: str, troubles: list[Trouble]) -> Pixels | None:
    """(H, W) of a file that is as the manifest says; None with a trouble for any other."""
    path = job.folder / kind / f"{job.item.id}.png"
    if not path.is_file():
        troubles.append(("file-missing", f"{kind}/{path.name} is not there"))
        return None
    try:
        found = sha256_file(path)
        if found != wanted:
            troubles.append(("file-changed", f"SHA-256 of {kind}/{path.name} is {found[:12]}…, not {wanted[:12]}…"))
            return None
        pixels = read_image(path)
    except (DataError, OSError):
        troubles.append(("file-unreadable", f"{kind}/{path.name} cannot be read as a picture"))
        return None
    if pixels.ndim != 2:
        troubles.append(("file-unreadable", f"{kind}/{path.name} is in colour, expected grey"))
        return None
    return pixels


def _of_mask(mask: Mask, job: Job) -> Iterator[Trouble]:
    labels = np.flatnonzero(np.bincount(mask.ravel())).tolist()
    known = len(job.classes)
    if labels[-1] >= known:
        yield "unknown-label", f"its mask holds label {labels[-1]}, but there are {known} classes"
        return
    if labels == [0]:
        if job.item.facts.get("view") != "no":  # a phantom's picture beside the view holds nothing on purpose
            yield "empty-mask", "its mask is all background"
    elif len(labels) == 1:
        yield "one-class-mask", f"its mask is all {job.classes[labels[0]]}"
    held = tuple(job.classes[label] for label in labels if label)
    if set(held) != set(job.item.classes):
        told = ", ".join(job.item.classes) or "none"
        yield "classes-wrong", f"its mask holds {', '.join(held) or 'no class'}, the manifest says {told}"


def _of_picture(picture: Pixels, region: Region | None) -> Iterator[Trouble]:
    if region is not None and (lit := lit_outside(picture, region)):
        yield "outside-lit", f"{lit} pixels outside its region are not black and may hold text"
    found = words(picture)
    if found:
        one = found[0]
        places = f"{len(found)} places, as" if len(found) > 1 else "one place,"
        rule = "text-unblanked" if region is None else "text-like"
        yield rule, f"marks like text in {places} at x {one.x0}, y {one.y0}"


def _of_levels(levels: NDArray[np.int64], *, shows_nothing: bool) -> Iterator[Trouble]:
    seen = np.flatnonzero(levels)
    if len(seen) < 2 and shows_nothing:
        return
    if len(seen) < 2:
        yield "blank-picture", f"its picture is all of level {seen[0]}" if len(seen) else "its region is empty"
        return
    low, high = percentile(levels, 1), percentile(levels, 99)
    if high - low < FLAT:
        yield "flat-picture", f"its grey levels run from {low} to {high} (1st to 99th percentile)"
    share = levels[255] / levels.sum()
    if share > SATURATED:
        yield "saturated-picture", f"{share:.0%} of its pixels are at level 255"


def _told(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} px"
