"""What a training sees: the pictures of data sets in memory, and batches of them, augmented, for each step.

Pictures are kept as a network sees them in acquire, the ultrasound region letterboxed into a square, but at SIDE px,
so that a square of 45 mm cut out of it still holds what the scanner drew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels, Region
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import Dataset, Item, read_dataset
from edge3vt.data.geometry import sampled, whole
from edge3vt.data.inspection import region_of

SIDE = 512
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """(N, S, S) uint8 pictures and masks; the other columns are (N,).

    labelled: whether its mask tells the truth. views: 1.0 the view, 0.0 not, NaN unknown. mm_per_px: of the square,
    NaN unknown. follows: the picture one frame later in the same cine, -1 where there is none. soft: (N, C, s, s)
    what a teacher says, 255 for certain, and spoke: (N, 4) x0, y0, x1, y1 in those px, where a crop teacher did.
    """

    ids: tuple[str, ...]
    patients: tuple[str, ...]
    pixels: Pixels
    masks: Mask
    labelled: NDArray[np.bool_]
    views: NDArray[np.float32]
    mm_per_px: NDArray[np.float32]
    follows: NDArray[np.int64]
    soft: Pixels | None = None
    spoke: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids)


def read_pictures(
    folders: Sequence[Path],
    split: str,
    classes: Sequence[str] | None = None,
    *,
    unlabelled: bool = False,
    negatives: bool = False,
    patients: int | None = None,
    told: Progress = lambda done, total: None,
) -> tuple[Pictures, tuple[str, ...]]:
    """The pictures of a split of data sets, and their classes. Raises DataError.

    unlabelled: without their masks, all items that are not dealt out to another split than training. negatives: the
    same, none of which shows the view: their masks are empty. patients: only so many, the first in a fixed order.
    """
    sets = [read_dataset(folder) for folder in folders]
    for each in sets:
        classes = tuple(classes or each.classes)
        if each.classes != classes and not negatives:
            raise DataError(
                f"{each.folder}: its classes are {', '.join(each.classes)}, expected {', '.join(classes)}; "
                "import it with that class map, or train a network of its own"
            )
    chosen = [(each, item) for each in sets for item in _chosen(each, split, unlabelled or negatives, patients)]
    if not chosen:
        where = ", ".join(str(folder) for folder in folders)
        raise DataError(f"{where}: no labelled picture in the split '{split}'; deal it out with edge3vt data split")
    ids = Counter(item.id for _, item in chosen)
    if len(ids) < len(chosen):
        raise DataError(f"the item {ids.most_common(1)[0][0]} stands in two data sets; name each set once")
    pictures = _empty([item for _, item in chosen])
    for i, (each, item) in enumerate(chosen):
        truth = each.mask(item) if item.mask_sha256 and not unlabelled and not negatives else None
        pictures.pixels[i], pictures.masks[i], side = squared(each.picture(item), truth, item)
        pictures.labelled[i] = negatives or truth is not None
        told_view = {"yes": 1.0, "no": 0.0}.get(str(item.facts.get("view")), np.nan)
        pictures.views[i] = 0.0 if negatives else np.nan if unlabelled else told_view
        pictures.mm_per_px[i] = np.nan if item.mm_per_px is None else item.mm_per_px * side / SIDE
        told(i + 1, len(chosen))
    return pictures, tuple(classes or ())


def squared(pixels: Pixels, mask: Mask | None, item: Item) -> tuple[Pixels, Mask, int]:
    """The item's ultrasound region in a square of SIDE px: picture, mask, and the square's side in px of the item."""
    region = region_of(item) or Region(0, 0, item.width, item.height)
    if min(region.width, region.height) < 1:
        raise DataError(f"the item {item.id}: its region is empty; import it again")
    inside = slice(region.y0, region.y1), slice(region.x0, region.x1)
    square = whole(region.height, region.width, SIDE)
    if mask is None:
        mask = np.zeros_like(pixels)
    picture, moved = sampled(pixels[inside], mask[inside], square)
    return picture, moved, round(square.side)


def _chosen(dataset: Dataset, split: str, everything: bool, patients: int | None) -> Iterator[Item]:
    if everything:
        items = [item for item in dataset.items if item.split in (None, "train")]
    else:
        items = [item for item in dataset.items if item.split == split and item.mask_sha256]
    if patients is not None:
        known = sorted({item.patient for item in items})
        keep = {known[i] for i in np.random.default_rng(0).permutation(len(known))[:patients]}
        items = [item for item in items if item.patient in keep]
    yield from items


def _empty(items: Sequence[Item]) -> Pictures:
    count = len(items)
    place = {(item.cine, item.frame): i for i, item in enumerate(items) if item.cine and item.frame is not None}
    follows = [-1 if i.cine is None or i.frame is None else place.get((i.cine, i.frame + 1), -1) for i in items]
    return Pictures(
        tuple(item.id for item in items),
        tuple(item.patient for item in items),
        np.zeros((count, SIDE, SIDE), np.uint8),
        np.zeros((count, SIDE, SIDE), np.uint8),
        np.zeros(count, np.bool_),
        np.full(count, np.nan, np.float32),
        np.full(count, np.nan, np.float32),
        np.array(follows, np.int64),
    )
