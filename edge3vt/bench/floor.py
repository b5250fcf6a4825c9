"""How long an engine would take at the machine's ceilings, how much of that it reaches, and where the rest goes.

``python -m edge3vt.bench.floor ENGINE OUT.json [--size PX] [--seconds 30]`` ENGINE is an engine folder for OpenVINO.
Ceilings (``bench.ceiling``), the engine and its layers are measured in one run on this process's last core.

floor    of a layer, the longer of two times: its multiply-accumulates at the ceiling of their type, and the bytes of
         its inputs, weights and outputs at the speed of a copy of that size; of the engine, the sum over layers
share    the arithmetic of the whole engine at the ceiling, over the engine's own median: what the limit is on
time     of a layer, OpenVINO's own counter, the smallest mean of several openings; what the layers' sum lacks of the
         median is the runtime's own

Exit code 1 where the share is below 75 %: then the layers say where the rest goes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edge3vt import __version__
from edge3vt.bench.ceiling import Ceiling, ceiling, settings
from edge3vt.bench.cost import cost
from edge3vt.bench.form import resized
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock, wall_label
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import write_json
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.core.session import Session
from edge3vt.engine.buffers import empty
from edge3vt.engine.manifest import open_verified
from edge3vt.engine.model import read_model
from edge3vt.engine.open import open_model

LEAST_SHARE = 0.75
OPENINGS = 8
PROFILED_RUNS = 60
BYTES = {"u8": 1, "i8": 1, "f32": 4, "f16": 2, "bf16": 2, "i32": 4, "i64": 8}
IDLE = ("Const", "Input", "Output")  # kinds of nodes that do nothing


@dataclass(frozen=True, slots=True)
class Node:
    """A layer as the runtime executes it, with what was fused into it. kernel: the runtime's name of what computes it.

    integer: its products are of 8 bits. us: OpenVINO's counter.
    """

    name: str
    kind: str
    kernel: str
    integer: bool
    macs: int
    bytes: int
    us: float


@dataclass(frozen=True, slots=True)
class Layer:
    """bound: what its floor comes from. share: floor over time, None for a time of nothing."""

    name: str
    kind: str
    kernel: str
    mmac: float
    kib: float
    us: float
    floor_us: float
    bound: str
    share: float | None


@dataclass(frozen=True, slots=True)
class Floor:
    """Times in ms. arithmetic_ms: all multiply-accumulates at the ceiling. other_ms: of p50, what no layer counts."""

    schema: int
    edge3vt: str
    made: str
    model_id: str
    engine_sha256: str
    size: int
    gmac: float
    p50_ms: float
    best_ms: float
    arithmetic_ms: float
    floor_ms: float
    share: float
    share_at_floor: float
    least_share: float
    passed: bool
    other_ms: float
    layers: tuple[Layer, ...]
    ceiling: Ceiling

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the floor is not known, expected 1; update edge3vt")


def layer(node: Node, limits: Ceiling) -> Layer:
    """A node's floor, and the share of it that is reached."""
    speed = limits.int8_gmac_s if node.integer else limits.fp32_gmac_s
    arithmetic_us, moving_us = node.macs / speed / 1e3, node.bytes / limits.bytes_s(node.bytes) * 1e6
    floor_us = max(arithmetic_us, moving_us)
    return Layer(
        name=node.name,
        kind=node.kind,
        kernel=node.kernel,
        mmac=node.macs / 1e6,
        kib=node.bytes / 1024,
        us=node.us,
        floor_us=floor_us,
        bound="arithmetic" if arithmetic_us >= moving_us else "memory",
        share=floor_us / node.us if node.us else None,
    )


def floor(
    model_id: str, data: bytes, size: int, nodes: Sequence[Node], times_ns: Sequence[int], limits: Ceiling
) -> Floor:
    """The record. times_ns: of the engine, without profiling."""
    layers = [layer(node, limits) for node in nodes]
    p50_ms = median(times_ns) / NS_PER_MS
    total = cost(data).gmac
    arithmetic_ms = sum(
        node.macs / (limits.int8_gmac_s if node.integer else limits.fp32_gmac_s) / 1e6 for node in nodes
    )
    floor_ms = sum(one.floor_us for one in layers) / 1000
    return Floor(
        schema=1,
        edge3vt=__version__,
        made=wall_label(),
        model_id=model_id,
        engine_sha256=sha256_bytes(data),
        size=size,
        gmac=total,
        p50_ms=p50_ms,
        best_ms=min(times_ns) / NS_PER_MS,
        arithmetic_ms=arithmetic_ms,
        floor_ms=floor_ms,
        share=arithmetic_ms / p50_ms,
        share_at_floor=floor_ms / p50_ms,
        least_share=LEAST_SHARE,
        passed=arithmetic_ms / p50_ms >= LEAST_SHARE,
        other_ms=p50_ms - sum(one.us for one in layers) / 1000,
        layers=tuple(layers),
        ceiling=limits,
    )


def profile(data: bytes, openings: int = OPENINGS, runs: int = PROFILED_RUNS) -> list[Node]:
    """The layers that OpenVINO executes, in order. Counters are means since the opening: the least of some is taken."""
    import openvino as ov

    found: dict[str, Node] = {}
    for _ in range(openings):
        core = ov.Core()
        compiled = core.compile_model(core.read_model(data), "CPU", settings(PERF_COUNT=True))
        request = compiled.create_infer_request()
        given = compiled.inputs[0]
        values = np.random.default_rng(1).integers(0, 256, tuple(given.shape))
        request.set_input_tensor(ov.Tensor(np.ascontiguousarray(values, dtype=given.element_type.to_dtype())))
        for _ in range(runs):
            request.infer(share_outputs=True)
        counted = {info.node_name: info.real_time.total_seconds() * 1e6 for info in request.profiling_info}
        for operation in compiled.get_runtime_model().get_ordered_ops():
            node = _node(operation, counted)
            if node is not None and (node.name not in found or node.us < found[node.name].us):
                found[node.name] = node
    return list(found.values())


def _node(operation: Any, counted: Mapping[str, float]) -> Node | None:
    info, name = operation.get_rt_info(), operation.get_friendly_name()
    told = {key: str(info[key].astype(str)) for key in ("layerType", "primitiveType", "execTimeMcs") if key in info}
    if told["layerType"] in IDLE or told["execTimeMcs"] == "not_executed":
        return None
    inputs = [(port.get_element_type().get_type_name(), tuple(port.get_shape())) for port in operation.inputs()]
    outputs = [(port.get_element_type().get_type_name(), tuple(port.get_shape())) for port in operation.outputs()]
    return Node(
        name=name,
        kind=told["layerType"],
        kernel=told["primitiveType"],
        integer=inputs[0][0] in ("u8", "i8"),
        macs=macs(told["layerType"], [shape for _, shape in inputs], outputs[0][1]),
        bytes=sum(BYTES.get(kind, 4) * prod(shape) for kind, shape in (*inputs, *outputs)),
        us=counted.get(name, 0.0),
    )


def macs(kind: str, inputs: Sequence[tuple[int, ...]], output: tuple[int, ...]) -> int:
    """Multiply-accumulates of a node: of convolutions (weight O, I, ...) and matrix products (weight O, I), else 0."""
    if kind not in ("Convolution", "FullyConnected") or len(inputs) < 2:
        return 0
    return prod(output) * prod(inputs[1][1:])


def times(session: Session, seconds: float, clock: Clock) -> list[int]:
    """Of the engine alone, one run after the other, for so long; those of the first tenth are not counted."""
    buffers, taken = empty(session.spec), list[int]()
    begun = clock.now_ns()
    while True:
        started = clock.now_ns()
        session.run(buffers.pixels, buffers.logits, buffers.view)
        done = clock.now_ns()
        if started - begun >= 0.1 * seconds * NS_PER_S:
            taken.append(done - started)
        if taken and done - begun >= seconds * NS_PER_S:
            return taken


def lines(record: Floor) -> list[str]:
    """For people: the layers, then the sums."""
    out = [f"{'layer':28} {'MMAC':>7} {'KiB':>7} {'us':>7} {'floor':>7}  share"]
    for one in record.layers:
        share = "    -" if one.share is None else f"{one.share:5.0%}"
        name = one.name if len(one.name) <= 28 else one.name[:27] + "…"
        out.append(f"{name:28} {one.mmac:7.1f} {one.kib:7.0f} {one.us:7.0f} {one.floor_us:7.1f}  {share} {one.bound}")
    limits = record.ceiling
    out += [
        f"ceilings: INT8 {limits.int8_gmac_s:.0f} GMAC/s, FP32 {limits.fp32_gmac_s:.0f} GMAC/s"
        + (f", held to {limits.isa}" if limits.isa else ""),
        f"p50 {record.p50_ms:.3f} ms, of which no layer counts {record.other_ms:.3f}; floor {record.floor_ms:.3f} ms",
        f"{'held  ' if record.passed else 'MISSED'} share of the arithmetic ceiling: {record.share:.0%}, at least "
        f"{record.least_share:.0%}; of the floor with memory: {record.share_at_floor:.0%}",
    ]
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edge3vt.bench.floor", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("engine", type=Path, help="an engine folder for OpenVINO")
    parser.add_argument("out", type=Path, help="the record to write, .json")
    parser.add_argument("--size", type=int, help="px of the input; the engine's own by default")
    parser.add_argument("--seconds", type=float, default=30, help="of ceilings and engine together")
    parser.add_argument("--overwrite", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.out.exists() and not asked.overwrite:
        raise ConfigError(f"{asked.out}: exists already; choose another file or add --overwrite")
    if not asked.seconds > 0:
        raise ConfigError(f"{asked.seconds:g} seconds, expected more than 0, as in 30")
    manifest, data = open_verified(asked.engine)
    if manifest.recipe.runtime != "openvino":
        raise ConfigError(f"{asked.engine}: runs on {manifest.recipe.runtime}, expected an engine for openvino")
    if asked.size is not None and asked.size != manifest.spec.width:
        data = resized(data, asked.size)
    record = measured(data, asked.seconds, SystemClock(), _told)
    write_json(record, asked.out)
    print("\n".join(lines(record)))
    return 0 if record.passed else 1


def measured(data: bytes, seconds: float, clock: Clock, told: Callable[[str], None] = lambda text: None) -> Floor:
    """Ceilings and engine in turns of one run, then its layers."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        model = read_model(data)
        session = open_model(model.data, model.spec, "openvino")
        told("timing the engine")
        taken = times(session, seconds / 4, clock)
        told("measuring the ceilings")
        limits = ceiling(seconds / 2, clock)
        told("timing the engine again")
        taken += times(session, seconds / 4, clock)
        session.close()
        told("profiling its layers")
        return floor(model.spec.model_id, data, model.spec.width, profile(data), taken, limits)
    finally:
        os.sched_setaffinity(0, before)


def _told(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Edge3vtError as error:
        print(f"floor: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
