"""Under which conditions a time is measured: clocks, temperature, throttling. Unknown is None, never good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge3vt.core.jetson import Jetson
from edge3vt.core.nvml import Card

GPU_NODES = ("gpu", "ga10b", "gv11b", "gpc")  # in the devfreq names: 17000000.gpu (Orin), gpu-gpc-0 (Thor)


@dataclass(frozen=True, slots=True)
class Conditions:
    """locked: minimum and maximum clock are the same, of every core and of the GPU. temperature_c: of the hottest
    sensor. slowed: whether something holds the clocks down now; causes: what. over_current: events since the start."""

    cpu_locked: bool | None
    gpu_locked: bool | None
    gpu_clock_mhz: int | None
    temperature_c: float | None
    slowed: bool | None
    causes: tuple[str, ...]
    over_current: int | None


def conditions(board: Jetson | None, found: Card | None, root: Path = Path("/")) -> Conditions:
    """Of this machine, now: from sysfs of a Jetson and of any CPU; from NVML of a card, which tells of no lock."""
    policies = sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*"))
    cpu_locked = _all([_locked(policy, "scaling_min_freq", "scaling_max_freq") for policy in policies])
    temperatures = list(_temperatures(root))
    if board is None:
        if found and found.temperature_c is not None:
            temperatures.append(found.temperature_c)
        return Conditions(
            cpu_locked=cpu_locked,
            gpu_locked=None,
            gpu_clock_mhz=found.clock_mhz if found else None,
            temperature_c=max(temperatures, default=None),
            slowed=None if found is None or found.slowed is None else bool(found.slowed),
            causes=(found.slowed or ()) if found else (),
            over_current=None,
        )
    gpus = [path for path in sorted((root / "sys/class/devfreq").glob("*")) if any(n in path.name for n in GPU_NODES)]
    clocks = [hz for path in gpus if (hz := _number(path / "cur_freq")) is not None]
    states = dict(_alerts(root))
    events = [n for path in (root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt") if (n := _number(path)) is not None]
    return Conditions(
        cpu_locked=cpu_locked,
        gpu_locked=_all([_locked(path, "min_freq", "max_freq") for path in gpus]),
        gpu_clock_mhz=max(clocks) // 1_000_000 if clocks else None,
        temperature_c=max(temperatures, default=None),
        slowed=any(states.values()) if states else None,
        causes=tuple(sorted(name for name, state in states.items() if state)),
        over_current=sum(events) if events else None,
    )


def obstacles(found: Conditions, *, gpu: bool) -> tuple[str, ...]:
    """Why a time measured now is no verdict; empty when nothing stands against it. gpu: the engine runs on one."""
    out = []
    for asked, name, locked in ((True, "CPU", found.cpu_locked), (gpu, "GPU", found.gpu_locked)):
        if asked and not locked:
            out.append(f"the {name}'s clocks are {'unknown' if locked is None else 'not locked'}")
    if gpu and found.slowed is None:
        out.append("whether the GPU is throttled is unknown")
    if found.slowed:
        out.append(f"throttled: {', '.join(found.causes)}")
    return tuple(out)


def _alerts(root: Path) -> Iterator[tuple[str, int]]:
    """A Jetson's throttle alerts, each with its state: 0 is quiet."""
    for folder in (root / "sys/class/thermal").glob("cooling_device*"):
        name, state = _text(folder / "type"), _number(folder / "cur_state")
        if name.endswith("-alert") and state is not None:
            yield name, state


def _temperatures(root: Path) -> Iterator[float]:
    for path in (root / "sys/class/thermal").glob("thermal_zone*/temp"):
        value = _number(path)
        if value is not None and -40_000 < value < 200_000:  # a sensor that is off reads something else
            yield value / 1000


def _locked(folder: Path, low: str, high: str) -> bool | None:
    least, most = _number(folder / low), _number(folder / high)
    return None if least is None or most is None else least == most


def _all(values: list[bool | None]) -> bool | None:
    """False if one is, else unknown if one is or there is none."""
    if False in values:
        return False
    return None if None in values or not values else True


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # a sensor that is off answers with an error
        return ""
