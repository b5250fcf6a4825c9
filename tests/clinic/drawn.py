"""Masks of the view for tests: tubes and discs whose place and width are known to a fraction of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge3vt.clinic.vessel import Piece, pieces
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Mask, Segmentation, State, Verdict

SIZE = 256
SURE = (1.0,) * 6
Point = tuple[float, float]


def blank(size: int = SIZE) -> Mask:
    return np.zeros((size, size), np.uint8)


def tube(mask: Mask, label: int, line: Sequence[Point], width: float) -> Mask:
    """All within half of ``width`` of a line through x, y; what is drawn already stays."""
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float64)
    best = np.full(mask.shape, np.inf)
    for (ax, ay), (bx, by) in pairwise(line):
        ux, uy = bx - ax, by - ay
        along = np.clip(((x - ax) * ux + (y - ay) * uy) / max(ux * ux + uy * uy, 1e-9), 0, 1)
        best = np.minimum(best, np.hypot(x - ax - along * ux, y - ay - along * uy))
    mask[(best < width / 2) & (mask == 0)] = label
    return mask


def disc(mask: Mask, label: int, at: Point, diameter: float) -> Mask:
    return tube(mask, label, [at, at], diameter)


def view(*, right_arch: bool = False, right_duct: bool = False, veins: int = 1, spine: bool = True) -> Mask:
    """The view with the front above and the fetal left to the right, as seen from below: widths 18, 14, 9 and 10 px.

    Left arch and duct: a V with the trachea to its right, which is the picture's left. right_arch alone: a U.
    """
    mask = blank()
    if right_arch and not right_duct:
        tube(mask, 1, [(150, 60), (150, 150), (140, 185), (112, 190)], 18)
        tube(mask, 2, [(112, 72), (100, 130), (98, 186)], 14)
        at = (124, 150)
    elif right_arch:
        tube(mask, 1, [(130, 60), (112, 130), (104, 190)], 18)
        tube(mask, 2, [(100, 72), (84, 130), (98, 186)], 14)
        at = (140, 150)
    else:
        tube(mask, 1, [(165, 60), (158, 130), (142, 190)], 18)
        tube(mask, 2, [(128, 72), (130, 130), (136, 186)], 14)
        at = (105, 150)
    disc(mask, 4, (at[0] + 0.3, at[1] + 0.4), 10)
    disc(mask, 3, (74.3, 84.4), 9)
    if veins == 2:
        disc(mask, 3, (195.3, 80.4), 9)
    return tube(mask, 5, [(118, 222), (126, 222)], 24) if spine else mask


def piece(mask: Mask, label: int) -> Piece:
    return pieces(mask, label)[0]


def others(mask: Mask, label: int) -> NDArray[np.bool_]:
    return (mask > 0) & (mask != label)


def seg(
    mask: Mask | None,
    index: int = 0,
    *,
    mm_per_px: float | None = 0.2,
    shown: bool = True,
    epoch: int = 0,
    mask_ns: int | None = None,
    repeat_of: int | None = None,
    scores: tuple[float, ...] = SURE,
) -> Segmentation:
    """A frame that leaves the loop with a mask on a grid twice as coarse as its own."""
    ns = index * 40_000_000
    pixels = np.zeros((2 * SIZE, 2 * SIZE), np.uint8)
    frame = Frame(index, ns, pixels, epoch=epoch, mm_per_px=mm_per_px, repeat_of=repeat_of)
    return Segmentation(
        frame=frame,
        mask=mask,
        mask_ns=(ns if mask_ns is None else mask_ns) if mask is not None else None,
        crop=None if mask is None else Crop(0, 0, 2 * SIZE, SIZE),
        verdict=Verdict.ON_TIME,
        reason="",
        emitted_late=False,
        state=State.LIVE,
        scores=scores,
        shown=shown and mask is not None,
        withheld="" if shown else "not the 3VT view",
        model_id="drawn-1",
    )
