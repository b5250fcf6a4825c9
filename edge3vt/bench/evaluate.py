"""A stream against its truth: Dice per structure of what left the loop, and whether overlays came when they should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge3vt.core.anatomy import CLASS_NAMES, SCORED
from edge3vt.core.frame import Crop
from edge3vt.core.metrics import confusion, dice, mean_over_cases
from edge3vt.core.segmentation import Mask, Segmentation
from edge3vt.picture.mask import place

Truth = Callable[[int], tuple[Mask, bool]]
"""Frame index -> (H, W) class indices, and whether the frame holds the view."""


@dataclass(frozen=True, slots=True)
class StreamAccuracy:
    """Dice per structure: mean over the frames that hold the view, each with the mask it left with, before the gate.

    A frame without a mask counts as an empty one. Shares are of frames with an overlay drawn.
    """

    view_frames: int
    other_frames: int
    dice: dict[str, float]
    dice_mean: float
    shown_in_view: float | None
    shown_outside_view: float | None


class Witness:
    """A sink that remembers masks, so that they can be compared after the stream, off the clock."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, Mask | None, Crop | None, tuple[int, int], bool]] = []

    def __call__(self, seg: Segmentation) -> None:
        self._seen.append((seg.frame.index, seg.mask, seg.crop, (seg.frame.height, seg.frame.width), seg.shown))

    def accuracy(self, truth: Truth) -> StreamAccuracy:
        """Compare with the truth. Raises ValueError where no frame holds the view."""
        scores, in_view, outside = [], [], []
        for index, mask, crop, shape, shown in self._seen:
            expected, holds_view = truth(index)
            if not holds_view:
                outside.append(shown)
                continue
            in_view.append(shown)
            predicted = np.zeros(shape, np.uint8) if mask is None or crop is None else place(mask, crop, shape)
            scores.append(dice(confusion(expected, predicted, len(CLASS_NAMES))))
        if not scores:
            raise ValueError("no frame holds the view")
        mean = mean_over_cases(scores)
        return StreamAccuracy(
            view_frames=len(in_view),
            other_frames=len(outside),
            dice={CLASS_NAMES[s]: float(mean[s]) for s in (*SCORED, len(CLASS_NAMES) - 1)},
            dice_mean=float(np.mean([mean[s] for s in SCORED])),
            shown_in_view=float(np.mean(in_view)),
            shown_outside_view=float(np.mean(outside)) if outside else None,
        )
