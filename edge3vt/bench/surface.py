"""How far the outline of what was found lies from the true one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PERCENTILE = 95
Binary = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outlines:
    """Distances between two outlines. hd95: 95 % Hausdorff, in px; None where one of the two is missing.

    nsd: normalised surface Dice, the share of both outlines that lies within the tolerance of the other one; 0 where
    one of the two is missing, None where both are. Huttenlocher et al. 1993, IEEE TPAMI 15:850-863; Nikolov et al.
    2021, J Med Internet Res 23:e26151.
    """

    hd95: float | None
    nsd: float | None


def outlines(truth: Binary, found: Binary, tolerance_px: float) -> Outlines:
    """Compare two (H, W) structures by their outermost pixels, those with an edge neighbour outside.

    The Hausdorff distance is the larger of the two directed ones. Raises ValueError for other shapes.
    """
    if truth.shape != found.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {found.shape}")
    x, y, width, height = cv2.boundingRect((truth | found).astype(np.uint8))
    part = slice(y, y + height), slice(x, x + width)
    true, own = _outline(truth[part]), _outline(found[part])
    if not true.any() or not own.any():
        return Outlines(None, 0.0 if true.any() or own.any() else None)
    there, back = _distance_to(own)[true], _distance_to(true)[own]
    near = int(np.count_nonzero(there <= tolerance_px)) + int(np.count_nonzero(back <= tolerance_px))
    furthest = max(float(np.percentile(way, PERCENTILE)) for way in (there, back))
    return Outlines(furthest, near / (len(there) + len(back)))


def _outline(structure: Binary) -> Binary:
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    mask = structure.astype(np.uint8)
    inner = cv2.erode(mask, cross, borderType=cv2.BORDER_CONSTANT, borderValue=0) if mask.size else mask
    return np.asarray(mask > inner, dtype=np.bool_)


def _distance_to(outline: Binary) -> NDArray[np.float32]:
    """(H, W) px from each pixel to the nearest one of the outline, exact."""
    away = cv2.distanceTransform((~outline).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, dtype=np.float32)
