"""Coarse changes of the picture within the region: a leap from one picture to the next, two pictures side by side."""

from __future__ import annotations

from collections import deque
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.frame import Pixels

CELLS = (12, 8)  # across, down: their means hold no speckle
LEAP = 0.15  # of the mean level; real clips reach 0.08 at 20-40 Hz, a depth turned by a tenth 0.2
LEAP_TYPICAL, LEAP_BEFORE = (
    3.5,
    2.5,
)  # times the median step, and the largest of the last BEFORE: motion grows, leaps do not
STILL = 0.01  # a step is taken for no less
HISTORY, BEFORE, LEAST = 16, 4, 6  # steps that are kept, compared with, needed
LIT = 8  # grey levels; between two sectors there is black
RECENT = 6  # pictures
DUAL_SHARE = 0.15  # of what is lit in each half: less than that in some column near the middle; one phantom has 0.24
DUAL_SHARE_TOP = 0.10  # likewise in the upper half, where fans stand apart
DUAL_LIT = 0.3  # of the rows in each half
MIDDLE = 0.08  # of the width, to either side


class Sector:
    """Every distinct picture's levels in order: (h, w) uint8 of the region, always the same size."""

    def __init__(self) -> None:
        self._cells: NDArray[np.float32] | None = None
        self._steps: deque[float] = deque(maxlen=HISTORY)
        self._recent: deque[NDArray[np.bool_]] = deque(maxlen=RECENT)
        self._seen = 0
        self.leapt = False
        self.dual = False

    def add(self, levels: Pixels) -> None:
        """Then ``leapt``: this picture does not follow from the last; ``dual``: the last few show two side by side."""
        self._seen += 1
        cells = np.asarray(cv2.resize(levels, CELLS, interpolation=cv2.INTER_AREA), dtype=np.float32)
        last, self._cells = self._cells, cells
        if last is not None:
            step = float(np.abs(cells - last).mean() / max((cells.mean() + last.mean()) / 2, 4))
            self.leapt = len(self._steps) >= LEAST and step > max(
                LEAP,
                LEAP_TYPICAL * max(median(self._steps), STILL),
                LEAP_BEFORE * max(list(self._steps)[-BEFORE:]),
            )
            self._steps.append(step)
        self._recent.append(levels > LIT)
        if self._seen % 3 == 0 and len(self._recent) == RECENT:
            lit = np.logical_or.reduce(list(self._recent))
            self.dual = _parted(lit, DUAL_SHARE) or _parted(lit[: len(lit) // 2], DUAL_SHARE_TOP)


def _parted(lit: NDArray[np.bool_], share: float) -> bool:
    """Whether some column near the middle is dark, and the halves beside it are not."""
    rows, width = lit.shape
    if rows < 4 or width < 16:
        return False
    columns = lit.mean(axis=0)
    low, high = round((0.5 - MIDDLE) * width), round((0.5 + MIDDLE) * width) + 1
    least = min(float(np.percentile(half, 75)) for half in (columns[:low], columns[high:]))
    return least > DUAL_LIT and float(columns[low:high].min()) < share * least
