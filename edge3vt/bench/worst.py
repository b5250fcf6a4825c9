"""Pictures of single cases: the true structures beside those that were found."""

from __future__ import annotations

import cv2
import numpy as np

from edge3vt.bench.accuracy import Case
from edge3vt.core.frame import Frame, Pixels, Region
from edge3vt.core.segmentation import Mask
from edge3vt.data.contact import tile
from edge3vt.picture.text import BACKGROUND, Colour, line_height_px, paste, rendered

SIDE_PX = 360  # of each of the two
MARGIN = 1.5  # times the rectangle around everything that is outlined
CLOSEST = 3  # at most so many times closer than the region
GAP_PX = 8
TEXT_PX = 13
PLAIN: Colour = (228, 230, 233)
DIM: Colour = (160, 165, 172)


def pictured(frame: Frame, truth: Mask, found: Mask, case: Case, score: float | None) -> Pixels:
    """(h, w, 3) RGB: truth on the left, prediction on the right, over the part of the picture where they lie."""
    window = _window(frame.bounds, truth | found)
    row = line_height_px(TEXT_PX)
    picture = np.full((2 * row + SIDE_PX + GAP_PX, 2 * SIDE_PX + 3 * GAP_PX, 3), BACKGROUND, dtype=np.uint8)
    told = case.id + ("" if score is None else f"   mean Dice {score:.3f}") + _weeks(case)
    paste(picture, rendered(told, TEXT_PX, PLAIN), GAP_PX, 0)
    for x, name, mask in ((GAP_PX, "truth", truth), (2 * GAP_PX + SIDE_PX, "found", found)):
        paste(picture, rendered(name, TEXT_PX, DIM), x, row)
        paste(picture, tile(_part(frame.luma, window), _part(mask, window), SIDE_PX, SIDE_PX), x, 2 * row)
    return picture


def _weeks(case: Case) -> str:
    return "" if case.weeks is None else f"   {int(case.weeks)} weeks"


def _window(bounds: Region, marked: Mask) -> Region:
    """A square around all that is marked; where nothing is, around the whole region."""
    whole = max(bounds.width, bounds.height)
    x, y, width, height = cv2.boundingRect(marked)
    if not width:
        x, y, width, height = bounds.x0, bounds.y0, bounds.width, bounds.height
    side = min(max(round(MARGIN * max(width, height)), whole // CLOSEST), max(whole, width, height))
    left, top = x + (width - side) // 2, y + (height - side) // 2
    return Region(left, top, left + side, top + side)


def _part(pixels: Pixels, window: Region) -> Pixels:
    """The square cut out, 0 where it hangs over."""
    out = np.zeros((window.height, window.width), dtype=np.uint8)
    inside = window.clipped(pixels.shape[1], pixels.shape[0])
    out[inside.y0 - window.y0 : inside.y1 - window.y0, inside.x0 - window.x0 : inside.x1 - window.x0] = pixels[
        inside.y0 : inside.y1, inside.x0 : inside.x1
    ]
    return out
