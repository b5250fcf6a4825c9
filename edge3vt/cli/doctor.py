"""``edge3vt doctor``: what this machine is and can do, under which conditions it runs, and what to do about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Annotated, Any, get_args

import typer

from edge3vt.cli.output import Json, finish
from edge3vt.core.conditions import Conditions, conditions, obstacles
from edge3vt.core.errors import BackendMissingError
from edge3vt.core.jetson import Jetson, jetson
from edge3vt.core.machine import Machine, this_machine
from edge3vt.core.nvml import Card, card
from edge3vt.engine.device import Gpu, gpu
from edge3vt.engine.open import runtime_version
from edge3vt.engine.recipe import Runtime
from edge3vt.engine.target import facts


@dataclass(frozen=True, slots=True)
class RuntimeState:
    """version is None where the runtime cannot be used; why then says so. target: what its engines are bound to."""

    version: str | None
    why: str | None
    target: dict[str, str]


@dataclass(frozen=True, slots=True)
class Findings:
    """Of a machine; gpu is None where CUDA finds none, gpu_why then says why. graphs: CUDA graphs can be captured."""

    machine: Machine
    jetson: Jetson | None
    card: Card | None
    gpu: Gpu | None
    gpu_why: str | None
    graphs: bool
    runtimes: dict[str, RuntimeState]
    conditions: Conditions


def doctor(
    measure: Annotated[
        bool, typer.Option("--measure", help="Fail (exit 1) unless a time measured now would be a verdict.")
    ] = False,
    json: Json = False,
) -> int:
    """Say what this machine can do, and what to do about what it cannot.

    What cannot be read is 'unknown', which is never good enough: a measured verdict needs locked clocks and no
    throttling. Passes where at least one runtime works.

    Example: edge3vt doctor --measure
    """
    found = examine()
    on_gpu = found.gpu is not None
    against = obstacles(found.conditions, gpu=on_gpu)
    advised = list(advice(found))
    passed = any(state.version for state in found.runtimes.values()) and not (measure and against)
    document: dict[str, Any] = {"obstacles": against, "advice": advised, **_fields(found)}
    return finish("doctor", passed, document, _lines(found, against, advised), json=json)


def examine() -> Findings:
    board = jetson()
    managed = None if board else card()
    try:
        found, why = gpu(), None
    except BackendMissingError as error:
        found, why = None, str(error)
    return Findings(
        machine=this_machine(),
        jetson=board,
        card=managed,
        gpu=found,
        gpu_why=why,
        graphs=_installed("cuda-bindings"),
        runtimes={name: _state(name) for name in get_args(Runtime)},
        conditions=conditions(board, managed),
    )


def advice(found: Findings) -> Iterator[str]:
    """What to do, the most useful first."""
    now, nvidia = found.conditions, found.jetson is not None or found.card is not None
    if not any(state.version for state in found.runtimes.values()):
        yield "no runtime works: pip install onnxruntime"
    if nvidia and found.runtimes["tensorrt"].version is None:
        yield "TensorRT is missing: see docs/jetson.md, or for a card pip install tensorrt"
    if nvidia and found.gpu is None:
        yield f"CUDA is not usable from Python ({found.gpu_why})"
    if found.gpu is not None and not found.graphs:
        yield "each run is enqueued call by call: pip install cuda-bindings, and it becomes one CUDA graph"
    if found.jetson is not None and "MAXN" not in (found.jetson.power_mode or ""):
        yield "not in the highest power mode: sudo nvpmodel -p --verbose lists them, sudo nvpmodel -m ID sets one"
    if found.jetson is not None and not (now.cpu_locked and now.gpu_locked):
        yield "before measuring, lock the clocks: sudo jetson_clocks"
    elif found.jetson is None and not now.cpu_locked:
        yield "before measuring, lock the CPU's clocks: sudo cpupower frequency-set -d CLOCK -u CLOCK"
    if found.card is not None:
        yield "before measuring, lock the card's clocks: sudo nvidia-smi -lgc CLOCK; the driver does not tell it back"
    if now.slowed:
        yield f"the clocks are held down ({', '.join(now.causes)}): cool it, or give it more power"
    if now.over_current:
        yield f"{now.over_current} over-current events since the start: the power supply is too weak for this mode"


def _state(runtime: Runtime) -> RuntimeState:
    try:
        return RuntimeState(runtime_version(runtime), None, facts(runtime))
    except BackendMissingError as error:
        return RuntimeState(None, str(error), {})


def _installed(package: str) -> bool:
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


def _fields(found: Findings) -> dict[str, Any]:
    return {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}


def _lines(found: Findings, against: tuple[str, ...], advised: list[str]) -> Iterator[str]:
    machine, now = found.machine, found.conditions
    yield f"machine      {machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.system}"
    yield f"             {' '.join(machine.cpu_features) or 'no instruction sets of note'}; Python {machine.python}"
    if found.jetson is not None:
        yield f"Jetson       {found.jetson.model}, L4T {_told(found.jetson.l4t)}, mode {_told(found.jetson.power_mode)}"
    if found.card is not None:
        yield f"card         {found.card.name}, SM {_told(found.card.compute)}, driver {_told(found.card.driver)}"
    if found.gpu is None:
        yield f"CUDA         none: {found.gpu_why}"
    else:
        size = f"SM {found.gpu.compute}, {found.gpu.multiprocessors} SMs"
        yield f"CUDA         {found.gpu.cuda}: {found.gpu.name}, {size}"
    for name, state in found.runtimes.items():
        yield f"{name:<12} {state.version or f'none: {state.why}'}"
        if state.target:
            yield f"             bound to {', '.join(f'{key} {value}' for key, value in state.target.items())}"
    locked = {True: "locked", False: "not locked", None: "unknown"}
    yield f"clocks       CPU {locked[now.cpu_locked]}, GPU {locked[now.gpu_locked]}, {_told(now.gpu_clock_mhz)} MHz"
    slowed = {True: ", ".join(now.causes), False: "no", None: "unknown"}[now.slowed]
    yield f"temperature  {_told(now.temperature_c)} °C; throttled: {slowed}"
    yield f"measuring    {'nothing stands against it' if not against else 'no verdicts: ' + '; '.join(against)}"
    for line in advised:
        yield f"to do        {line}"


def _told(value: object) -> str:
    return "unknown" if value is None else str(value)
