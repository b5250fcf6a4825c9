"""The judge of sensitivity: Dice of each structure, by ONNX Runtime on the CPU."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import onnxruntime

from edge3vt.calibrate.trials import Judge, Scores
from edge3vt.core.errors import ArtifactError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.metrics import confusion, dice, mean_over_cases
from edge3vt.core.segmentation import Mask
from edge3vt.core.spec import INPUT, LOGITS, ModelSpec
from edge3vt.picture.mask import make_mask


def masks_of(model_bytes: bytes, spec: ModelSpec, pictures: Sequence[Pixels], *, fused: bool = False) -> list[Mask]:
    """The (H, W) mask of each (H, W) uint8 picture.

    fused: let ONNX Runtime compute in 8 bits, as the flavour for the CPU will run; else it computes in floats what
    the pairs round, which is what other runtimes mean by the same model. Raises ArtifactError, EngineError.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not fused:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        session = onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a tree of its own
        line = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{spec.model_id}: the model cannot be judged ({line}); export it again") from error
    return [make_mask(session.run([LOGITS], {INPUT: p[None, None]})[0], spec.stride)[0] for p in pictures]


def dice_judge(spec: ModelSpec, pictures: Sequence[Pixels], truths: Sequence[Mask], *, fused: bool = False) -> Judge:
    """A judge of ``pictures`` by ``truths``: masks that people drew, or those of the FP32 model.

    It gives the mean Dice of every structure that a truth shows. Raises DataError for truths that fit no picture.
    """
    sizes = [(p.shape, t.shape) for p, t in zip(pictures, truths, strict=False)]
    if not pictures or len(pictures) != len(truths) or any(one != other for one, other in sizes):
        raise DataError(f"{len(pictures)} pictures and {len(truths)} truths; expected as many, and of the same sizes")

    def judge(model_bytes: bytes) -> Scores:
        found = masks_of(model_bytes, spec, pictures, fused=fused)
        classes = len(spec.classes)
        cases = [confusion(truth, mask, classes) for truth, mask in zip(truths, found, strict=True)]
        shown = np.sum(cases, axis=0).sum(axis=1) > 0
        mean = mean_over_cases([np.where(case.sum(axis=1) > 0, dice(case), np.nan) for case in cases])
        return {name: float(mean[i]) for i, name in enumerate(spec.classes) if i and shown[i]}

    return judge


def digest(pictures: Sequence[Pixels], truths: Sequence[Mask]) -> str:
    """SHA-256 over what a judge judges by: half of what a journal has to be bound to."""
    found = hashlib.sha256()
    for array in (*pictures, *truths):
        found.update(repr(array.shape).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
