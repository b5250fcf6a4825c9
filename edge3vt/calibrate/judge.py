"""The judge of sensitivity: Dice of each structure, and how far the view's logit moves, by ONNX Runtime on the CPU."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from edge3vt.calibrate.reference import ReferenceSession
from edge3vt.calibrate.trials import Judge, Scores
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.metrics import confusion, dice, mean_over_cases
from edge3vt.core.segmentation import Mask
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.mask import make_mask

VIEW_SCORE = "view logit"
"""Among the scores: how far nine in ten of the logits lie from the FP32 model's at most, below 0; no structure."""
MOST = 90
"""The percentile of those differences, by nearest rank: as engines are verified."""


def answers_of(
    model_bytes: bytes, spec: ModelSpec, pictures: Sequence[Pixels], *, fused: bool = False
) -> tuple[list[Mask], list[float]]:
    """The (H, W) mask of each (H, W) uint8 picture, and the view's logits; none from a model that has no view.

    fused: as ``ReferenceSession``. Raises ArtifactError, EngineError.
    """
    session = ReferenceSession(model_bytes, spec, fused=fused)
    logits, view = np.zeros(spec.logits_shape, np.float32), np.zeros((1, 1), np.float32)
    masks, views = [], []
    for picture in pictures:
        session.run(picture[None, None], logits, view)
        masks.append(make_mask(logits, spec.stride)[0])
        views.append(float(view[0, 0]))
    return masks, views if session.has_view else []


def masks_of(model_bytes: bytes, spec: ModelSpec, pictures: Sequence[Pixels], *, fused: bool = False) -> list[Mask]:
    """The masks of ``answers_of``."""
    return answers_of(model_bytes, spec, pictures, fused=fused)[0]


def dice_judge(
    spec: ModelSpec,
    pictures: Sequence[Pixels],
    truths: Sequence[Mask],
    *,
    views: Sequence[float] = (),
    fused: bool = False,
) -> Judge:
    """A judge of ``pictures`` by ``truths``: masks that people drew, or those of the FP32 model.

    It gives the mean Dice of every structure that a truth shows; and, where ``views`` are the FP32 model's logits of
    the view, ``VIEW_SCORE``. Raises DataError for truths or views that fit no picture.
    """
    sizes = [(p.shape, t.shape) for p, t in zip(pictures, truths, strict=False)]
    if not pictures or len(pictures) != len(truths) or any(one != other for one, other in sizes):
        raise DataError(f"{len(pictures)} pictures and {len(truths)} truths; expected as many, and of the same sizes")
    if len(views) not in (0, len(pictures)):
        raise DataError(f"{len(pictures)} pictures and {len(views)} logits of the view; expected as many, or none")

    def judge(model_bytes: bytes) -> Scores:
        found, logits = answers_of(model_bytes, spec, pictures, fused=fused)
        classes = len(spec.classes)
        cases = [confusion(truth, mask, classes) for truth, mask in zip(truths, found, strict=True)]
        shown = np.sum(cases, axis=0).sum(axis=1) > 0
        mean = mean_over_cases([np.where(case.sum(axis=1) > 0, dice(case), np.nan) for case in cases])
        scores = {name: float(mean[i]) for i, name in enumerate(spec.classes) if i and shown[i]}
        if views:
            apart = np.abs(np.subtract(logits, views))
            scores[VIEW_SCORE] = -float(np.percentile(apart, MOST, method="inverted_cdf"))
        return scores

    return judge


def digest(pictures: Sequence[Pixels], truths: Sequence[Mask]) -> str:
    """SHA-256 over what a judge judges by: half of what a journal has to be bound to."""
    found = hashlib.sha256()
    for array in (*pictures, *truths):
        found.update(repr(array.shape).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
