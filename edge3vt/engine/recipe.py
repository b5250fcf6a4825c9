"""EngineRecipe: which engine we ask for. Written by people as TOML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from edge3vt.core.errors import ConfigError

Precision = Literal["fp32", "fp16", "int8"]
Runtime = Literal["onnxruntime", "openvino", "tensorrt"]
Typing = Literal["weak", "strong"]


@dataclass(frozen=True, slots=True)
class VerifyLimits:
    """What an engine must keep against the FP32 model on the golden frames; each limit is allowed itself.

    min_agreement: share of logit cells with the same class. min_dice: of every class between the two masks.
    max_mean_error: mean |difference| of the logits over the mean |FP32 logit|. max_peak_error: the largest difference
    over the largest FP32 logit; one scale half as large as it should be gave 0.45 and more where a sound INT8 engine
    gave 0.03. max_view_difference: of the view logit. min_speedup: FP32 time over engine time on the engine's runtime,
    medians of one interleaved run.
    """

    min_agreement: float = 0.995
    min_dice: float = 0.93
    max_mean_error: float = 0.05
    max_peak_error: float = 0.15
    max_view_difference: float = 0.5
    min_speedup: float = 0.0


@dataclass(frozen=True, slots=True)
class TensorRt:
    """How TensorRT builds and runs an engine; read for that runtime only.

    typing: weak lets TensorRT choose among the precisions that flags allow, strong keeps the ONNX file's types;
    unset: weak where this TensorRT has it (<= 10.16), else strong. workspace_mib: scratch memory of a layer, at most.
    level: builder optimisation level, 5 searches longest. memory: copy through pinned buffers, or mapped: the GPU reads
    and writes the host's memory, for a Jetson. wait: spin answers soonest and keeps a core busy. graph: the whole run
    as one CUDA graph.
    """

    typing: Typing | None = None
    workspace_mib: int = 1024
    level: int = 5
    memory: Literal["copy", "mapped"] = "copy"
    wait: Literal["spin", "block"] = "spin"
    graph: bool = True

    def __post_init__(self) -> None:
        if not 16 <= self.workspace_mib <= 65_536:
            raise ConfigError(f"workspace_mib is {self.workspace_mib}, expected 16 to 65536")
        if not 0 <= self.level <= 5:
            raise ConfigError(f"level is {self.level}, expected 0 to 5")


@dataclass(frozen=True, slots=True)
class EngineRecipe:
    """model: a shipped asset's name or the path of an ONNX file. table: name or path of the calibration table that
    an int8 engine is quantised with; "asset" is the one shipped with the model. keep_float: layers of an
    int8 engine that get no Q/DQ, as ``edge3vt calibrate --sensitivity`` finds them. golden: name or path of the set
    (calibration/sets) whose pictures the engine is verified on; never the one it was calibrated on."""

    schema: int
    name: str
    model: str
    precision: Precision
    runtime: Runtime
    golden: str
    table: str | None = None
    keep_float: tuple[str, ...] = ()
    threads: int = 1
    verify: VerifyLimits = field(default_factory=VerifyLimits)
    tensorrt: TensorRt = field(default_factory=TensorRt)

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} is not known, expected 1; update edge3vt")
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", self.name):
            raise ConfigError(f"name is '{self.name}', expected lower-case letters, digits, '.', '_' and '-'")
        if not 1 <= self.threads <= 64:
            raise ConfigError(f"threads is {self.threads}, expected 1 to 64")
        if self.precision == "int8" and self.table is None:
            raise ConfigError("an int8 engine needs the key 'table'; name a calibration table")
        if self.precision != "int8" and self.table is not None:
            raise ConfigError(f"an {self.precision} engine has no calibration table; remove the key 'table'")
        if self.precision != "int8" and self.keep_float:
            raise ConfigError(f"an {self.precision} engine is in floats anyway; remove the key 'keep_float'")
        if self.precision == "fp16" and self.runtime != "tensorrt":
            raise ConfigError(f"fp16 engines are for tensorrt, not for {self.runtime}; take fp32 or int8")
        if self.runtime == "tensorrt" and self.threads != 1:
            raise ConfigError("threads counts cores for the CPU's runtimes; remove the key 'threads' for tensorrt")
        if self.runtime != "tensorrt" and self.tensorrt != TensorRt():
            raise ConfigError(f"the table 'tensorrt' is not read for {self.runtime}; remove it")
