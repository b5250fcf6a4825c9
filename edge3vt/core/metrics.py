"""Segmentation metrics, the one implementation, from one confusion matrix.

Conventions: a structure absent from truth and prediction has no Dice (NaN, not counted); absent from the truth
but predicted counts as 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.segmentation import Mask

Confusion = NDArray[np.int64]
PerClass = NDArray[np.float64]


def confusion(truth: Mask, predicted: Mask, classes: int) -> Confusion:
    """(C, C) pixel counts, rows truth, columns prediction. Raises ValueError for other shapes or labels."""
    if truth.shape != predicted.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {predicted.shape}")
    if max(int(truth.max(initial=0)), int(predicted.max(initial=0))) >= classes:
        raise ValueError(f"a label is not below {classes}")
    joint = truth.astype(np.int64).ravel() * classes + predicted.ravel()
    return np.bincount(joint, minlength=classes * classes).reshape(classes, classes)


def dice(counts: Confusion) -> PerClass:
    """(C,) Dice 2TP / (truth + predicted); NaN where both are empty. Dice 1945, Ecology 26:297-302."""
    hits = np.diag(counts).astype(np.float64)
    total = counts.sum(axis=0) + counts.sum(axis=1)
    return _ratio(2 * hits, total)


def iou(counts: Confusion) -> PerClass:
    """(C,) intersection over union TP / (truth + predicted - TP); NaN where both are empty."""
    hits = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hits
    return _ratio(hits, union)


def pixel_accuracy(counts: Confusion) -> PerClass:
    """(C,) share of each class's true pixels that were found (class accuracy); NaN where the truth is empty."""
    hits = np.diag(counts).astype(np.float64)
    truth = counts.sum(axis=1)
    return _ratio(hits, truth)


def mean_over_cases(per_case: Sequence[PerClass]) -> PerClass:
    """(C,) mean of each class over the cases that count it; NaN where none does."""
    values = np.stack(per_case)
    counted = ~np.isnan(values)
    return _ratio(np.where(counted, values, 0).sum(axis=0), counted.sum(axis=0))


def _ratio(part: PerClass, whole: PerClass | Confusion) -> PerClass:
    ratio: PerClass = np.full(len(part), np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio
