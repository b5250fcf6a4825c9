"""What one thread of this machine reaches at most: INT8 and FP32 multiply-accumulates, and bytes moved.

``python -m edge3vt.bench.ceiling OUT.json [--seconds 20]`` Arithmetic is measured on stacks of plain convolutions of
several shapes, built in memory and run by OpenVINO, as engines are; memory by copies of several sizes. The ceiling is
the fastest run of the best shape: what a network could reach, not what the machine is said to have. Figures of a busy
machine are too low, so that shares of them are too high.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge3vt import __version__
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock, wall_label
from edge3vt.core.documents import write_json
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.core.machine import Machine, this_machine
from edge3vt.engine.open import runtime_version

Kind = Literal["int8", "fp32"]
SHAPES = ((64, 96, 3), (128, 48, 3), (256, 32, 3), (512, 16, 3), (512, 32, 1))
"""Channels, side of the picture, kernel: 0.8 to 1.8 GMAC a stack, whose tensors stay in a cache of 4 MiB."""
DEPTH = 3
COPIES = (256 << 10, 1 << 20, 4 << 20, 64 << 20)  # bytes read and written: caches of usual sizes, and none
ISA = "ONEDNN_MAX_CPU_ISA"
"""oneDNN's own variable, which OpenVINO heeds: AVX512_CORE_VNNI makes a newer CPU compute as one without AMX."""
ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Work:
    """A stack of convolutions. best_ms, p50_ms: of its runs."""

    shape: str
    gmac: float
    best_ms: float
    p50_ms: float

    @property
    def gmac_s(self) -> float:
        return self.gmac / self.best_ms * 1000


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy. bytes: read and written together. gb_s: of its fastest run."""

    bytes: int
    gb_s: float


@dataclass(frozen=True, slots=True)
class Ceiling:
    """isa: what oneDNN was held to, empty for all that the CPU has. int8_gmac_s, fp32_gmac_s: of the best shape."""

    schema: int
    edge3vt: str
    made: str
    machine: Machine
    runtime: str
    isa: str
    int8: tuple[Work, ...]
    fp32: tuple[Work, ...]
    copies: tuple[Copy, ...]
    int8_gmac_s: float
    fp32_gmac_s: float

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the ceiling is not known, expected 1; update edge3vt")

    def bytes_s(self, count: float) -> float:
        """Bytes a second at which a layer with so many bytes moves them: those of the next larger copy."""
        fits = [copy for copy in self.copies if copy.bytes >= count]
        return (min(fits, key=lambda copy: copy.bytes) if fits else self.copies[-1]).gb_s * 1e9


def stack(kind: Kind, channels: int, side: int, kernel: int) -> bytes:
    """DEPTH convolutions with ReLU as ONNX; int8: uint8 activations and int8 weights with explicit Q/DQ."""
    quantised = kind == "int8"
    rng = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    held: list[onnx.TensorProto] = []

    def constant(name: str, value: Any) -> str:
        held.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    x, pair = "x", [constant("scale", np.float32(0.02)), constant("zero", np.uint8(0))]
    shape = (channels, channels, kernel, kernel)
    for layer in range(DEPTH):
        if quantised:
            x = add("DequantizeLinear", [x, *pair], f"x{layer}")
            parts = [
                constant(f"w{layer}.q", rng.integers(-127, 128, shape).astype(np.int8)),
                constant(f"w{layer}.scale", np.full(channels, 0.001, np.float32)),
                constant(f"w{layer}.zero", np.zeros(channels, np.int8)),
            ]
            weight = add("DequantizeLinear", parts, f"w{layer}", axis=0)
        else:
            weight = constant(f"w{layer}", (0.02 * rng.standard_normal(shape)).astype(np.float32))
        x = add("Conv", [x, weight], f"c{layer}", kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)
        x = add("Relu", [x], f"r{layer}")
        if quantised:
            x = add("QuantizeLinear", [x, *pair], f"q{layer}")
    tensor, size = TensorProto.UINT8 if quantised else TensorProto.FLOAT, (1, channels, side, side)
    ends = [helper.make_tensor_value_info(name, tensor, size) for name in ("x", x)]
    graph = helper.make_graph(nodes, kind, ends[:1], ends[1:], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString(deterministic=True))


def gmac(channels: int, side: int, kernel: int) -> float:
    """Of a stack, in 1e9."""
    return DEPTH * channels * channels * kernel * kernel * side * side / 1e9


def timed(tasks: Sequence[Callable[[], object]], seconds: float, clock: Clock) -> list[list[int]]:
    """Times in ns of each task, which take turns; the first run of a turn is not counted."""
    each = seconds * NS_PER_S / ROUNDS / len(tasks)
    taken: list[list[int]] = [[] for _ in tasks]
    for _ in range(ROUNDS):
        for task, times in zip(tasks, taken, strict=True):
            task()
            end = clock.now_ns() + each
            while True:
                started = clock.now_ns()
                task()
                done = clock.now_ns()
                times.append(done - started)
                if done >= end:
                    break
    return taken


def open_task(model: bytes) -> Callable[[], object]:
    """A model on one thread of OpenVINO, on random input of its own. Raises BackendMissingError."""
    runtime_version("openvino")
    import openvino as ov

    compiled = ov.Core().compile_model(ov.Core().read_model(model), "CPU", settings())
    request = compiled.create_infer_request()
    (given,) = compiled.inputs
    values = np.random.default_rng(1).integers(0, 256, tuple(given.shape))
    request.set_input_tensor(ov.Tensor(np.ascontiguousarray(values, dtype=given.element_type.to_dtype())))
    return lambda: request.infer(share_outputs=True)


def settings(**more: object) -> dict[str, object]:
    """Of OpenVINO: those that engines are opened with, on one thread."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    } | more


def copier(count: int) -> Callable[[], object]:
    """A copy that reads and writes ``count`` bytes together, repeated for small ones."""
    source, target = np.ones(count // 2, np.uint8), np.empty(count // 2, np.uint8)
    again = repeats(count)

    def copy() -> None:
        for _ in range(again):
            np.copyto(target, source)

    return copy


def repeats(count: int) -> int:
    """How often a copy is done in a timed run, so that calling it costs nothing beside."""
    return max(COPIES[-1] // count // 8, 1)


def ceiling(seconds: float, clock: Clock) -> Ceiling:
    """Measure for about so long, on the cores that this process has. Raises BackendMissingError."""
    kinds: tuple[Kind, ...] = ("int8", "fp32")
    stacks = [(kind, shape, open_task(stack(kind, *shape))) for kind in kinds for shape in SHAPES]
    times = timed([task for _, _, task in stacks] + [copier(count) for count in COPIES], seconds, clock)
    works: dict[Kind, list[Work]] = {kind: [] for kind in kinds}
    for (kind, shape, _), taken in zip(stacks, times, strict=False):
        channels, side, kernel = shape
        name = f"{DEPTH} of {kernel}x{kernel}, {channels} channels, {side}x{side}"
        works[kind].append(Work(name, gmac(*shape), min(taken) / NS_PER_MS, median(taken) / NS_PER_MS))
    copies = [
        Copy(count, count * repeats(count) / min(taken))
        for count, taken in zip(COPIES, times[len(stacks) :], strict=True)
    ]
    return Ceiling(
        schema=1,
        edge3vt=__version__,
        made=wall_label(),
        machine=this_machine(),
        runtime=f"OpenVINO {runtime_version('openvino')}",
        isa=os.environ.get(ISA, ""),
        int8=tuple(works["int8"]),
        fp32=tuple(works["fp32"]),
        copies=tuple(copies),
        int8_gmac_s=max(work.gmac_s for work in works["int8"]),
        fp32_gmac_s=max(work.gmac_s for work in works["fp32"]),
    )


def lines(found: Ceiling) -> list[str]:
    """For people."""
    out = [f"{found.machine.cpu}, one thread, {found.runtime}{', held to ' + found.isa if found.isa else ''}"]
    for name, works in (("INT8", found.int8), ("FP32", found.fp32)):
        out += [f"  {name} {work.gmac_s:7.1f} GMAC/s  {work.shape}" for work in works]
    out += [f"  copy {copy.gb_s:7.1f} GB/s    {copy.bytes >> 10} KiB read and written" for copy in found.copies]
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edge3vt.bench.ceiling", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="the record to write, .json")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--overwrite", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.out.exists() and not asked.overwrite:
        raise ConfigError(f"{asked.out}: exists already; choose another file or add --overwrite")
    if not asked.seconds > 0:
        raise ConfigError(f"{asked.seconds:g} seconds, expected more than 0, as in 20")
    found = ceiling(asked.seconds, SystemClock())
    write_json(found, asked.out)
    print("\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Edge3vtError as error:
        print(f"ceiling: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
