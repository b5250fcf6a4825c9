"""Verification: is this engine the model it claims to be, here, today? The referee is FP32 on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from edge3vt.core.clock import NS_PER_MS, SystemClock
from edge3vt.core.errors import ArtifactError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.metrics import confusion, dice
from edge3vt.core.segmentation import Mask
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.buffers import Buffers, empty
from edge3vt.engine.manifest import Speed, VerifyReport, open_verified
from edge3vt.engine.model import read_model
from edge3vt.engine.open import open_as, open_model, refuse_elsewhere, refuse_expired
from edge3vt.engine.recipe import VerifyLimits
from edge3vt.engine.tensorrt_builder import compiled

ROUNDS = 12
RUNS_A_ROUND = 4  # timed, after one that is not
MOST = 90
"""The percentile of the view logit's differences that is limited, by nearest rank: of few pictures the largest."""
IS_VIEW = 0.0
"""From this logit on the gate of the live picture calls it the view."""


def verify(directory: Path, fp32_model_bytes: bytes, golden: Iterable[Pixels]) -> VerifyReport:
    """Hold the engine in ``directory`` against the FP32 model on ``golden``, (H, W) uint8 pictures.

    A failed limit is a report with reasons. Raises ArtifactError for a damaged engine or one of another model,
    DataError for unusable pictures, EngineError if a runtime fails. For TensorRT a plan of the FP32 model is built too.
    """
    manifest, engine_bytes = open_verified(directory)
    refuse_expired(manifest, directory)
    refuse_elsewhere(manifest, directory)
    source = read_model(fp32_model_bytes)
    if manifest.source_sha256 != source.sha256 or manifest.spec != source.spec:
        raise ArtifactError(
            f"{directory}: made from another model ({manifest.spec.model_id}, SHA-256 {manifest.source_sha256[:12]}…) "
            f"than {source.spec.model_id} ({source.sha256[:12]}…); build it again: edge3vt build {manifest.name}"
        )
    recipe = manifest.recipe
    fp32_bytes = compiled(fp32_model_bytes, recipe, "fp32")
    with ExitStack() as opened:
        engine = opened.enter_context(closing(open_as(recipe, engine_bytes, source.spec)))
        rival = opened.enter_context(closing(open_as(recipe, fp32_bytes, source.spec)))
        referee = open_model(fp32_model_bytes, source.spec, "onnxruntime", recipe.threads)
        opened.callback(referee.close)
        return compare(engine, referee, rival, golden, recipe.verify)


def compare(
    engine: Session, referee: Session, rival: Session, golden: Iterable[Pixels], limits: VerifyLimits
) -> VerifyReport:
    """The report on ``engine``; ``rival`` is FP32 on the engine's runtime and only timed."""
    tally = Tally(referee.spec)
    for frame in golden:
        tally.add(frame, engine, referee)
    if not tally.frames:
        raise DataError("no golden frames; verification needs at least one")
    return tally.report(measure(engine, rival, referee, tally.theirs), limits)


class Tally:
    """Differences between an engine and the referee, summed over frames."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self.mine, self.theirs = empty(spec), empty(spec)
        self._counts = np.zeros((len(spec.classes),) * 2, dtype=np.int64)  # rows FP32, columns the engine
        self._finite = True
        self._error_sum = self._error_max = self._reference_sum = self._reference_max = 0.0
        self._views: list[tuple[float, float]] = []  # the engine's logit, and FP32's
        self.frames = 0

    def add(self, frame: Pixels, engine: Session, referee: Session) -> None:
        """Run both on a frame. Raises DataError for a frame of another size."""
        spec = self._spec
        if frame.shape != (spec.height, spec.width) or frame.dtype != np.uint8:
            raise DataError(
                f"golden frame {self.frames} is {frame.dtype} {frame.shape}, "
                f"expected uint8 ({spec.height}, {spec.width}); crop and resize it first"
            )
        for session, buffers in ((engine, self.mine), (referee, self.theirs)):
            buffers.pixels[0, 0] = frame
            buffers.logits.fill(np.nan)  # what a runtime does not write must not pass for an answer
            if buffers.view is not None:
                buffers.view.fill(np.nan)
            session.run(buffers.pixels, buffers.logits, buffers.view)
        if not _finite(self.theirs):
            raise ArtifactError(f"{spec.model_id}: the FP32 model itself gives NaN or infinity; train or export again")
        self._finite = self._finite and _finite(self.mine)
        self._counts += confusion(_mask(self.theirs), _mask(self.mine), len(spec.classes))
        if self._finite:
            error, reference = np.abs(self.mine.logits - self.theirs.logits), np.abs(self.theirs.logits)
            self._error_sum += float(error.sum())
            self._error_max = max(self._error_max, float(error.max()))
            self._reference_sum += float(reference.sum())
            self._reference_max = max(self._reference_max, float(reference.max()))
            if self.mine.view is not None and self.theirs.view is not None:
                self._views.append((float(self.mine.view[0, 0]), float(self.theirs.view[0, 0])))
        self.frames += 1

    def report(self, speed: Speed, limits: VerifyLimits) -> VerifyReport:
        """The report, with each limit that was not kept as a reason."""
        agreement = float(np.trace(self._counts) / self._counts.sum())
        scores = {
            name: None if np.isnan(score) else float(score)
            for name, score in zip(self._spec.classes, dice(self._counts), strict=True)
        }
        mean_error = self._error_sum / max(self._reference_sum, 1e-12)
        peak_error = self._error_max / max(self._reference_max, 1e-12)
        reasons: list[str] = []
        if not self._finite:
            reasons.append("the engine gives NaN or infinity")
        if np.count_nonzero(self._counts.sum(axis=1)) < 2:
            reasons.append("FP32 finds one class only on the golden frames, which proves nothing; choose others")
        elif np.count_nonzero(self._counts.sum(axis=0)) < 2:
            reasons.append("the engine's masks are blank: one class everywhere")
        if agreement < limits.min_agreement:
            reasons.append(f"agreement with FP32 is {agreement:.4f}, at least {limits.min_agreement} was asked for")
        for name, score in scores.items():
            if score is not None and score < limits.min_dice:
                reasons.append(f"Dice of {name} with FP32 is {score:.3f}, at least {limits.min_dice} was asked for")
        for kind, error, limit in (
            ("mean", mean_error, limits.max_mean_error),
            ("peak", peak_error, limits.max_peak_error),
        ):
            if self._finite and error > limit:
                reasons.append(f"{kind} error is {error:.4f}, at most {limit} was asked for")
        difference, changes = view_differences(self._views) if self._finite and self._views else (None, None)
        if difference is not None and difference > limits.max_view_difference:
            asked = f"at most {limits.max_view_difference} was asked for"
            reasons.append(f"the view logit differs by {difference:.3f}, {asked}")
        if changes is not None and changes > limits.max_view_changes:
            asked = f"at most {limits.max_view_changes:.1%} was asked for"
            reasons.append(f"{changes:.1%} of the frames change between the view and not the view, {asked}")
        speedup = speed.fp32_ms / max(speed.engine_ms, 1e-6)
        if speedup < limits.min_speedup:
            reasons.append(f"it runs {speedup:.2f} times as fast as FP32, {limits.min_speedup} times was asked for")
        return VerifyReport(
            passed=not reasons,
            reasons=tuple(reasons),
            frames=self.frames,
            agreement=agreement,
            mean_error=mean_error if self._finite else None,
            peak_error=peak_error if self._finite else None,
            dice=scores,
            view_difference=difference,
            view_changes=changes,
            speed=speed,
            speedup=speedup,
        )


def view_differences(views: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The MOSTth percentile of |difference|, and the share of pairs of which one is the view and the other is not."""
    pairs = np.array(views)
    most = np.percentile(np.abs(pairs[:, 0] - pairs[:, 1]), MOST, method="inverted_cdf")
    called = pairs >= IS_VIEW
    return float(most), float((called[:, 0] != called[:, 1]).mean())


def measure(engine: Session, rival: Session, referee: Session, buffers: Buffers) -> Speed:
    """Median times of three sessions, run in turn, so that a drifting machine drifts for all of them."""
    clock = SystemClock()
    times: tuple[list[int], list[int], list[int]] = ([], [], [])
    for _ in range(ROUNDS):
        for session, taken in zip((engine, rival, referee), times, strict=True):
            session.run(buffers.pixels, buffers.logits, buffers.view)
            for _ in range(RUNS_A_ROUND):
                started = clock.now_ns()
                session.run(buffers.pixels, buffers.logits, buffers.view)
                taken.append(clock.now_ns() - started)
    mine, fp32, reference = (float(np.median(taken)) / NS_PER_MS for taken in times)
    return Speed(mine, fp32, reference, ROUNDS * RUNS_A_ROUND)


def _finite(buffers: Buffers) -> bool:
    view = buffers.view is None or bool(np.isfinite(buffers.view).all())
    return view and bool(np.isfinite(buffers.logits).all())


def _mask(buffers: Buffers) -> Mask:
    mask: Mask = buffers.logits[0].argmax(axis=0).astype(np.uint8)
    return mask
