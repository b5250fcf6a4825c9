"""TensorRT of Python, in each version: it has only what the real bindings of that version have, with their numbers
and parameters (tensorrt_api.json). Its plan is the ONNX model; ONNX Runtime computes, on the memory of fake_cuda."""

from __future__ import annotations

import json
from enum import IntEnum
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from edge3vt.core.spec import INPUT, VIEW
from tests.engine.bindings import members
from tests.engine.fake_cuda import World

PLAN = b"a plan of TensorRT %s\n"
ENUMERATIONS = ("BuilderFlag", "DataType", "MemoryPoolType", "NetworkDefinitionCreationFlag", "TensorIOMode")


class ILogger:
    class Severity(IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self) -> None: ...

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


class Strict:
    """Attributes that the real class does not have cannot be set, as with pybind11."""

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and name not in vars(type(self)):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        object.__setattr__(self, name, value)


class IHostMemory(bytes):
    pass


class ParserError(Strict):
    def node(self) -> int:
        return 3

    def node_name(self) -> str:
        return "/head/Resize"

    def node_operator(self) -> str:
        return "Resize"

    def desc(self) -> str:
        return "In node 3:\n antialias is not supported"


def fake(version: str, world: World) -> ModuleType:
    """The module tensorrt of a version."""
    real = members("tensorrt", version)
    plan_head = PLAN % version.encode()
    trt = ModuleType("tensorrt")

    class INetworkDefinition:
        def __init__(self, flags: int) -> None:
            self._flags = {f.name for f in trt.NetworkDefinitionCreationFlag if flags >> f & 1}
            self._onnx = b""

    class ITimingCache(Strict):
        def __init__(self, data: bytes) -> None:
            self._data = data

        def serialize(self) -> IHostMemory:
            return IHostMemory(b"timings of " + version.encode())

    class IBuilderConfig(Strict):
        builder_optimization_level = 3
        max_aux_streams = -1

        def __init__(self) -> None:
            self._flags = {"TF32"}
            self._limits: dict[str, int] = {}
            self._timings: ITimingCache | None = None

        def set_flag(self, flag: Any) -> None:
            self._flags.add(trt.BuilderFlag(flag).name)

        def clear_flag(self, flag: Any) -> None:
            self._flags.remove(trt.BuilderFlag(flag).name)

        def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
            self._limits[trt.MemoryPoolType(pool).name] = pool_size

        def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None:
            world.call("create_timing_cache", context=False)
            return None if serialized_timing_cache == b"damaged" else trt.ITimingCache(serialized_timing_cache)

        def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
            assert not ignore_mismatch
            fits = cache._data in (b"", b"timings of " + version.encode())
            self._timings = cache if fits else None
            return fits

        def get_timing_cache(self) -> ITimingCache | None:
            return self._timings

    class Builder(Strict):
        def __init__(self, logger: ILogger) -> None:
            self._logger = logger

        def create_network(self, flags: int = 0) -> INetworkDefinition:
            return trt.INetworkDefinition(flags)

        def create_builder_config(self) -> IBuilderConfig:
            return trt.IBuilderConfig()

        def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None:
            if world.call("build", context=False):
                self._logger.log(ILogger.Severity.ERROR, "[optimizer.cpp] Could not find any implementation")
                return None
            asked = {
                "network": sorted(network._flags),
                "flags": sorted(config._flags),
                "limits": config._limits,
                "level": config.builder_optimization_level,
                "streams": config.max_aux_streams,
            }
            trt.asked = asked
            return IHostMemory(plan_head + json.dumps(asked).encode() + b"\n" + network._onnx)

    class OnnxParser(Strict):
        def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
            self._network = network
            self._errors = 0

        @property
        def num_errors(self) -> int:
            return self._errors

        def parse(self, model: bytes, path: str | None = None) -> bool:
            opset = max(entry.version for entry in onnx.load_from_string(model).opset_import)
            self._errors = int(world.call("parse", context=False) or (version == "8.6" and opset > 17))
            self._network._onnx = model
            return not self._errors

        def get_error(self, index: int) -> Any:
            assert index < self._errors
            return trt.ParserError()

    class Runtime(Strict):
        def __init__(self, logger: ILogger) -> None:
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
            failed = world.call("deserialize")
            if failed or not serialized_engine.startswith(plan_head):
                self._logger.log(ILogger.Severity.WARNING, "plan of another device")
                self._logger.log(
                    ILogger.Severity.ERROR, "Serialization assertion stdVersionRead == failed.\n Version tag"
                )
                return None
            return trt.ICudaEngine(serialized_engine.split(b"\n", 2)[2])

    class ICudaEngine(Strict):
        def __init__(self, model: bytes) -> None:
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # damages FP16-typed Q/DQ
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            self._values = {v.name: v for v in (*self._session.get_inputs(), *self._session.get_outputs())}
            world.live.add("engine")

        @property
        def num_io_tensors(self) -> int:
            return len(self._values)

        def get_tensor_name(self, index: int) -> str:
            return list(self._values)[index]

        def get_tensor_mode(self, name: str) -> Any:
            return trt.TensorIOMode.INPUT if name == INPUT else trt.TensorIOMode.OUTPUT

        def get_tensor_dtype(self, name: str) -> Any:
            kind = self._values[name].type
            return {"tensor(uint8)": trt.DataType.UINT8, "tensor(float)": trt.DataType.FLOAT}[kind]

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return tuple(self._values[name].shape)

        def create_execution_context(self) -> IExecutionContext | None:
            return None if world.call("create_execution_context") else trt.IExecutionContext(self)

        def __del__(self) -> None:
            assert "context" not in world.live, "the engine was freed before its context"
            world.live.discard("engine")

    class IExecutionContext(Strict):
        def __init__(self, engine: ICudaEngine) -> None:
            self._engine = engine
            self._addresses: dict[str, int] = {}
            world.live.add("context")

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._addresses[name] = memory
            return not world.call(f"address of {name}")

        def execute_async_v3(self, stream_handle: int) -> bool:
            assert stream_handle == 4242
            assert self._addresses.keys() == self._engine._values.keys(), "a tensor has no memory"
            if world.call("execute"):
                return False
            frozen = dict(self._addresses)  # a graph keeps the addresses that it was captured with
            world.put(lambda: self._execute(frozen))
            return True

        def _execute(self, addresses: dict[str, int]) -> None:
            arrays = {name: world.memory[address] for name, address in addresses.items()}
            pixels = arrays.pop(INPUT).reshape(self._engine._values[INPUT].shape)
            names = list(arrays)
            for name, value in zip(names, self._engine._session.run(names, {INPUT: pixels}), strict=True):
                assert name == VIEW or value.ndim == 4
                np.copyto(arrays[name], np.ascontiguousarray(value).reshape(-1).view(np.uint8))

        def __del__(self) -> None:
            world.live.discard("context")

    for name, cls in {**locals(), "ParserError": ParserError, "ILogger": ILogger, "IHostMemory": IHostMemory}.items():
        if isinstance(cls, type):
            kept = {key: value for key, value in vars(cls).items() if key.startswith("_") or f"{name}.{key}" in real}
            kept = {key: value for key, value in kept.items() if key not in ("__dict__", "__weakref__")}
            setattr(trt, name, cls if name in KEPT_WHOLE else type(name, cls.__bases__, kept))
    for name in ENUMERATIONS:
        numbers = {key.partition(".")[2]: number for key, number in real.items() if key.startswith(f"{name}.")}
        setattr(trt, name, IntEnum(name, {key: n for key, n in numbers.items() if type(n) is int}))
    trt.__version__ = f"{version}.0"
    return trt


KEPT_WHOLE = ("ILogger", "IHostMemory", "INetworkDefinition")
