"""One picture's masks, true and found, in numbers; docs/accuracy.md defines each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge3vt.bench.surface import outlines
from edge3vt.core.anatomy import CLASS_NAMES, SCORED
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Region
from edge3vt.core.metrics import Confusion, PerClass, confusion, dice, iou, pixel_accuracy
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import Dataset, Item
from edge3vt.picture.images import read_image

TOLERANCE_MM, TOLERANCE_PX = 1.0, 2.0  # of the surface Dice, with and without a scale
EXACT = "truth"  # beside the masks of a set that annotators drew: the masks that they meant to draw
DIGITS = 6
Truth = Literal["drawn", "exact"]


@dataclass(frozen=True, slots=True)
class Scores:
    """One structure of one picture. What the picture cannot tell is None.

    dice, iou, pa: counted where the truth holds the structure. hd95 (in the record's unit): where both masks do; nsd:
    where the truth does. width_px: the true diameter in px of the network that sees the whole region.
    """

    true_px: int
    found_px: int
    dice: float | None
    iou: float | None
    pa: float | None
    hd95: float | None
    nsd: float | None
    width_px: float | None


@dataclass(frozen=True, slots=True)
class Case:
    """One picture. picture: the first half of its SHA-256. right: share of the region's pixels of the right class."""

    id: str
    patient: str
    picture: str
    weeks: float | None
    variant: str | None
    right: float
    structures: dict[str, Scores]


def scored(classes: Sequence[str]) -> tuple[str, ...]:
    """The structures that a mean is over: the four vessels of the 3VT view, else all but the background."""
    return tuple(classes[s] for s in SCORED) if tuple(classes) == CLASS_NAMES else tuple(classes[1:])


def truth_of(dataset: Dataset, item: Item, truth: Truth) -> Mask:
    """The true mask of a labelled item. Raises DataError."""
    if truth == "drawn":
        mask = dataset.mask(item)
    else:
        path = dataset.folder / EXACT / f"{item.id}.png"
        if not path.is_file():
            raise DataError(f"{path}: no such file; exact truth stands beside masks of annotators, else leave it out")
        mask = read_image(path)
    if mask.shape != (item.height, item.width) or int(mask.max(initial=0)) >= len(dataset.classes):
        raise DataError(
            f"{dataset.folder}: the mask of {item.id} is {mask.shape} up to class {int(mask.max(initial=0))}, expected "
            f"{(item.height, item.width)} and {len(dataset.classes)} classes; audit the set"
        )
    return mask


def measure(
    item: Item,
    truth: Mask,
    found: Mask,
    region: Region,
    classes: Sequence[str],
    mm_per_px: float | None,
    network_px: float,
) -> Case:
    """The case of two (H, W) masks.

    mm_per_px: None to measure distances in px. network_px: how many px of the network's input one px of these is.
    """
    counts = confusion(truth, found, len(classes))
    tolerance_px = TOLERANCE_PX if mm_per_px is None else TOLERANCE_MM / mm_per_px
    unit = 1.0 if mm_per_px is None else mm_per_px
    shares = [_where_true(m(counts), counts) for m in (dice, iou, pixel_accuracy)]
    structures = {}
    for label, name in enumerate(classes[1:], start=1):
        line = outlines(truth == label, found == label, tolerance_px)
        true_px, found_px = int(counts[label].sum()), int(counts[:, label].sum())
        diameter_mm = item.facts.get(f"true_{name}_mm") if true_px else None
        width_px = None
        if isinstance(diameter_mm, float | int) and item.mm_per_px:
            width_px = round(diameter_mm / item.mm_per_px * network_px, DIGITS)
        own_dice, own_iou, own_pa = (_rounded(float(each[label])) for each in shares)
        structures[name] = Scores(
            true_px,
            found_px,
            own_dice,
            own_iou,
            own_pa,
            None if line.hd95 is None else _rounded(line.hd95 * unit),
            None if line.nsd is None or not true_px else _rounded(line.nsd),
            width_px,
        )
    inside = slice(region.y0, region.y1), slice(region.x0, region.x1)
    weeks, variant = item.facts.get("weeks"), item.facts.get("variant")
    return Case(
        item.id,
        item.patient,
        item.picture_sha256[:32],
        float(weeks) if isinstance(weeks, float | int) else None,
        None if variant is None else str(variant),
        round(float(np.mean(truth[inside] == found[inside])), DIGITS),
        structures,
    )


def _where_true(values: PerClass, counts: Confusion) -> PerClass:
    return np.asarray(np.where(counts.sum(axis=1) > 0, values, np.nan), dtype=np.float64)


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, DIGITS)
