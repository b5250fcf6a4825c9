"""Contact sheets: pictures side by side, with the outlines of their masks and a caption each."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Crop, Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import Dataset, Item
from edge3vt.picture.outline import colour_of, draw_structures
from edge3vt.picture.text import BACKGROUND, Colour, line_height_px, paste, rendered, text_width_px

TILE_PX = (256, 192)  # width, height
COLUMNS = 6
SIZE_PX = 13  # of the captions
GAP_PX = 8
PLAIN: Colour = (228, 230, 233)
DIM: Colour = (160, 165, 172)


def tile(picture: Pixels, mask: Mask | None, width: int, height: int) -> Pixels:
    """(h, w, 3) RGB, at most ``width`` x ``height``: the (H, W) picture with its structures outlined."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    grey = cv2.resize(picture, size, interpolation=method)
    small = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    if mask is not None and mask.shape == picture.shape:
        draw_structures(small, mask, Crop(0, 0, size[0], mask.shape[1]), 1)
    return small


def tile_of(dataset: Dataset, item: Item, width: int, height: int) -> Pixels | None:
    """The tile of an item; without outlines where its mask cannot be read, None where its picture cannot."""
    try:
        picture = dataset.picture(item)
    except DataError:
        return None
    try:
        mask = None if item.mask_sha256 is None else dataset.mask(item)
    except DataError:
        mask = None
    return tile(picture, mask, width, height)


def sheet(dataset: Dataset, items: Sequence[Item], *, columns: int = COLUMNS) -> Pixels:
    """(H, W, 3) RGB: a legend, then the items in rows, each with its name, split, patient and classes."""
    width, height = TILE_PX
    row = line_height_px(SIZE_PX)
    columns = min(columns, max(len(items), 1))
    rows = -(-len(items) // columns)
    cell = (width + GAP_PX, height + 2 * row + GAP_PX)
    top = row + 2 * GAP_PX
    picture = np.full((top + rows * cell[1], columns * cell[0] + GAP_PX, 3), BACKGROUND, dtype=np.uint8)
    _legend(picture, dataset.classes)
    for index, item in enumerate(items):
        x, y = GAP_PX + index % columns * cell[0], top + index // columns * cell[1]
        room = picture[y : y + cell[1] - GAP_PX, x : x + width]
        small = tile_of(dataset, item, width, height)
        if small is None:
            small = rendered("cannot be read", SIZE_PX, PLAIN)
        paste(room, small, (width - small.shape[1]) // 2, (height - small.shape[0]) // 2)
        for line, (text, colour) in enumerate(zip(caption(item), (PLAIN, DIM), strict=True)):
            paste(room, rendered(_fitted(text, width), SIZE_PX, colour), 0, height + line * row)
    return picture


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most ``count`` of the items, evenly spread over them."""
    steps = min(count, len(items))
    return [items[(2 * index + 1) * len(items) // (2 * steps)] for index in range(steps)]


def caption(item: Item) -> tuple[str, str]:
    """The item's name, and in one line its split, patient and classes."""
    held = "not labelled" if item.mask_sha256 is None else ", ".join(item.classes) or "empty mask"
    return item.id, f"{item.split or 'no split'} · {item.patient or 'no patient'} · {held.replace('_', ' ')}"


def _fitted(text: str, width: int) -> str:
    while text and text_width_px(text, SIZE_PX) > width:
        text = text.removesuffix("…")[:-1] + "…"
    return text


def _legend(picture: Pixels, classes: Sequence[str]) -> None:
    x = GAP_PX
    for label, name in enumerate(classes[1:], start=1):
        picture[GAP_PX + 4 : GAP_PX + 4 + SIZE_PX, x : x + SIZE_PX] = colour_of(label)
        x = paste(picture, rendered(name.replace("_", " "), SIZE_PX, PLAIN), x + SIZE_PX + 5, GAP_PX) + 2 * GAP_PX
