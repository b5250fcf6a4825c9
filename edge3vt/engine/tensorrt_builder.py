"""A plan from an ONNX file that was prepared for TensorRT. What differs between versions is found by their
attributes; numbers of enumerations differ too and are never written here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
from onnx import TensorProto

from edge3vt.core.documents import write_bytes
from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.engine.device import gpu
from edge3vt.engine.recipe import EngineRecipe, Precision, TensorRt, Typing
from edge3vt.engine.tensorrt import logger, module

OPTIONAL = (
    "BuilderFlag.FP16",
    "BuilderFlag.INT8",
    "BuilderFlag.TF32",
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH",
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
    "ParserError.node_name",
)
"""What the code uses and not every version has."""


@dataclass(frozen=True, slots=True)
class Way:
    """How one precision is built on one TensorRT: names of flags."""

    typing: Typing
    network: tuple[str, ...]
    on: tuple[str, ...]
    off: tuple[str, ...]


def detected(trt: ModuleType) -> frozenset[str]:
    """Those of OPTIONAL that this TensorRT has."""
    return frozenset(name for name in OPTIONAL if hasattr(getattr(trt, name.partition(".")[0]), name.partition(".")[2]))


def way(found: frozenset[str], precision: Precision, typing: Typing | None) -> Way:
    """The flags for a TensorRT with the attributes ``found``. Raises ConfigError for a typing that it does not have.

    weak (to 10.16): FP32-typed ONNX, flags allow FP16 and INT8. strong (from 10.0, the only one from 11.0): the types
    of the ONNX file count. FP32 is without TF32, else it would be no yardstick.
    """
    strong, weak = "NetworkDefinitionCreationFlag.STRONGLY_TYPED" in found, "BuilderFlag.FP16" in found
    chosen: Typing = typing or ("weak" if weak else "strong")
    if not {"weak": weak, "strong": strong}[chosen]:
        other = "strong" if chosen == "weak" else "weak"
        raise ConfigError(f"this TensorRT has no {chosen} typing; leave out the key 'typing', or say '{other}'")
    network = ["EXPLICIT_BATCH"] if "NetworkDefinitionCreationFlag.EXPLICIT_BATCH" in found else []
    network += ["STRONGLY_TYPED"] if chosen == "strong" else []
    allowed = {"fp32": (), "fp16": ("FP16",), "int8": ("FP16", "INT8")}[precision]
    off = ("TF32",) if precision == "fp32" and "BuilderFlag.TF32" in found else ()
    return Way(chosen, tuple(network), allowed if chosen == "weak" else (), off)


def typing_here(precision: Precision, asked: TensorRt) -> Typing:
    """How the ONNX file is to be prepared for the installed TensorRT: weak FP32-typed, strong FP16-typed."""
    return way(detected(module()), precision, asked.typing).typing


def compiled(prepared: bytes, recipe: EngineRecipe, precision: Precision) -> bytes:
    """What the recipe's runtime opens: for TensorRT a plan of ``prepared``, for a CPU the ONNX file itself."""
    if recipe.runtime != "tensorrt":
        return prepared
    return build_plan(prepared, precision, recipe.tensorrt, timing_cache())


def build_plan(prepared: bytes, precision: Precision, asked: TensorRt, cache: Path | None = None) -> bytes:
    """The plan of ``prepared`` for this machine's first GPU.

    cache: timings of earlier builds, read and replaced; ``timing_cache`` names it. Raises ArtifactError for a file
    that TensorRT cannot parse or build, or that was prepared for another typing or precision.
    """
    trt = module()
    found = detected(trt)
    chosen = way(found, precision, asked.typing)
    check_prepared(prepared, precision, chosen.typing)
    log = logger(trt)
    log.lines.clear()
    builder = trt.Builder(log)
    network, parser = parsed(trt, builder, prepared, chosen, found)
    config = configured(trt, builder, asked, chosen)
    _set_timings(config, cache)
    plan = builder.build_serialized_network(network, config)
    del parser  # it owns the weights that the network points to
    if plan is None:
        raise ArtifactError(f"TensorRT {trt.__version__} could not build the engine ({log.last}); see edge3vt lint")
    if cache is not None:
        write_bytes(cache, bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def parsed(trt: ModuleType, builder: Any, prepared: bytes, chosen: Way, found: frozenset[str]) -> tuple[Any, Any]:
    """The network, and the parser, which must live as long. Raises ArtifactError with the node that was refused."""
    flags = trt.NetworkDefinitionCreationFlag
    network = builder.create_network(sum(1 << int(getattr(flags, name)) for name in chosen.network))
    parser = trt.OnnxParser(network, logger(trt))
    if parser.parse(prepared):
        return network, parser
    reasons = []
    for i in range(parser.num_errors):  # to be read while the parser lives
        error = parser.get_error(i)
        named = f" {error.node_name()} ({error.node_operator()})" if "ParserError.node_name" in found else ""
        reasons.append(f"node {error.node()}{named}: {' '.join(error.desc().split())[:200]}")
    raise ArtifactError(
        f"TensorRT {trt.__version__} cannot parse the model ({reasons[0] if reasons else logger(trt).last}); "
        "see edge3vt lint"
    )


def configured(trt: ModuleType, builder: Any, asked: TensorRt, chosen: Way) -> Any:
    """The configuration: one stream, so that a graph is captured from it, and the recipe's limits."""
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, asked.workspace_mib << 20)
    config.builder_optimization_level = asked.level
    config.max_aux_streams = 0
    for name in chosen.on:
        config.set_flag(getattr(trt.BuilderFlag, name))
    for name in chosen.off:
        config.clear_flag(getattr(trt.BuilderFlag, name))
    return config


def check_prepared(prepared: bytes, precision: Precision, typing: Typing) -> None:
    """Raise ArtifactError for a file whose types would quietly give another precision than was asked for."""
    graph = onnx.load_from_string(prepared).graph
    quantised = any(node.op_type == "QuantizeLinear" for node in graph.node)
    half = any(tensor.data_type == TensorProto.FLOAT16 for tensor in graph.initializer)
    problem = None
    if quantised != (precision == "int8"):
        problem = "holds Q/DQ" if quantised else "holds no Q/DQ"
    elif half and typing == "weak":
        problem = "is FP16-typed"
    elif typing == "strong" and half != (precision == "fp16") and precision != "int8":
        problem = "is FP16-typed" if half else "is FP32-typed"
    if problem:
        raise ArtifactError(
            f"the prepared model {problem}, but {precision} with {typing} typing was asked for; prepare it for that"
        )


def timing_cache() -> Path:
    """Where the timings of this GPU and this TensorRT are kept."""
    found = gpu()
    name = re.sub(r"[^a-z0-9]+", "-", f"{found.name} sm {found.compute} tensorrt {module().__version__}".lower())
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge3vt" / f"{name}.timings"


def _set_timings(config: Any, cache: Path | None) -> None:
    """Timings that this TensorRT refuses, of another version or damaged, are begun anew."""
    if cache is None:
        return
    kept = cache.read_bytes() if cache.is_file() else b""
    for data in (kept, b""):
        timings = config.create_timing_cache(data)
        if timings is not None and config.set_timing_cache(timings, False):
            return
