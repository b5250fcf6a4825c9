"""A GPU of Python: PyCUDA and cuda-bindings as engine/device.py uses them. Work put on the stream is done when it is
waited for, not before; what is captured is done at each launch. test_tensorrt_api.py holds it to the real API."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Work = Callable[[], None]


class CudaError(Exception):
    """pycuda.driver.Error."""


class World:
    """What happened on the GPU. faults: by name of the call, which run of it fails (from 0); -1 for each."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.counts: dict[str, int] = {}
        self.faults: dict[str, int] = {}
        self.contexts: list[Context] = []
        self.queue: list[Work] = []
        self.capturing: list[Work] | None = None
        self.memory: dict[int, np.ndarray] = {}  # by address
        self.live: set[str] = set()  # what was made and not yet freed
        self.count = 1
        self.made = 0

    def call(self, name: str, *, context: bool = True) -> bool:
        """Note a call; True where it is to fail."""
        assert self.contexts or not context, f"{name} without a current context"
        self.calls.append(name)
        number = self.counts.get(name, 0)
        self.counts[name] = number + 1
        return self.faults.get(name, -2) in (number, -1)

    def check(self, name: str, *, context: bool = True) -> None:
        if self.call(name, context=context):
            raise CudaError(f"{name} failed: an illegal memory access was encountered")

    def free(self, name: str) -> None:
        assert self.contexts or name not in self.live, f"{name} is freed without a current context"
        self.live.discard(name)

    def put(self, work: Work) -> None:
        (self.queue if self.capturing is None else self.capturing).append(work)

    def address(self, array: np.ndarray) -> int:
        self.made += 1
        self.memory[0x1000 * self.made] = array
        return 0x1000 * self.made

    def flush(self) -> None:
        work, self.queue = self.queue, []
        for item in work:
            item()


class Context:
    def __init__(self, world: World) -> None:
        self._world = world

    def push(self) -> None:
        self._world.contexts.append(self)

    pop: Callable[[], None]


class CUresult(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900


class CUstreamCaptureMode(IntEnum):
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1


class CUctx_flags(IntEnum):
    CU_CTX_SCHED_SPIN = 1
    CU_CTX_SCHED_BLOCKING_SYNC = 4


def pycuda(world: World) -> ModuleType:
    """The module pycuda.driver."""

    class Device:
        def __init__(self, index: int) -> None:
            assert 0 <= index < world.count

        @staticmethod
        def count() -> int:
            return world.count

        def name(self) -> str:
            return "Orin"

        def compute_capability(self) -> tuple[int, int]:
            return (8, 7)

        def get_attribute(self, attribute: str) -> int:
            return {"multiprocessors": 8, "integrated": 1}[attribute]

        def retain_primary_context(self) -> Context:
            world.check("retain", context=False)
            return Context(world)

    class DeviceAllocation:
        def __init__(self, size: int) -> None:
            self._bytes = np.zeros(size, np.uint8)
            self._address = world.address(self._bytes)
            world.live.add(f"memory {self._address}")

        def __int__(self) -> int:
            return self._address

        def __del__(self) -> None:
            world.free(f"memory {self._address}")

    class PagelockedHostAllocation:
        def __init__(self, shape: tuple[int, ...], dtype: type, flags: int) -> None:
            self._array = np.full(shape, 77, dtype)  # page-locked memory holds anything
            self._mapped = flags == host_alloc_flags.DEVICEMAP
            self.__array_interface__ = self._array.__array_interface__
            world.live.add(f"host {id(self)}")

        def get_device_pointer(self) -> int:
            assert self._mapped, "not mapped"
            return world.address(self._array.reshape(-1).view(np.uint8))

        def free(self) -> None:
            world.free(f"host {id(self)}")

        __del__ = free

    class Stream:
        handle = 4242

        def __init__(self, flags: int = 0) -> None:
            world.check(f"Stream {flags}")
            world.live.add("stream")

        def __del__(self) -> None:
            world.free("stream")

    class Event:
        def __init__(self, flags: int = 0) -> None:
            world.check(f"Event {flags}")
            world.live.add("event")
            self._recorded = False

        def __del__(self) -> None:
            world.live.discard("event")  # a failed call's traceback holds it; that of PyCUDA, in C++, would not

        def record(self, stream: Stream) -> Event:
            assert isinstance(stream, Stream)
            world.check("record")
            self._recorded = True
            return self

        def synchronize(self) -> Event:
            assert self._recorded
            world.check("synchronize")
            world.flush()
            return self

    class event_flags:
        DEFAULT, BLOCKING_SYNC, DISABLE_TIMING = 0, 1, 2

    class host_alloc_flags:
        DEVICEMAP = 2

    class device_attribute:
        MULTIPROCESSOR_COUNT, INTEGRATED = "multiprocessors", "integrated"

    def init(flags: int = 0) -> None:
        world.check("init", context=False)

    def get_driver_version() -> int:
        return 12060

    def pagelocked_empty(shape: tuple[int, ...], dtype: type, order: str = "C", mem_flags: int = 0) -> np.ndarray:
        world.check("pagelocked_empty")
        return np.asarray(PagelockedHostAllocation(shape, dtype, mem_flags))

    def mem_alloc(size: int) -> DeviceAllocation:
        world.check("mem_alloc")
        return DeviceAllocation(size)

    def memcpy_htod_async(dest: DeviceAllocation, src: np.ndarray, stream: Stream | None = None) -> None:
        assert isinstance(stream, Stream)
        world.check("upload")
        there = world.memory[int(dest)]
        world.put(lambda: np.copyto(there, src.reshape(-1).view(np.uint8)))

    def memcpy_dtoh_async(dest: np.ndarray, src: DeviceAllocation, stream: Stream | None = None) -> None:
        assert isinstance(stream, Stream)
        world.check("download")
        there = world.memory[int(src)]
        world.put(lambda: np.copyto(dest.reshape(-1).view(np.uint8), there))

    def pop() -> None:
        world.contexts.pop()

    Context.pop = staticmethod(pop)  # type: ignore[method-assign]
    module = ModuleType("pycuda.driver")
    vars(module).update({name: value for name, value in locals().items() if name not in ("module", "world", "pop")})
    vars(module).update(Context=Context, Error=CudaError)
    return module


def cuda_bindings(world: World) -> ModuleType:
    """The module cuda.bindings.driver."""

    class CUstream:
        def __init__(self, handle: int) -> None:
            assert handle == 4242

    class CUgraph(list[Work]):
        def __int__(self) -> int:
            return 1

    def outcome(name: str, *, context: bool = True) -> CUresult:
        failed = world.call(name, context=context)
        return CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED if failed else CUresult.CUDA_SUCCESS

    def cuDevicePrimaryCtxSetFlags(dev: int, flags: int) -> tuple[CUresult]:
        return (outcome(f"flags {flags}", context=False),)

    def cuStreamBeginCapture(hStream: CUstream, mode: CUstreamCaptureMode) -> tuple[CUresult]:
        assert isinstance(hStream, CUstream)
        assert isinstance(mode, CUstreamCaptureMode)
        result = outcome("begin")
        if result == CUresult.CUDA_SUCCESS:
            assert not world.queue, "capture begins while work is pending"
            world.capturing = []
        return (result,)

    def cuStreamEndCapture(hStream: CUstream) -> tuple[CUresult, CUgraph | None]:
        graph, world.capturing = CUgraph(world.capturing or ()), None
        result = outcome("end")
        if result != CUresult.CUDA_SUCCESS:
            return result, None
        world.live.add("graph")
        return result, graph

    def cuGraphInstantiate(hGraph: CUgraph, flags: int) -> tuple[CUresult, CUgraph]:
        result = outcome("instantiate")
        if result == CUresult.CUDA_SUCCESS:
            world.live.add("executable")
        return result, hGraph

    def cuGraphLaunch(hGraphExec: CUgraph, hStream: CUstream) -> tuple[CUresult]:
        assert isinstance(hStream, CUstream)
        result = outcome("launch")
        if result == CUresult.CUDA_SUCCESS:
            world.queue.extend(hGraphExec)
        return (result,)

    def cuGraphDestroy(hGraph: CUgraph) -> tuple[CUresult]:
        world.live.discard("graph")
        return (outcome("destroy graph"),)

    def cuGraphExecDestroy(hGraphExec: CUgraph) -> tuple[CUresult]:
        world.live.discard("executable")
        hGraphExec.clear()
        return (outcome("destroy executable"),)

    module = ModuleType("cuda.bindings.driver")
    hidden = ("module", "world", "outcome", "CUgraph")
    vars(module).update({name: value for name, value in locals().items() if name not in hidden})
    vars(module).update(CUresult=CUresult, CUstreamCaptureMode=CUstreamCaptureMode, CUctx_flags=CUctx_flags)
    return module


def install(world: World, patch: pytest.MonkeyPatch, *, bindings: bool = True) -> None:
    """Let imports of pycuda and cuda.bindings give the fakes; without ``bindings`` the latter is not installed."""
    packages: dict[str, Any] = {name: ModuleType(name) for name in ("pycuda", "cuda", "cuda.bindings")}
    packages["pycuda.driver"] = packages["pycuda"].driver = pycuda(world)
    if bindings:
        packages["cuda.bindings.driver"] = packages["cuda.bindings"].driver = cuda_bindings(world)
    else:
        packages["cuda.bindings.driver"] = packages["cuda.bindings"] = None
    for name, module in packages.items():
        patch.setitem(sys.modules, name, module)
    patch.setattr("edge3vt.engine.device._retained", {})
