"""EngineRecipe: which engine we ask for. Written by people as TOML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from edge3vt.core.errors import ConfigError

Precision = Literal["fp32", "fp16", "int8"]
Runtime = Literal["onnxruntime", "openvino", "tensorrt"]
Typing = Literal["weak", "strong"]
_DAY = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"  # days so written stand in the order of time


@dataclass(frozen=True, slots=True)
class VerifyLimits:
    """What an engine must keep against the FP32 model on the golden frames; each limit is allowed itself.

    min_agreement: share of logit cells with the same class. min_dice: of every class between the two masks.
    max_mean_error: mean |difference| of the logits over the mean |FP32 logit|. max_peak_error: the largest difference
    over the largest FP32 logit; one scale half as large as it should be gave 0.45 and more where a sound INT8 engine
    gave 0.03. max_view_difference: of the view logit, its 90th percentile over the frames, as the largest of a few
    says little of others. max_view_changes: share of the frames that one of the two calls the view and the other does
    not. min_speedup: FP32 time over engine time on the engine's runtime, medians of one interleaved run.
    """

    min_agreement: float = 0.995
    min_dice: float = 0.93
    max_mean_error: float = 0.05
    max_peak_error: float = 0.15
    max_view_difference: float = 0.5
    max_view_changes: float = 0.02
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
class Candidates:
    """What a build chooses from: all combinations of the lists; an empty list is what the recipe itself names.

    rate_hz: at which pictures come while the engines are timed, as from a camera. max_dice_loss: with several models,
    how far the mean Dice to the truth of the golden set may lie below that of the recipe's own model in FP32; that each
    engine agrees with its own FP32 model does not tell which model is right.
    """

    precisions: tuple[Precision, ...] = ()
    runtimes: tuple[Runtime, ...] = ()
    models: tuple[str, ...] = ()
    rate_hz: float = 60.0
    max_dice_loss: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.rate_hz <= 1000:
            raise ConfigError(f"rate_hz is {self.rate_hz}, expected 1 to 1000")
        for listed in (self.precisions, self.runtimes, self.models):
            for name in {name for name in listed if listed.count(name) > 1}:
                raise ConfigError(f"'{name}' stands twice; name each candidate once")
        if max(len(self.precisions), len(self.runtimes), len(self.models)) < 2:
            raise ConfigError("there is nothing to choose from; list two or more precisions, runtimes or models")
        if (len(self.models) > 1) != (self.max_dice_loss is not None):
            raise ConfigError(
                "models of several sizes need the key 'max_dice_loss', as in 0.01"
                if self.max_dice_loss is None
                else "the key 'max_dice_loss' is read for several models only; remove it"
            )


@dataclass(frozen=True, slots=True)
class EngineRecipe:
    """model: a shipped asset's name or the path of an ONNX file. table: name or path of the calibration table that
    an int8 engine is quantised with; "asset" is the one shipped with the model. keep_float: layers of an
    int8 engine that get no Q/DQ, as ``edge3vt calibrate --sensitivity`` finds them. golden: name or path of the set
    (calibration/sets) whose pictures the engine is verified on; never the one it was calibrated on. candidates: engines
    of which a build keeps one; the recipe's own model, precision and runtime are one of them. not_after: the last day,
    as 2027-06-30 in UTC, on which the engine is opened; without it none is the last."""

    schema: int
    name: str
    model: str
    precision: Precision
    runtime: Runtime
    golden: str
    table: str | None = None
    keep_float: tuple[str, ...] = ()
    threads: int = 1
    not_after: str | None = None
    verify: VerifyLimits = field(default_factory=VerifyLimits)
    tensorrt: TensorRt = field(default_factory=TensorRt)
    candidates: Candidates | None = None

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} is not known, expected 1; update edge3vt")
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", self.name):
            raise ConfigError(f"name is '{self.name}', expected lower-case letters, digits, '.', '_' and '-'")
        if not 1 <= self.threads <= 64:
            raise ConfigError(f"threads is {self.threads}, expected 1 to 64")
        if self.not_after is not None and not re.fullmatch(_DAY, self.not_after):
            raise ConfigError(f"not_after is '{self.not_after}', expected a day as \"2027-06-30\"")
        if self.candidates is not None:
            self._check(self.candidates)
            return
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

    def singles(self) -> tuple[EngineRecipe, ...]:
        """The recipes of one engine each that a build chooses from, all of this name; without candidates itself."""
        asked = self.candidates
        if asked is None:
            return (self,)
        return tuple(
            self._single(model, precision, runtime)
            for model in asked.models or (self.model,)
            for runtime in asked.runtimes or (self.runtime,)
            for precision in asked.precisions or (self.precision,)
        )

    def _single(self, model: str, precision: Precision, runtime: Runtime) -> EngineRecipe:
        table, keep_float = (self.table, self.keep_float) if precision == "int8" else (None, ())
        return replace(
            self,
            model=model,
            precision=precision,
            runtime=runtime,
            table=table,
            keep_float=keep_float,
            candidates=None,
        )

    def _check(self, asked: Candidates) -> None:
        for key, own, listed in (
            ("precisions", self.precision, asked.precisions),
            ("runtimes", self.runtime, asked.runtimes),
            ("models", self.model, asked.models),
        ):
            if listed and own not in listed:
                raise ConfigError(f"candidates: {key} lacks '{own}', which the recipe itself names; add it")
        if "int8" not in (self.precision, *asked.precisions) and (self.table is not None or self.keep_float):
            raise ConfigError("no candidate is int8; remove the keys 'table' and 'keep_float'")
        if len(asked.models) > 1 and self.table not in (None, "asset"):
            raise ConfigError(
                f"table is '{self.table}', of one model; several models have their own: table = \"asset\""
            )
        if self.verify.min_speedup:
            raise ConfigError("the fastest candidate is kept, FP32 may be one; remove the key 'min_speedup'")
        self.singles()
