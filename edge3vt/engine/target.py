"""On what an engine was built, so that it is opened on nothing else."""

from __future__ import annotations

import platform

from edge3vt.core.jetson import Jetson, jetson
from edge3vt.core.machine import this_machine
from edge3vt.core.nvml import Card, card
from edge3vt.engine.device import Gpu, gpu
from edge3vt.engine.recipe import Runtime

UNKNOWN = "unknown"


def facts(runtime: Runtime) -> dict[str, str]:
    """What an engine for ``runtime`` depends on, on this machine, beside the runtime's version.

    A Jetson is its model, SM, multiprocessors (nvpmodel switches some off), L4T and power mode; a card its name, SM
    and driver; a CPU its instruction sets. What cannot be read is "unknown". Raises BackendMissingError for TensorRT
    without a GPU or without PyCUDA.
    """
    system = {"system": f"{platform.system()} {platform.machine()}"}
    if runtime != "tensorrt":
        return system | {"instruction sets": " ".join(this_machine().cpu_features)}
    board = jetson()
    return system | gpu_facts(gpu(), board, None if board else card())


def gpu_facts(found: Gpu, board: Jetson | None, managed: Card | None) -> dict[str, str]:
    """Of a GPU; ``board`` on a Jetson, ``managed`` (what NVML says of the card) elsewhere."""
    if board is None:
        return {"GPU": found.name, "SM": found.compute, "driver": (managed and managed.driver) or UNKNOWN}
    return {
        "module": board.model,
        "SM": found.compute,
        "multiprocessors": str(found.multiprocessors),
        "L4T": board.l4t or UNKNOWN,
        "power mode": board.power_mode or UNKNOWN,
    }
