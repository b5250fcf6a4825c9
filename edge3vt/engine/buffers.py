"""The buffers of a run: the caller's, checked when they change and bound to the runtime without a copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.errors import EngineError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.core.spec import INPUT, LOGITS, VIEW, ModelSpec


@dataclass(frozen=True, slots=True, eq=False)
class Buffers:
    """Contiguous, writable arrays of the spec's shapes; ``view`` is None for a model without a view logit."""

    pixels: Pixels
    logits: Logits
    view: Logits | None

    def hold(self, pixels: Pixels, logits: Logits, view: Logits | None) -> bool:
        """Whether these are the same arrays; a view that was not asked for is the session's own."""
        return pixels is self.pixels and logits is self.logits and (view is None or view is self.view)


def empty(spec: ModelSpec) -> Buffers:
    """New buffers, all zero."""
    view = np.zeros((1, 1), np.float32) if spec.has_view else None
    return Buffers(np.zeros(spec.input_shape, np.uint8), np.zeros(spec.logits_shape, np.float32), view)


def checked(spec: ModelSpec, pixels: Pixels, logits: Logits, view: Logits | None) -> Buffers:
    """The caller's arrays as buffers. Raises EngineError for a wrong shape, type or layout."""
    if spec.has_view and view is None:
        view = np.zeros((1, 1), np.float32)
    _check(spec, INPUT, pixels, np.uint8, spec.input_shape)
    _check(spec, LOGITS, logits, np.float32, spec.logits_shape)
    if view is not None:
        if not spec.has_view:
            raise EngineError(f"{spec.model_id}: a buffer for the view logit was given, but the model has none")
        _check(spec, VIEW, view, np.float32, (1, 1))
    return Buffers(pixels, logits, view)


def _check(spec: ModelSpec, name: str, array: NDArray[np.generic], kind: type, shape: tuple[int, ...]) -> None:
    layout = ", strided" * (not array.flags.c_contiguous) + ", read-only" * (not array.flags.writeable)
    if array.shape != shape or array.dtype != kind or layout:
        raise EngineError(
            f"{spec.model_id}: the buffer for {name} is {array.dtype} {array.shape}{layout}, "
            f"expected contiguous, writable {np.dtype(kind)} {shape}"
        )
