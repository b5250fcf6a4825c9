"""Is it the view at all? Withholds the overlay, and says why, until several results in a row are believable.

Three questions: does the network call it the view, are the vessels there in believable sizes and order, and has
that held for N of the last M results. One unbelievable result hides the overlay at once; only a vessel that goes
missing, as the smallest ones do from frame to frame, is waited for, or the overlay would blink. Before them stands
``sound``: is it the output of an engine that works?
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.anatomy import CLASS_NAMES, Structure
from edge3vt.core.segmentation import Mask
from edge3vt.picture.mask import areas_and_centres
from edge3vt.stream.lane import LaneResult

ARTERY, ARCH, CAVA = VESSELS = (
    Structure.PULMONARY_ARTERY,
    Structure.AORTIC_ARCH,
    Structure.SUPERIOR_VENA_CAVA,
)
_MISSING = ("not found", "too small")
MOST_FOREGROUND = 0.6  # of a square; a true mask of 36 weeks covers a quarter of the closest one


@dataclass(frozen=True, slots=True)
class GateRules:
    """Thresholds. Logit and scores were chosen on validation phantoms; areas bracket Zalel 2004 at 18-36 weeks."""

    view_logit: float = 0.0
    vessel_score: float = 0.6
    smallest_mm2: float = 1.0  # half of a superior vena cava at 18 weeks
    largest_mm2: float = 450.0
    smallest_share: float = 5e-5  # of the acquire square, where the scale is unknown: 7 px of 384 x 384
    largest_share: float = 0.12
    needed: int = 3
    of_last: int = 4
    patience: int = 2  # results in a row with a vessel missing or too small, before a shown overlay is hidden


class Gate:
    """Keeps the last verdicts. ``judge`` returns why nothing may be drawn, or "" when the overlay may be shown."""

    def __init__(self, classes: tuple[str, ...], rules: GateRules | None = None) -> None:
        self._rules = rules or GateRules()
        self._anatomy_known = classes == CLASS_NAMES
        self._history: deque[bool] = deque(maxlen=self._rules.of_last)
        self._epoch: int | None = None
        self._showing = False
        self._missing = 0

    def judge(
        self, result: LaneResult, mm_per_px: float | None, whole_px: int | None = None, doubt: str | None = None
    ) -> str:
        """Judge the next result, in order. A frame without a result is not judged and changes nothing.

        doubt: what ``doubt`` said of it, where that was asked already; the others are its arguments.
        """
        if result.epoch != self._epoch:
            self._epoch = result.epoch
            self._history.clear()
            self._showing = False
        why = self.doubt(result, mm_per_px, whole_px) if doubt is None else doubt
        self._history.append(not why)
        if not why:
            self._missing = 0
            self._showing |= sum(self._history) >= self._rules.needed
        else:
            self._missing += 1
            self._showing &= why.endswith(_MISSING) and self._missing <= self._rules.patience
        if self._showing:
            return ""
        return why or f"view seen in {sum(self._history)} of {self._rules.needed} frames"

    def doubt(self, result: LaneResult, mm_per_px: float | None, whole_px: int | None = None) -> str:
        """Why the result alone is not believed, or ""; remembers nothing.

        mm_per_px: edge of a frame pixel, None where unknown; then sizes are shares of the acquire square, whose side
        whole_px is (None: that of the result's crop).
        """
        if result.mask is None:
            return "no mask"
        if result.view is not None and not result.view >= self._rules.view_logit:
            return "not the 3VT view"
        if not self._anatomy_known:
            return ""  # another class map: the rules of the view do not apply
        cell_px = result.crop.side / result.crop.size
        if mm_per_px is not None:
            cell, limits = mm_per_px * cell_px, (self._rules.smallest_mm2, self._rules.largest_mm2)
        else:
            cell = cell_px / (whole_px or result.crop.side)
            limits = self._rules.smallest_share, self._rules.largest_share
        return implausible(result.mask, result.scores, cell, limits, self._rules.vessel_score)


def sound(result: LaneResult, classes: int) -> LaneResult:
    """The result itself, or without its mask and with ``error``, where no engine that works gives such a thing.

    What is refused: a mask of another shape or type than its crop's, labels of no class, scores or a view that are
    not numbers, one structure everywhere, and more structure than any picture of a body holds. An empty mask is fine:
    there is nothing in the picture. (Logits that are not finite never become a mask: picture.mask.)
    """
    why = "" if result.error or result.mask is None else _garbage(result.mask, result, classes)
    return (
        replace(result, mask=None, scores=(), view=None, error=f"the engine's output is garbage: {why}")
        if why
        else result
    )


def _garbage(mask: Mask, result: LaneResult, classes: int) -> str:
    size = result.crop.size
    if mask.shape != (size, size) or mask.dtype != np.uint8:
        return f"a mask of {mask.dtype} {mask.shape}, expected uint8 {(size, size)}"
    if len(result.scores) != classes or not all(0 <= score <= 1.001 for score in result.scores):
        return f"{len(result.scores)} scores that are no probabilities of {classes} classes"
    if result.view is not None and not math.isfinite(result.view):
        return f"a view logit of {result.view}"
    least, most, _, _ = cv2.minMaxLoc(mask)
    if most >= classes:
        return f"label {most:.0f} of {classes} classes"
    if least == most > 0:
        return f"class {most:.0f} everywhere"
    if classes == len(CLASS_NAMES) and (share := cv2.countNonZero(mask) / mask.size) > MOST_FOREGROUND:
        return f"{share:.0%} of the picture are structures"
    return ""


def implausible(
    mask: Mask, scores: tuple[float, ...], cell: float, limits: tuple[float, float], vessel_score: float
) -> str:
    """Why this mask is no three-vessel-trachea view, or "".

    mask: (S, S) class indices. cell: edge of a mask pixel, and limits of a vessel's area in squares of its unit.

    The order holds in every variant of the phantom, either way up and in either hand: the arch lies between pulmonary
    artery and superior vena cava along the line of their centres, and the cava, which ends before the chest's back,
    lies further from the spine than both. Of two cavae one has to do, for a left one lies beyond the artery.
    """
    areas, centres = areas_and_centres(mask, (*VESSELS, Structure.SPINE))
    smallest, largest = limits
    for vessel, area in zip(VESSELS, areas[:3], strict=True):
        name = CLASS_NAMES[vessel].replace("_", " ")
        if area == 0 or scores[vessel] < vessel_score:
            return f"{name} {_MISSING[0]}"
        if not smallest <= area * cell**2 <= largest:
            return f"{name} {_MISSING[1] if area * cell**2 < smallest else 'too large'}"
    artery, arch, cava, spine = centres
    if not (_between(arch, artery, cava) or any(_between(arch, artery, one) for one in _pieces(mask))):
        return "vessels out of order"
    if areas[3] > 0 and math.dist(spine, cava) < max(math.dist(spine, artery), math.dist(spine, arch)):
        return "vessels out of order"
    return ""


def _between(middle: NDArray[np.float64], one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    across = other - one
    return 0.05 < float((middle - one) @ across) / max(float(across @ across), 1e-6) < 0.95


def _pieces(mask: Mask) -> list[NDArray[np.float64]]:
    """The centres of the superior vena cava's pieces: those no smaller than a third of the largest."""
    part = cv2.inRange(mask, int(CAVA), int(CAVA))
    x, y, width, height = cv2.boundingRect(part)
    _, _, boxes, middles = cv2.connectedComponentsWithStats(part[y : y + height, x : x + width], connectivity=8)
    areas = boxes[1:, cv2.CC_STAT_AREA]
    return [middles[1 + i] + (x, y) for i in np.flatnonzero(areas * 3 >= areas.max(initial=0))]
