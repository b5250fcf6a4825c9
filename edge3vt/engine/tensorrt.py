"""TensorRT on an NVIDIA GPU. The engine file is a plan: code for one GPU and one TensorRT, only opened when trusted."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from edge3vt.core.errors import ArtifactError, BackendMissingError, Edge3vtError, EngineError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.core.spec import INPUT, LOGITS, VIEW, ModelSpec
from edge3vt.engine.buffers import Buffers, checked, empty
from edge3vt.engine.device import Device, Graph, Memory
from edge3vt.engine.recipe import TensorRt

WARM_UP_RUNS = 3
_log = logging.getLogger(__name__)


class TensorRtSession:
    """A plan with static buffers on one stream: upload, network and download as one CUDA graph, where it can be
    captured. how: "CUDA graph", or "plain enqueue" and why."""

    def __init__(self, plan: bytes, spec: ModelSpec, asked: TensorRt) -> None:
        trt = module()
        self._spec = spec
        self._asked = asked
        self._graph: Graph | None = None
        self._memory: dict[str, Memory] = {}
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self._closed = self._failed = False
        self._device = Device(asked.wait)
        warm = empty(spec)
        self._buffers: Buffers = warm
        try:
            with self._device:
                self._load(trt, plan)
                self._bind(mapped=asked.memory == "mapped")
                for _ in range(WARM_UP_RUNS):
                    self._enqueue()
                self._device.wait()
                self.how = self._captured() if asked.graph else "plain enqueue, as the recipe asks"
            for _ in range(WARM_UP_RUNS):
                self.run(warm.pixels, warm.logits, warm.view)
        except (Edge3vtError, self._device.failures) as error:
            self.close()
            if isinstance(error, Edge3vtError):
                raise
            raise EngineError(f"{spec.model_id}: CUDA failed while the engine was opened ({_line(error)})") from error
        except BaseException:
            self.close()
            raise

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        if self._closed:
            raise EngineError(f"{self._spec.model_id}: the session is closed; open it again")
        if self._failed:  # CUDA's errors stay with the context
            raise EngineError(f"{self._spec.model_id}: an earlier run failed on the GPU; start the process again")
        if not self._buffers.hold(pixels, logits, view):
            self._buffers = checked(self._spec, pixels, logits, view)
        memory = self._memory
        np.copyto(memory[INPUT].array, pixels)
        try:
            with self._device:
                if self._graph is None:
                    self._enqueue()
                else:
                    self._graph.launch()
                self._device.wait()
        except (EngineError, self._device.failures) as error:
            self._failed = True
            raise EngineError(
                f"{self._spec.model_id}: TensorRT failed ({_line(error)}); start the process again"
            ) from error
        np.copyto(logits, memory[LOGITS].array)
        if view is not None:
            np.copyto(view, memory[VIEW].array)

    def close(self) -> None:
        """Free everything, in the order of its use: graph, context, engine, runtime, memory."""
        if self._closed:
            return
        self._closed = True
        with self._device:
            try:
                self._device.wait()  # nothing may be freed under a run
            except self._device.failures as error:
                _log.warning("%s: closed after a failure (%s)", self._spec.model_id, _line(error))
            if self._graph is not None:
                self._graph.close()
            self._graph = None
            self._context = None
            self._engine = None
            self._runtime = None
            self._memory.clear()
            self._device.close()

    def _load(self, trt: ModuleType, plan: bytes) -> None:
        log = logger(trt)
        log.lines.clear()
        self._runtime = trt.Runtime(log)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise ArtifactError(
                f"{self._spec.model_id}: TensorRT {trt.__version__} cannot open it ({log.last}); "
                "build it again on this machine"
            )
        for problem in _differences(trt, self._engine, self._spec):
            raise ArtifactError(f"{self._spec.model_id}: {problem}; build it again")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"{self._spec.model_id}: no execution context ({log.last}); is the GPU's memory full?")

    def _bind(self, *, mapped: bool) -> None:
        tensors: list[tuple[str, tuple[int, ...], type[np.generic]]] = [
            (INPUT, self._spec.input_shape, np.uint8),
            (LOGITS, self._spec.logits_shape, np.float32),
        ]
        if self._spec.has_view:
            tensors.append((VIEW, (1, 1), np.float32))
        for name, shape, kind in tensors:
            self._memory[name] = self._device.memory(shape, kind, mapped=mapped)
            if not self._context.set_tensor_address(name, self._memory[name].address):
                raise EngineError(f"{self._spec.model_id}: TensorRT refused the memory for {name} ({self._said()})")

    def _enqueue(self) -> None:
        """Put one run on the stream."""
        self._device.upload(self._memory[INPUT])
        if not self._context.execute_async_v3(self._device.stream.handle):
            raise EngineError(f"the run could not be enqueued: {self._said()}")
        for name in (LOGITS, VIEW):
            if name in self._memory:
                self._device.download(self._memory[name])

    def _captured(self) -> str:
        """Capture one run; a network that cannot be captured is enqueued each time."""
        try:
            self._graph = self._device.capture(self._enqueue)
        except (EngineError, self._device.failures) as error:
            _log.warning("%s: no CUDA graph (%s); runs are enqueued one by one", self._spec.model_id, _line(error))
            return f"plain enqueue: {_line(error)}"
        return "CUDA graph"

    def _said(self) -> str:
        last: str = logger(module()).last
        return last


def open_session(plan: bytes, spec: ModelSpec, threads: int = 1, asked: TensorRt | None = None) -> TensorRtSession:
    """A plan, opened and warm. threads: of the CPU's runtimes; a recipe for TensorRT leaves it at 1.

    Raises ArtifactError for a plan that is foreign here, BackendMissingError without TensorRT, PyCUDA or a GPU.
    """
    return TensorRtSession(plan, spec, asked or TensorRt())


def version() -> str:
    return str(module().__version__)


def module() -> ModuleType:
    """The installed TensorRT. Raises BackendMissingError."""
    try:
        import tensorrt
    except ImportError as error:
        raise BackendMissingError(f"TensorRT cannot be imported here ({error}); see docs/jetson.md") from error
    found: ModuleType = tensorrt
    return found


@lru_cache(maxsize=1)
def logger(trt: ModuleType) -> Any:
    """The process's one logger (TensorRT keeps only the first): ``lines`` holds the last errors, ``last`` the last."""
    severity = trt.ILogger.Severity

    class Log(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: deque[str] = deque(maxlen=20)

        @property
        def last(self) -> str:
            return self.lines[-1] if self.lines else "TensorRT gave no reason"

        def log(self, severity_: Any, msg: str) -> None:
            if severity_ in (severity.INTERNAL_ERROR, severity.ERROR):
                self.lines.append(" ".join(msg.split())[:200])
            elif severity_ == severity.WARNING:
                _log.info("TensorRT: %s", msg)

    return Log()


def _differences(trt: ModuleType, engine: Any, spec: ModelSpec) -> Iterator[str]:
    """Where the plan's tensors are not what ``spec`` says."""
    modes, types = trt.TensorIOMode, trt.DataType
    expected: dict[str, tuple[Any, Any, tuple[int, ...]]] = {
        INPUT: (modes.INPUT, types.UINT8, spec.input_shape),
        LOGITS: (modes.OUTPUT, types.FLOAT, spec.logits_shape),
    }
    if spec.has_view:
        expected[VIEW] = (modes.OUTPUT, types.FLOAT, (1, 1))
    found = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    if sorted(found) != sorted(expected):
        yield f"the plan's tensors are {', '.join(found) or 'none'}, expected {', '.join(expected)}"
        return
    for name, (mode, kind, shape) in expected.items():
        is_mode, is_kind = engine.get_tensor_mode(name), engine.get_tensor_dtype(name)
        is_shape = tuple(engine.get_tensor_shape(name))
        if (is_mode, is_kind, is_shape) != (mode, kind, shape):
            there = f"{name} is {is_mode.name} {is_kind.name} {is_shape} in the plan"
            yield f"{there}, expected {mode.name} {kind.name} {shape}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
