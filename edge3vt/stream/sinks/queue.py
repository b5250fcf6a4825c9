"""Pictures whose mask the operator called wrong, in a folder that ``edge3vt data import`` takes.

The picture lies in ``unlabelled/``: a mask that is wrong must never become a label. It is kept beside it, in
``rejected/``, for whoever draws the right one.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import wall_label
from edge3vt.core.documents import write_bytes, write_json
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Segmentation
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.colour import FULL_RANGE
from edge3vt.picture.images import write_image
from edge3vt.picture.mask import place

MOST_ITEMS = 500
MOST_BYTES = 512 << 20
RESERVE_BYTES = 64 << 20


class Queue:
    """A folder of at most so many items and bytes. ``add`` says in one line what came of it.

    Each item is a folder that appears whole: the region's picture, its mask, and what made it. Import it with
    ``--patient-from folder:1``, which takes each run for one patient, or ``folder:2``, each picture for one.
    """

    def __init__(self, folder: Path, *, most_items: int = MOST_ITEMS, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._most_items, self._most_bytes = folder, most_items, most_bytes
        self._run = wall_label().replace(":", "").replace("+0000", "Z")

    def add(self, seg: Segmentation, spec: ModelSpec | None = None) -> str:
        """Put the picture with its mask in. Raises OSError or DataError where the folder cannot be written."""
        frame, region = seg.frame, seg.frame.bounds
        if frame.region is None:
            return "not kept: where the ultrasound picture is, is not known"
        if seg.mask is None or seg.crop is None:
            return "not kept: there is no mask"
        self._folder.mkdir(parents=True, exist_ok=True)
        if full := self._full():
            return full
        for torn in self._folder.glob("*/.*.part"):
            shutil.rmtree(torn, ignore_errors=True)
        name = f"{frame.epoch}-{frame.index:06d}"
        item = self._folder / self._run / name
        if item.exists():
            return "kept already"
        classes = spec.classes if spec else CLASS_NAMES
        if not (self._folder / "classes.toml").exists():
            write_bytes(self._folder / "classes.toml", _class_map(classes).encode())
        rows, columns = slice(region.y0, region.y1), slice(region.x0, region.x1)
        partial = item.with_name(f".{name}.part")
        try:
            mask = place(seg.mask, seg.crop, (frame.height, frame.width))
            write_image(partial / "unlabelled" / f"{name}.png", _luma(frame)[rows, columns])
            write_image(partial / "rejected" / f"{name}.png", mask[rows, columns])
            write_json(_record(seg, classes), partial / "record.json")
            partial.rename(item)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return f"mask wrong: kept in {self._folder.name} ({self._items()} of {self._most_items})"

    def _items(self) -> int:
        return sum(1 for _ in self._folder.glob("*/*/record.json"))

    def _full(self) -> str:
        size = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        if self._items() >= self._most_items or size >= self._most_bytes:
            return f"QUEUE FULL: import {self._folder.name}, then empty it"
        if shutil.disk_usage(self._folder).free < RESERVE_BYTES:
            return "QUEUE FULL: less than 64 MiB of the disk are free"
        return ""


def _luma(frame: Frame) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return frame.luma if frame.full_range else FULL_RANGE[frame.luma]


def _class_map(classes: tuple[str, ...]) -> str:
    """A class map that says of the pictures what is true of them: cropped to the region, so nothing stands outside."""
    names = ", ".join(f'"{name}"' for name in classes)
    return f"schema = 1\nclasses = [{names}]\nblanked = true\n"


def _record(seg: Segmentation, classes: tuple[str, ...]) -> dict[str, object]:
    return {
        "schema": 1,
        "model_id": seg.model_id,
        "classes": classes,
        "state": seg.state.value,
        "mask_age_ns": seg.mask_age_ns,
        "shown": seg.shown,
        "withheld": seg.withheld,
        "scores": seg.scores,
        "mm_per_px": seg.frame.mm_per_px,
    }
