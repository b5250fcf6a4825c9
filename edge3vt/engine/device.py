"""CUDA: the primary context, host memory that the GPU reaches, a stream, and graphs. The only file that imports
PyCUDA (context, memory, stream, events) and cuda-bindings (flags of the primary context, graph capture).

The context is current only inside ``with device``: so a session may be used by any thread, sessions do not disturb
each other, and PyCUDA's stack of contexts is empty when the process ends (else PyCUDA aborts it). It is retained
once a process and never released: TensorRT's own CUDA runtime holds it to the end as well.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.errors import BackendMissingError, EngineError

Wait = Literal["spin", "block"]
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING in cuda.h: what others put on the default stream is not waited for
_log = logging.getLogger(__name__)
_retained: dict[int, Any] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Gpu:
    """compute: "8.7" is SM 8.7. integrated: it shares the host's memory, as on a Jetson."""

    name: str
    compute: str
    multiprocessors: int
    integrated: bool
    cuda: str


@dataclass(frozen=True, slots=True)
class Memory:
    """One buffer of a session: the host's array, and the address that TensorRT gets. device: the device memory
    at that address, which the array is copied to or from; None for mapped memory."""

    array: NDArray[Any]
    address: int
    device: Any | None


class Device(AbstractContextManager["Device"]):
    """A GPU with one stream. Every method is called inside ``with device``."""

    def __init__(self, wait: Wait = "spin", index: int = 0) -> None:
        self._driver = _pycuda()
        self._bindings = _bindings()
        self._context = _retain(self._driver, self._bindings, wait, index)
        with self:
            flags = self._driver.event_flags
            self.stream: Any = self._driver.Stream(_NON_BLOCKING)
            self._done: Any = self._driver.Event(
                flags.DISABLE_TIMING | (flags.BLOCKING_SYNC if wait == "block" else flags.DEFAULT)
            )

    def __enter__(self) -> Device:
        self._context.push()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._driver.Context.pop()

    @property
    def failures(self) -> type[Exception]:
        """What PyCUDA raises."""
        failures: type[Exception] = self._driver.Error
        return failures

    def memory(self, shape: tuple[int, ...], kind: type[np.generic], *, mapped: bool) -> Memory:
        """A zeroed, page-locked array with device memory of its size beside it, or mapped: one memory for both."""
        flags = self._driver.host_alloc_flags.DEVICEMAP if mapped else 0
        array = self._driver.pagelocked_empty(shape, kind, mem_flags=flags)
        array.fill(0)
        if mapped:
            return Memory(array, int(array.base.get_device_pointer()), None)
        try:
            device = self._driver.mem_alloc(array.nbytes)
        except self._driver.Error:
            array.base.free()  # now, while the context is current; the error's traceback would keep it
            raise
        return Memory(array, int(device), device)

    def upload(self, memory: Memory) -> None:
        """Put a copy to the device on the stream; nothing for mapped memory."""
        if memory.device is not None:
            self._driver.memcpy_htod_async(memory.device, memory.array, self.stream)

    def download(self, memory: Memory) -> None:
        if memory.device is not None:
            self._driver.memcpy_dtoh_async(memory.array, memory.device, self.stream)

    def wait(self) -> None:
        """Until the stream has done what was put on it. Releases the interpreter; spins or blocks as asked."""
        self._done.record(self.stream)
        self._done.synchronize()

    def close(self) -> None:
        """Free the stream; PyCUDA would do it later, perhaps in another thread, where it cannot."""
        self.stream = self._done = None

    def capture(self, enqueue: Callable[[], None]) -> Graph:
        """What ``enqueue`` puts on the stream, as one graph. Raises EngineError where it cannot be captured; the
        stream then is as it was before."""
        if self._bindings is None:
            raise EngineError("cuda-bindings is not installed (pip install cuda-bindings)")
        return Graph(self._bindings, int(self.stream.handle), enqueue)


class Graph:
    """A captured CUDA graph, ready to launch on the stream it was captured from."""

    def __init__(self, bindings: ModuleType, handle: int, enqueue: Callable[[], None]) -> None:
        self._bindings = bindings
        self._stream = bindings.CUstream(handle)
        self._executable: Any = None
        # Other threads may call CUDA meanwhile; only this one's unsafe calls would break the capture.
        self._call(
            "cuStreamBeginCapture", self._stream, bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        )
        try:
            enqueue()
        except BaseException:
            result, graph = bindings.cuStreamEndCapture(self._stream)
            if _succeeded(bindings, result) and int(graph):
                bindings.cuGraphDestroy(graph)
            raise
        (graph,) = self._call("cuStreamEndCapture", self._stream)
        try:
            (self._executable,) = self._call("cuGraphInstantiate", graph, 0)
        finally:
            bindings.cuGraphDestroy(graph)

    def launch(self) -> None:
        self._call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        if self._executable is not None:
            self._bindings.cuGraphExecDestroy(self._executable)
            self._executable = None

    def _call(self, function: str, *arguments: object) -> tuple[Any, ...]:
        result, *values = getattr(self._bindings, function)(*arguments)
        if not _succeeded(self._bindings, result):
            raise EngineError(f"{function} failed ({result.name})")
        return tuple(values)


def gpu(index: int = 0) -> Gpu:
    """The GPU of that number in CUDA's order. Raises BackendMissingError without PyCUDA, driver or GPU."""
    driver = _pycuda()
    device = _device(driver, index)
    attributes, (major, minor) = driver.device_attribute, device.compute_capability()
    version = driver.get_driver_version()
    return Gpu(
        name=device.name(),
        compute=f"{major}.{minor}",
        multiprocessors=device.get_attribute(attributes.MULTIPROCESSOR_COUNT),
        integrated=bool(device.get_attribute(attributes.INTEGRATED)),
        cuda=f"{version // 1000}.{version % 1000 // 10}",
    )


def _retain(driver: ModuleType, bindings: ModuleType | None, wait: Wait, index: int) -> Any:
    """The primary context, with the flags of the last session that asked."""
    device = _device(driver, index)
    if bindings is None:
        _log.warning("cuda-bindings is not installed: the way of waiting is CUDA's own choice, and no CUDA graphs")
    else:
        flags = bindings.CUctx_flags
        flag = flags.CU_CTX_SCHED_SPIN if wait == "spin" else flags.CU_CTX_SCHED_BLOCKING_SYNC
        (result,) = bindings.cuDevicePrimaryCtxSetFlags(index, int(flag))
        if not _succeeded(bindings, result):
            _log.warning("the way of waiting could not be set (%s)", result.name)
    with _lock:
        if index not in _retained:
            try:
                _retained[index] = device.retain_primary_context()
            except driver.Error as error:
                raise BackendMissingError(
                    f"GPU {index}: no CUDA context ({error}); is it free? see nvidia-smi"
                ) from error
        return _retained[index]


def _device(driver: ModuleType, index: int) -> Any:
    try:
        driver.init()
        count = driver.Device.count()
        if index < count:
            return driver.Device(index)
    except driver.Error as error:
        raise BackendMissingError(f"CUDA finds no GPU here ({error}); check the driver: nvidia-smi") from error
    raise BackendMissingError(f"GPU {index} is not there, CUDA finds {count}; check the driver: nvidia-smi")


def _pycuda() -> ModuleType:
    try:
        import pycuda.driver
    except ImportError as error:
        raise BackendMissingError(
            f"PyCUDA cannot be imported here ({error}); install it as docs/jetson.md says"
        ) from error
    driver: ModuleType = pycuda.driver
    return driver


def _bindings() -> ModuleType | None:
    try:
        from cuda.bindings import driver
    except ImportError:
        return None
    module: ModuleType = driver
    return module


def _succeeded(bindings: ModuleType, result: Any) -> bool:
    return bool(result == bindings.CUresult.CUDA_SUCCESS)
