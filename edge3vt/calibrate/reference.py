"""ONNX Runtime as the referee of numbers: what a model means, computed in floats and rounded where its pairs stand."""

from __future__ import annotations

import numpy as np
import onnxruntime

from edge3vt.core.errors import ArtifactError, EngineError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.core.spec import INPUT, LOGITS, VIEW, ModelSpec


class ReferenceSession:
    """A model on one thread of the CPU; a ``Session`` that is slow and exact.

    fused: let ONNX Runtime compute in 8 bits, as the flavour for the CPU will run. Else it may fuse no pair: on
    FP16-typed pairs its fusions double the error of the logits (ONNX Runtime 1.32). Raises ArtifactError.
    """

    def __init__(self, model_bytes: bytes, spec: ModelSpec, *, fused: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        if not fused:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        self._spec = spec
        try:
            self._session = onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a tree of its own
            line = " ".join(str(error).split())[:200]
            raise ArtifactError(f"{spec.model_id}: the model cannot be judged ({line}); export it again") from error
        self._has_view = VIEW in {output.name for output in self._session.get_outputs()}

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    @property
    def has_view(self) -> bool:
        return self._has_view

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        """As ``Session.run``; ``view`` stays as it is where the model has none. Raises EngineError."""
        names = [LOGITS, *([VIEW] if self._has_view and view is not None else [])]
        try:
            found = self._session.run(names, {INPUT: pixels})
        except Exception as error:
            line = " ".join(str(error).split())[:200]
            raise EngineError(f"{self._spec.model_id}: ONNX Runtime failed ({line}); export it again") from error
        for target, values in zip((logits, view), found, strict=False):
            assert target is not None
            np.copyto(target, values)

    def close(self) -> None:
        del self._session
