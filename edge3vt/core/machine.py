"""What machine this is: hardware and versions that a measurement depends on. No names, no addresses, no paths."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

RUNTIME_PACKAGES = ("numpy", "opencv-python-headless", "onnx", "onnxruntime", "openvino", "av", "pydicom")
CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")


@dataclass(frozen=True, slots=True)
class Machine:
    """A fingerprint: records of two machines are never compared as if they were one."""

    cpu: str
    cpu_features: tuple[str, ...]
    cores: int
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]


def this_machine() -> Machine:
    """The machine that runs this process."""
    cpu, features = _cpu()
    return Machine(
        cpu=cpu,
        cpu_features=features,
        cores=usable_cores(),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: version for name in RUNTIME_PACKAGES if (version := _version(name))},
    )


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> tuple[str, tuple[str, ...]]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine(), ()
    fields: dict[str, str] = {}
    for line in info.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value.strip())
    flags = set((fields.get("flags") or fields.get("features") or "").split())
    return fields.get("model name", platform.machine()), tuple(f for f in CPU_FEATURES if f in flags)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
