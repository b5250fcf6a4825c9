"""Wrong contours, planted where a reader with the AI might follow them."""

from __future__ import annotations

import cv2
import numpy as np

from edge3vt.core.segmentation import Mask

LEAST_SHIFT, MOST_SHIFT = 0.9, 1.4  # of the structure's equivalent diameter: next to where it is, as an AI errs
MOST_OVERLAP = 0.25  # Dice of the moved structure with itself
LEAST_ON_BACKGROUND = 0.6  # of its pixels, so that it looks like a vessel that was taken for another
_TRIES = 60


def plant(mask: Mask, label: int, rng: np.random.Generator) -> Mask | None:
    """A copy of ``mask`` in which one structure lies beside its place; None where there is no room for it."""
    own = mask == label
    area = int(own.sum())
    if not area:
        return None
    diameter = 2 * float(np.sqrt(area / np.pi))
    for _ in range(_TRIES):
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(LEAST_SHIFT, MOST_SHIFT) * diameter
        move = np.array([[1, 0, round(far * np.cos(angle))], [0, 1, round(far * np.sin(angle))]], np.float64)
        moved = cv2.warpAffine(own.astype(np.uint8), move, mask.shape[::-1], flags=cv2.INTER_NEAREST) > 0
        free = moved & ((mask == 0) | own)
        if free.sum() < LEAST_ON_BACKGROUND * area or 2 * int((free & own).sum()) > MOST_OVERLAP * 2 * area:
            continue
        wrong = np.where(own, 0, mask).astype(np.uint8)
        wrong[free] = label
        return wrong
    return None
