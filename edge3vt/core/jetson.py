"""What a Jetson says of itself: model, L4T release, power mode. Files: Jetson Linux Developer Guide, R36."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Jetson:
    """model: of the device tree, without serial numbers. l4t: "36.4.3". None where it cannot be read."""

    model: str
    l4t: str | None
    power_mode: str | None


def _nvpmodel() -> str:
    """What ``nvpmodel -q`` prints; empty where it does not answer."""
    try:
        done = subprocess.run(["nvpmodel", "-q"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def jetson(root: Path = Path("/"), query: Callable[[], str] = _nvpmodel) -> Jetson | None:
    """The Jetson that this is; None elsewhere. query: gives the text of ``nvpmodel -q``."""
    model = _text(root / "proc/device-tree/model")
    if not re.search("jetson|nvidia.*(orin|thor|xavier)", model, re.IGNORECASE):
        return None
    release = re.search(r"# R(\d+) \(release\), REVISION: ([\d.]+)", _text(root / "etc/nv_tegra_release"))
    mode = re.search(r"NV Power Mode: *(\S.*)", query())
    return Jetson(model, f"{release[1]}.{release[2]}" if release else None, mode[1].strip() if mode else None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""
