"""What surrounds a measurement: clocks, temperature, throttling, and how much of the CPU others took."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge3vt.core.conditions import Conditions, obstacles
from edge3vt.core.jetson import Jetson, jetson
from edge3vt.core.nvml import Card, card
from edge3vt.stream.health import look

EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Load:
    """Shares of the time of the cores that we may use. own: this process and its children, the bench's probes and
    neighbours included. others: everybody else's. stolen: by the hypervisor, where it tells."""

    own: float
    others: float
    stolen: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """cores: that this process may use. governor, mhz: of the first of them, None where the system does not tell; mhz
    least and most of what was seen. causes: everything that held clocks down at any time. obstacles: why the times are
    no verdict on the hardware. load_before: the system's mean over the minute before."""

    cores: tuple[int, ...]
    governor: str | None
    mhz: tuple[float, float] | None
    jetson: Jetson | None
    card: Card | None
    before: Conditions
    after: Conditions
    hottest_c: float | None
    causes: tuple[str, ...]
    obstacles: tuple[str, ...]
    load_before: float
    load: Load


@dataclass(frozen=True, slots=True)
class Ticks:
    """Counters of the kernel in clock ticks: of the cores, and of a tree of processes."""

    all: int
    busy: int
    stolen: int
    own: int


def load(before: Ticks, after: Ticks) -> Load:
    """What happened between two readings; all of it zero where no time went by."""
    every = after.all - before.all
    if every <= 0:
        return Load(0.0, 0.0, 0.0)
    own = min(max(after.own - before.own, 0) / every, 1.0)
    busy, stolen = (after.busy - before.busy) / every, (after.stolen - before.stolen) / every
    return Load(own, max(busy - own, 0.0), stolen)


def ticks(cores: Iterable[int], root: Path = Path("/proc")) -> Ticks:
    """Now; zeros where the kernel does not tell. Fields: proc(5), /proc/stat and /proc/pid/stat."""
    wanted = {f"cpu{core}" for core in cores}
    every = busy = stolen = 0
    for line in _text(root / "stat").splitlines():
        name, *fields = line.split()
        if name in wanted:
            numbers = [int(field) for field in fields]
            every += sum(numbers[:8])
            busy += sum(numbers[:3]) + sum(numbers[5:7])
            stolen += numbers[7]
    return Ticks(every, busy, stolen, sum(_spent(pid, root) for pid in _tree(os.getpid(), root)))


class Observer:
    """Looks at clocks and temperature every EVERY_S in a thread of its own, from ``start`` until ``finish``.

    cores: that we may use.
    """

    def __init__(self, gpu: bool) -> None:
        self._gpu = gpu
        self.cores = tuple(sorted(os.sched_getaffinity(0)))
        self._load_before = os.getloadavg()[0]
        self._look = look()
        self._seen: list[Conditions] = []
        self._mhz: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="observer", daemon=True)

    def start(self) -> Observer:
        self._observe()
        self._ticks = ticks(self.cores)
        self._thread.start()
        return self

    def finish(self) -> Surroundings:
        after = ticks(self.cores)
        self._stop.set()
        self._thread.join()
        self._observe()
        board = jetson()
        cpu = Path(f"/sys/devices/system/cpu/cpu{self.cores[0]}/cpufreq/scaling_governor")
        temperatures = [seen.temperature_c for seen in self._seen if seen.temperature_c is not None]
        against = [line for seen in self._seen for line in obstacles(seen, gpu=self._gpu)]
        return Surroundings(
            cores=self.cores,
            governor=_text(cpu).strip() or None,
            mhz=(min(self._mhz), max(self._mhz)) if self._mhz else None,
            jetson=board,
            card=None if board else card(),
            before=self._seen[0],
            after=self._seen[-1],
            hottest_c=max(temperatures, default=None),
            causes=tuple(sorted({cause for seen in self._seen for cause in seen.causes})),
            obstacles=tuple(dict.fromkeys(against)),
            load_before=self._load_before,
            load=load(self._ticks, after),
        )

    def _observe(self) -> None:
        self._seen.append(self._look())
        if (mhz := clock_mhz(self.cores[0])) is not None:
            self._mhz.append(mhz)

    def _work(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._observe()


def clock_mhz(core: int, root: Path = Path("/")) -> float | None:
    """A core's clock now; None where neither cpufreq nor /proc/cpuinfo tells."""
    told = _text(root / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq").strip()
    if told.isdigit():
        return int(told) / 1000
    processor = None
    for line in _text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "processor":
            processor = value.strip()
        elif name.strip() == "cpu MHz" and processor == str(core):
            return float(value)
    return None


def lines(found: Surroundings, seconds: float) -> list[str]:
    """In a few lines; seconds: that were measured."""
    mhz = "unknown" if found.mhz is None else f"{found.mhz[0]:.0f}-{found.mhz[1]:.0f} MHz"
    heat = "unknown" if found.hottest_c is None else f"{found.hottest_c:.0f} °C"
    held = ", ".join(found.causes) or ("unknown" if found.after.slowed is None else "no")
    mode = f", power mode {found.jetson.power_mode or 'unknown'}" if found.jetson else ""
    shares = found.load
    return [
        f"Cores {','.join(map(str, found.cores))}, clock {mhz}, governor {found.governor or 'unknown'}, "
        f"hottest {heat}, throttled: {held}{mode}",
        f"CPU over {seconds:.0f} s: own {shares.own:.0%}, others {shares.others:.0%}, stolen {shares.stolen:.1%}; "
        f"load before {found.load_before:.2f}",
        *(f"No verdict on the hardware: {line}" for line in found.obstacles),
    ]


def _tree(pid: int, root: Path) -> list[int]:
    found, tasks = [pid], root / str(pid) / "task"
    try:
        for task in tasks.iterdir():
            for child in _text(task / "children").split():
                found += _tree(int(child), root)
    except OSError:  # it ended while we looked
        pass
    return found


def _spent(pid: int, root: Path) -> int:
    """utime, stime, and those of children that were waited for."""
    _, bracket, rest = _text(root / str(pid) / "stat").rpartition(")")
    return sum(int(field) for field in rest.split()[11:15]) if bracket else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
