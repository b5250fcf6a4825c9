"""What a teacher says of pictures: its soft labels, made once, in a folder, whoever the teacher is.

A full-frame teacher sees the whole region; a crop teacher, where there is one, sees the square around the structures
at the scanner's own resolution, and its word replaces the other's there, averaged by area onto the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch.nn import functional

from edge3vt.core.digest import sha256_file
from edge3vt.core.errors import ArtifactError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.data.augment import Augmentation, draw_geometry
from edge3vt.data.dataset import read_dataset
from edge3vt.data.geometry import Geometry, sampled, whole
from edge3vt.data.soft import NOWHERE, SoftLabels, begin_soft, read_soft
from edge3vt.learn.pictures import SIDE, Pictures, Progress
from edge3vt.learn.recipe import Teacher
from edge3vt.learn.weights import Weights, find_weights, load_foreign, load_weights

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in px of the soft labels, half-open."""
Probabilities = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The opened full-frame teacher, and the crop teacher where there is one."""

    full: Weights
    crop: Weights | None
    teacher: Teacher

    def says(self, pixels: Pixels, mask: Mask | None, mm_per_px: float | None) -> tuple[Probabilities, Box]:
        """(C, s, s) probabilities of a square picture of SIDE px, and where the crop teacher spoke.

        mask: the label, which places the crop; without one the full-frame teacher's own answer places it.
        """
        side, looks = self.teacher.side, self.teacher.looks
        said = looked(self.full, pixels, whole(SIDE, SIDE, self.full.spec.height), side, looks)
        if self.crop is None:
            return said, NOWHERE
        if mask is None:
            mask = most_likely(said)
        if not mask.any():
            return said, NOWHERE
        (left, top, edge), geometry = _square(mask, mm_per_px, side, self.crop.spec.height)
        near = looked(self.crop, pixels, geometry, edge, looks)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + edge, side), min(top + edge, side)
        said[:, y0:y1, x0:x1] = near[:, y0 - top : y1 - top, x0 - left : x1 - left]
        return said, (x0, y0, x1, y1)


def taught(
    fabric: Fabric,
    teacher: Teacher,
    folders: Sequence[Path],
    pictures: Pictures,
    classes: Sequence[str],
    soft: Path,
    told: Progress,
) -> Pictures:
    """``pictures`` with a teacher's soft labels, read from ``soft``/SET or made there first.

    Where a picture has no label, its mask becomes the teacher's. Each process makes its share. Raises Edge3vtError.
    """
    places = {id: n for n, id in enumerate(pictures.ids)}
    labels = np.empty((len(pictures), len(classes), teacher.side, teacher.side), np.uint8)
    spoke = np.zeros((len(pictures), 4), np.int64)
    done = 0
    for folder in folders:
        dataset = read_dataset(folder)
        items = [item for item in dataset.items if item.id in places]
        kept = soft / folder.resolve().name
        if teacher.full is not None:
            begin = partial(begin_soft, kept, dataset, teacher.side, made_by=_named(teacher), crop=bool(teacher.crop))
            if fabric.is_global_zero:
                begin()
            fabric.barrier()
            kept_soft = begin()
            missing = [places[id] for id in kept_soft.missing(items)]
            mine = [n for n in missing if n % fabric.world_size == fabric.global_rank]
            _teach(teacher, kept_soft, pictures, mine, told)
            fabric.barrier()
        found = read_soft(kept, dataset, teacher.side, items)
        for item in items:
            n = places[item.id]
            labels[n], spoke[n] = found.of(item.id)
            if not pictures.labelled[n]:
                pictures.masks[n] = most_likely(labels[n])
            done += 1
            told(done, len(pictures))
    return replace(pictures, soft=labels, spoke=spoke)


def open_teacher(teacher: Teacher, classes: Sequence[str]) -> Pair:
    """Open the weights that a recipe names. Raises ArtifactError where they are for other classes."""
    opened: list[Weights | None] = []
    for name, network in ((teacher.full, teacher.network), (teacher.crop, None)):
        weights = None
        if name is not None and network is not None:
            weights = load_foreign(find_weights(name), network, classes, teacher.side)
        elif name is not None:
            weights = load_weights(find_weights(name))
        if weights is not None and weights.spec.classes != tuple(classes):
            raise ArtifactError(
                f"{name}: teaches {', '.join(weights.spec.classes)}, the data set has {', '.join(classes)}; "
                "train a teacher on its classes"
            )
        opened.append(weights)
    assert opened[0] is not None
    return Pair(opened[0], opened[1], teacher)


def _teach(teacher: Teacher, soft: SoftLabels, pictures: Pictures, missing: Sequence[int], told: Progress) -> None:
    if not missing:
        return
    pair = open_teacher(teacher, soft.classes)
    for done, n in enumerate(missing):
        mask = pictures.masks[n] if pictures.labelled[n] else None
        scale = float(pictures.mm_per_px[n])
        soft.write(pictures.ids[n], *pair.says(pictures.pixels[n], mask, scale if scale == scale else None))
        told(done, len(missing))


def _named(teacher: Teacher) -> str:
    """The teacher in words, by the digests of its weights, so that another one's soft labels are refused."""
    names = [f"{name} {sha256_file(find_weights(name))[:16]}" for name in (teacher.full, teacher.crop) if name]
    return f"{' with crops by '.join(names)}, {teacher.looks} looks"


def most_likely(probabilities: Pixels | Probabilities) -> Mask:
    """(SIDE, SIDE) classes of (C, s, s) probabilities of any scale, enlarged bilinearly before they are compared."""
    best = np.zeros((SIDE, SIDE), np.uint8)
    highest = cv2.resize(probabilities[0], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    for n, plane in enumerate(probabilities[1:], 1):
        if not plane.any():
            continue
        value = cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        best[value > highest] = n
        highest = np.maximum(highest, value)
    return best


@torch.inference_mode()
def looked(weights: Weights, pixels: Pixels, geometry: Geometry, side: int, looks: int) -> Probabilities:
    """(C, side, side) probabilities of the square that ``geometry`` cuts, the mean over turned and mirrored looks."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = weights.model.to(device)
    seen = torch.from_numpy(sampled(pixels, np.zeros_like(pixels), geometry)[0])[None, None].float()
    turns = [(k, flip) for flip in (False, True) for k in range(4)][:: 8 // looks]
    batch = torch.cat([_turned(seen, k, flip) for k, flip in turns]).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        logits = model(batch.contiguous(memory_format=torch.channels_last))[0]
    probability = logits.float().softmax(dim=1).cpu()
    size = probability.shape[-1]
    if size != side:
        mode = "area" if size > side else "bilinear"
        probability = functional.interpolate(probability, size=(side, side), mode=mode)
    back = [_turned_back(probability[i : i + 1], k, flip) for i, (k, flip) in enumerate(turns)]
    mean: Probabilities = torch.cat(back).mean(dim=0).numpy()
    return mean


def _turned(x: torch.Tensor, k: int, flip: bool) -> torch.Tensor:
    return torch.rot90(x.flip(3) if flip else x, k, (2, 3))


def _turned_back(x: torch.Tensor, k: int, flip: bool) -> torch.Tensor:
    x = torch.rot90(x, -k, (2, 3))
    return x.flip(3) if flip else x


def _square(mask: Mask, mm_per_px: float | None, side: int, size: int) -> tuple[tuple[int, int, int], Geometry]:
    """The crop's corner and edge, whole px of the soft labels, and the same square as a geometry."""
    plain = Augmentation(
        sector_share=0, close_share=1, closeness=(1, 1), side=(1, 1), shift=0, turn_share=0, mirror_share=0
    )
    near = draw_geometry(mask, mm_per_px, plain, np.random.default_rng(0), size)
    px = SIDE / side
    edge = max(1, round(near.side / px))
    left, top = (round(c / px - edge / 2) for c in near.centre)
    centre = (left + edge / 2) * px, (top + edge / 2) * px
    return (left, top, edge), Geometry(size, centre, edge * px)
