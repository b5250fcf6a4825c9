"""Is it the view at all? Withholds the overlay, and says why, until several results in a row are believable.

Three questions: does the network call it the view, are the vessels there in believable sizes and order, and has
that held for N of the last M results. One unbelievable result hides the overlay at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edge3vt.core.anatomy import CLASS_NAMES, Structure
from edge3vt.core.segmentation import Mask
from edge3vt.picture.mask import areas_and_centres
from edge3vt.stream.lane import LaneResult

VESSELS = (Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA)


@dataclass(frozen=True, slots=True)
class GateRules:
    """Thresholds. Logit and scores were chosen on validation phantoms; areas bracket Zalel 2004 at 18-36 weeks."""

    view_logit: float = 0.0
    vessel_score: float = 0.6
    smallest_mm2: float = 1.5  # a 1.4 mm superior vena cava
    largest_mm2: float = 450.0
    smallest_cells: int = 12  # pixels of the network's grid, where the scale is unknown
    largest_share: float = 0.12  # of the crop, likewise
    needed: int = 3
    of_last: int = 4


class Gate:
    """Keeps the last verdicts. ``judge`` returns why nothing may be drawn, or "" when the overlay may be shown."""

    def __init__(self, classes: tuple[str, ...], rules: GateRules | None = None) -> None:
        self._rules = rules or GateRules()
        self._anatomy_known = classes == CLASS_NAMES
        self._history: deque[bool] = deque(maxlen=self._rules.of_last)
        self._epoch: int | None = None

    def judge(self, result: LaneResult, mm_per_px: float | None) -> str:
        """Judge the next result, in order. mm_per_px: edge of a frame pixel, None where unknown."""
        if result.epoch != self._epoch:
            self._epoch = result.epoch
            self._history.clear()
        why = self._doubt(result, mm_per_px)
        self._history.append(not why)
        if not why and sum(self._history) < self._rules.needed:
            why = f"view seen in {sum(self._history)} of {self._rules.needed} frames"
        return why

    def _doubt(self, result: LaneResult, mm_per_px: float | None) -> str:
        if result.mask is None:
            return "no mask"
        if result.view is not None and result.view < self._rules.view_logit:
            return "not the 3VT view"
        if not self._anatomy_known:
            return ""  # another class map: the rules of the view do not apply
        cell_mm = None if mm_per_px is None else mm_per_px * result.crop.side / result.crop.size
        return implausible(result.mask, result.scores, cell_mm, self._rules)


def implausible(mask: Mask, scores: tuple[float, ...], cell_mm: float | None, rules: GateRules) -> str:
    """Why this mask is no three-vessel-trachea view, or "".

    mask: (S, S) class indices; cell_mm: edge of a mask pixel, None where unknown.
    """
    areas, centres = areas_and_centres(mask, VESSELS)
    for vessel, area in zip(VESSELS, areas, strict=True):
        name = CLASS_NAMES[vessel].replace("_", " ")
        if area == 0 or scores[vessel] < rules.vessel_score:
            return f"{name} not found"
        if cell_mm is None:
            too_small, too_large = area < rules.smallest_cells, area > rules.largest_share * mask.size
        else:
            area_mm2 = area * cell_mm**2
            too_small, too_large = area_mm2 < rules.smallest_mm2, area_mm2 > rules.largest_mm2
        if too_small or too_large:
            return f"{name} too {'small' if too_small else 'large'}"
    artery, arch, cava = centres
    across = cava - artery
    position = float((arch - artery) @ across) / max(float(across @ across), 1e-6)
    if not 0.05 < position < 0.95:
        return "vessels out of order"
    return ""
