"""OpenVINO on the CPU: the fastest INT8 on x86. The engine file is the ONNX model; it is compiled when opened."""

from __future__ import annotations

import openvino as ov

from edge3vt.core.errors import ArtifactError, EngineError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.core.spec import INPUT, LOGITS, VIEW, ModelSpec
from edge3vt.engine.buffers import Buffers, checked, empty

WARM_UP_RUNS = 3


class OpenVinoSession:
    """An ONNX model on one thread or more, bound to the caller's buffers."""

    def __init__(self, model_bytes: bytes, spec: ModelSpec, threads: int) -> None:
        self._spec = spec
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # else a CPU with BF16 computes an FP32 model in BF16
            "ENABLE_CPU_PINNING": False,  # the other cores compose and encode; let the system choose
        }
        try:
            core = ov.Core()
            compiled = core.compile_model(core.read_model(model_bytes), "CPU", settings)
            self._request: ov.InferRequest | None = compiled.create_infer_request()
        except Exception as error:  # OpenVINO throws RuntimeError and its own kinds of it
            raise ArtifactError(
                f"{spec.model_id}: OpenVINO {version()} cannot open it ({_line(error)}); build it again"
            ) from error
        warm = empty(spec)
        self._bind(warm)
        for _ in range(WARM_UP_RUNS):
            self.run(warm.pixels, warm.logits, warm.view)

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        if self._request is None:
            raise EngineError(f"{self._spec.model_id}: the session is closed; open it again")
        if not self._buffers.hold(pixels, logits, view):
            self._bind(checked(self._spec, pixels, logits, view))
        try:
            self._request.infer(share_outputs=True)
        except Exception as error:
            raise EngineError(f"{self._spec.model_id}: OpenVINO failed ({_line(error)}); open it again") from error

    def close(self) -> None:
        self._request = None

    def _bind(self, buffers: Buffers) -> None:
        assert self._request is not None
        self._buffers = buffers
        for name, array in ((INPUT, buffers.pixels), (LOGITS, buffers.logits), (VIEW, buffers.view)):
            if array is not None:
                self._request.set_tensor(name, ov.Tensor(array, shared_memory=True))


def open_session(model_bytes: bytes, spec: ModelSpec, threads: int = 1) -> OpenVinoSession:
    """A model that keeps the engine contract, opened and warm. Raises ArtifactError."""
    return OpenVinoSession(model_bytes, spec, threads)


def version() -> str:
    return str(ov.__version__).partition("-")[0]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
