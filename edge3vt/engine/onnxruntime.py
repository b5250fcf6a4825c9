"""ONNX Runtime on the CPU: the numeric referee for every other runtime."""

from __future__ import annotations

import onnxruntime as ort

from edge3vt.core.errors import ArtifactError, EngineError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.core.spec import INPUT, LOGITS, VIEW, ModelSpec
from edge3vt.engine.buffers import Buffers, checked, empty

WARM_UP_RUNS = 3


class OnnxRuntimeSession:
    """An ONNX model on one thread or more, bound to the caller's buffers."""

    def __init__(self, model_bytes: bytes, spec: ModelSpec, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._spec = spec
        try:
            self._session: ort.InferenceSession | None = ort.InferenceSession(
                model_bytes, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the exceptions of ONNX Runtime share no base class
            raise ArtifactError(
                f"{spec.model_id}: ONNX Runtime {ort.__version__} cannot open it ({_line(error)}); build it again"
            ) from error
        warm = empty(spec)
        self._bind(warm)
        for _ in range(WARM_UP_RUNS):
            self.run(warm.pixels, warm.logits, warm.view)

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        if self._session is None:
            raise EngineError(f"{self._spec.model_id}: the session is closed; open it again")
        if not self._buffers.hold(pixels, logits, view):
            self._bind(checked(self._spec, pixels, logits, view))
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:
            raise EngineError(f"{self._spec.model_id}: ONNX Runtime failed ({_line(error)}); open it again") from error

    def close(self) -> None:
        self._session = None

    def _bind(self, buffers: Buffers) -> None:
        assert self._session is not None
        self._buffers = buffers
        self._binding = self._session.io_binding()
        for bind, name, array in (
            (self._binding.bind_input, INPUT, buffers.pixels),
            (self._binding.bind_output, LOGITS, buffers.logits),
            (self._binding.bind_output, VIEW, buffers.view),
        ):
            if array is not None:
                bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)


def open_session(model_bytes: bytes, spec: ModelSpec, threads: int = 1) -> OnnxRuntimeSession:
    """A model that keeps the engine contract, opened and warm. Raises ArtifactError."""
    return OnnxRuntimeSession(model_bytes, spec, threads)


def version() -> str:
    return str(ort.__version__)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
