"""LabelMe: a picture and a JSON document of polygons for each item, which give the mask back pixel for pixel.

https://github.com/wkentaro/labelme, versions 5 and 6. Each piece of a structure is one polygon and covers no pixel of
another, so that their order does not matter. Its outline runs a quarter of a pixel inside the pixels it encloses: a
pixel is inside both where its centre decides, as on import, and where LabelMe itself draws, which cuts corners down to
whole pixels and draws the outline too. LabelMe's polygons have no holes: the outline goes in along a row of the piece's
own pixels, around the hole, and back the same way.

An item without a mask has no document, as LabelMe has it; a folder without any document is no LabelMe to an import,
so a set without masks goes out as pictures. Splits are not told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.documents import write_bytes, write_json
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import PICTURES, Dataset, Item
from edge3vt.data.exporters.target import copy_file, whole_folder, write_class_map

VERSION = "5.5.0"
Line = NDArray[np.int64]  # (n, 2) x, y on the grid of half pixels
Outline = NDArray[np.float64]  # (n, 2) x, y in pixels, where pixel i reaches from i to i + 1


def export(dataset: Dataset, out: Path, *, overwrite: bool = False) -> int:
    """Write every item; returns their number. Raises ConfigError, DataError or ArtifactError."""
    with whole_folder(out, overwrite=overwrite) as folder:
        for item in dataset.items:
            copy_file(dataset, item, PICTURES, folder / f"{item.id}.png")
            if item.mask_sha256 is not None:
                write_json(_document(item, shapes(dataset.mask(item)), dataset.classes), folder / f"{item.id}.json")
        write_class_map(folder, dataset)
        write_bytes(folder / "labels.txt", "".join(f"{name}\n" for name in dataset.classes).encode())
    return len(dataset.items)


def shapes(mask: Mask) -> list[tuple[int, Outline]]:
    """(label, outline) of every piece of a structure; pieces that touch at a corner are one."""
    fine = cv2.resize(mask, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    found = []
    for label in np.flatnonzero(np.bincount(mask.ravel())).tolist():
        if label:
            lines, tree = cv2.findContours(cv2.inRange(fine, label, label), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            parents = [int(parent) for _, _, _, parent in tree[0]]
            holes: dict[int, list[Line]] = defaultdict(list)
            for line, parent in zip(lines, parents, strict=True):
                holes[parent].append(np.asarray(line[:, 0], dtype=np.int64))
            for index, parent in enumerate(parents):
                if parent < 0:
                    outline = _opened(np.asarray(lines[index][:, 0], dtype=np.int64), holes[index])
                    found.append((label, (_corners(outline) + 0.5) / 2))
    return found


def _opened(outline: Line, holes: Sequence[Line]) -> Line:
    """The outline, led around each hole by way of the first line to the left of the hole's leftmost point.

    What lies between is of the piece itself, and holes further left are in the outline already.
    """
    for hole in sorted(holes, key=lambda hole: int(hole[:, 0].min())):
        start = int(hole[:, 0].argmin())
        x, y = hole[start]
        left = np.flatnonzero((outline[:, 1] == y) & (outline[:, 0] <= x))
        at = int(left[outline[left, 0].argmax()])
        around = np.roll(hole, -start, axis=0)
        outline = np.concatenate((outline[: at + 1], around, around[:1], outline[at:]))
    return outline


def _corners(line: Line) -> Line:
    """A closed line in steps along rows, columns and diagonals without the points between its corners."""
    ahead = np.sign(np.roll(line, -1, axis=0) - line)
    turns = (ahead != np.roll(ahead, 1, axis=0)).any(axis=1)
    return np.asarray(line[turns])


def _document(item: Item, found: Sequence[tuple[int, Outline]], classes: Sequence[str]) -> dict[str, object]:
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [
            {
                "label": classes[label],
                "points": outline.tolist(),
                "group_id": None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for label, outline in found
        ],
        "imagePath": f"{item.id}.png",
        "imageData": None,
        "imageHeight": item.height,
        "imageWidth": item.width,
    }
