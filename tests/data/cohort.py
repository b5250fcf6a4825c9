"""A small sound data set to plant faults in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge3vt.core.digest import sha256_file
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import MASKS, PICTURES, Dataset, read_dataset, write_items
from edge3vt.data.split import SPLITS
from edge3vt.data.writer import DatasetWriter
from edge3vt.picture.images import write_image

CLASSES = ("background", "vessel", "nerve")
SIDE = 96
REGION = "8,8,88,88"


def tissue(seed: int) -> Pixels:
    """Speckled structures inside REGION, black around it; other ones for each seed."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(0, 160, (7, 7)), (80, 80), interpolation=cv2.INTER_CUBIC)
    picture = np.zeros((SIDE, SIDE), np.uint8)
    picture[8:88, 8:88] = np.clip(coarse * rng.uniform(0.7, 1.3, (80, 80)) + 20, 0, 255).astype(np.uint8)
    return picture


def structures(seed: int) -> Mask:
    rng = np.random.default_rng([seed, 1])
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for label in (1, 2):
        x, y = (int(v) for v in rng.integers(20, 60, 2))
        cv2.ellipse(mask, (x + 10 * label, y), (9, 5), int(rng.integers(0, 180)), 0, 360, label, -1)
    return mask


def make_set(folder: Path, patients: int = 9, each: int = 2) -> Dataset:
    """Patients p0, p1 ... with labelled items p0-0, p0-1 ..., dealt over the three splits in turn."""
    with DatasetWriter(folder, "sound", CLASSES, resume=False) as writer:
        for patient in range(patients):
            for index in range(each):
                seed = patient * each + index
                writer.add(
                    f"p{patient}-{index}",
                    tissue(seed),
                    structures(seed),
                    patient=f"p{patient}",
                    source="test",
                    split=SPLITS[patient % 3],
                    facts={"region": REGION},
                )
    return read_dataset(folder)


def changed(dataset: Dataset, id: str, **fields: Any) -> Dataset:
    """The set with one item's fields replaced in the manifest."""
    items = [replace(item, **fields) if item.id == id else item for item in dataset.items]
    write_items(dataset, items)
    return read_dataset(dataset.folder)


def repainted(dataset: Dataset, id: str, *, picture: Pixels | None = None, mask: Mask | None = None) -> Dataset:
    """The set with one item's files replaced, and the manifest telling their hashes."""
    fields = {}
    for kind, name, pixels in ((PICTURES, "picture_sha256", picture), (MASKS, "mask_sha256", mask)):
        if pixels is not None:
            path = dataset.folder / kind / f"{id}.png"
            write_image(path, pixels)
            fields[name] = sha256_file(path)
    return changed(dataset, id, **fields)
