"""Golden frames: pictures that travel with an engine, and what it answered on them when it was built.

They find an engine whose runtime computes something else here. They do not find a changed engine: of the bit flips
that changed an ONNX model's answers, a self-test saw less than half. Hashes and the signature do that.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.errors import ArtifactError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.buffers import empty
from edge3vt.engine.manifest import Tolerance

KEPT = 2
_HALF_MAX = 1024.0  # of the stored logits: float16 is finest, relatively, well inside its range


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """frames: uint8 (N, H, W). logits: float16 (N, C, H/s, W/s), divided by scale, float32 (N,).

    view: float32 (N,), NaN without a view logit.
    """

    frames: NDArray[np.uint8]
    logits: NDArray[np.float16]
    scale: NDArray[np.float32]
    view: NDArray[np.float32]


def choose(session: Session, frames: Iterable[Pixels]) -> Golden:
    """The KEPT frames on which the engine finds most classes, then most that is not background."""
    answers = [(frame, *_answer(session, frame)) for frame in frames]
    masks = [logits.argmax(axis=0) for _, logits, _ in answers]
    best = sorted(range(len(answers)), key=lambda i: (-len(np.unique(masks[i])), -np.count_nonzero(masks[i]), i))[:KEPT]
    logits = np.stack([answers[i][1] for i in best])
    scale = np.maximum(np.abs(logits).max(axis=(1, 2, 3)) / _HALF_MAX, np.finfo(np.float32).tiny).astype(np.float32)
    return Golden(
        np.stack([answers[i][0] for i in best]),
        (logits / scale[:, None, None, None]).astype(np.float16),
        scale,
        np.array([answers[i][2] for i in best], np.float32),
    )


def to_bytes(golden: Golden) -> bytes:
    """As a NumPy archive."""
    file = io.BytesIO()
    np.savez_compressed(file, frames=golden.frames, logits=golden.logits, scale=golden.scale, view=golden.view)
    return file.getvalue()


def from_bytes(data: bytes, spec: ModelSpec) -> Golden:
    """Golden frames of an engine of ``spec``, from bytes that were hashed. Raises ArtifactError."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            golden = Golden(*(archive[name] for name in ("frames", "logits", "scale", "view")))
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{spec.model_id}: the golden frames cannot be read ({error}); build it again") from error
    count = len(golden.frames)
    for array, kind, shape in (
        (golden.frames, np.uint8, (count, *spec.input_shape[2:])),
        (golden.logits, np.float16, (count, *spec.logits_shape[1:])),
        (golden.scale, np.float32, (count,)),
        (golden.view, np.float32, (count,)),
    ):
        if array.dtype != kind or array.shape != shape or not count:
            raise ArtifactError(
                f"{spec.model_id}: golden frames hold {array.dtype} {array.shape}, expected {np.dtype(kind)} {shape}; "
                "build it again"
            )
    return golden


def prove(session: Session, golden: Golden, tolerance: Tolerance, *, remedy: str) -> None:
    """Run the golden frames. Raises ArtifactError for NaN, a blank mask, or answers beyond ``tolerance``."""
    name = session.spec.model_id
    for i, frame in enumerate(golden.frames):
        logits, view = _answer(session, frame)
        expected = golden.logits[i].astype(np.float32) * golden.scale[i]
        if not np.isfinite(logits).all() or (session.spec.has_view and not np.isfinite(view)):
            raise ArtifactError(f"{name}: NaN or infinity on golden frame {i}; {remedy}")
        mask = logits.argmax(axis=0)
        if len(np.unique(mask)) < 2:
            raise ArtifactError(f"{name}: a blank mask on golden frame {i}: one class everywhere; {remedy}")
        agreement = float((mask == expected.argmax(axis=0)).mean())
        error = float(np.abs(logits - expected).mean() / max(np.abs(expected).mean(), 1e-12))
        difference = abs(view - float(golden.view[i])) if session.spec.has_view else 0.0
        for what, value, kept, limit in (
            ("agreement", agreement, agreement >= tolerance.min_agreement, f"at least {tolerance.min_agreement}"),
            ("mean error", error, error <= tolerance.max_mean_error, f"at most {tolerance.max_mean_error}"),
            (
                "difference of the view logit",
                difference,
                difference <= tolerance.max_view_difference,
                f"at most {tolerance.max_view_difference}",
            ),
        ):
            if not kept:
                raise ArtifactError(
                    f"{name}: other answers than where it was built: {what} {value:.4f} on golden frame {i}, expected "
                    f"{limit}; {remedy}"
                )


def _answer(session: Session, frame: Pixels) -> tuple[NDArray[np.float32], float]:
    """Logits (C, H/s, W/s) and view logit, NaN where the engine wrote nothing."""
    buffers = empty(session.spec)
    buffers.pixels[0, 0] = frame
    buffers.logits.fill(np.nan)
    if buffers.view is not None:
        buffers.view.fill(np.nan)
    session.run(buffers.pixels, buffers.logits, buffers.view)
    return buffers.logits[0], float("nan") if buffers.view is None else float(buffers.view[0, 0])
