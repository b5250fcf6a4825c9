"""How this process and its machine do: memory, descriptors, threads, temperature; and whether the memory grows."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge3vt.core.clock import NS_PER_S, Clock
from edge3vt.core.conditions import Conditions, conditions
from edge3vt.core.jetson import jetson
from edge3vt.core.nvml import card

NS_PER_H = 3600 * NS_PER_S
EVERY_NS = 5 * NS_PER_S
PARTS = 4


@dataclass(frozen=True, slots=True)
class Vitals:
    """Of one process. shared_memory: files of /dev/shm, or of none (memfd), that it has mapped; 0 where unknown."""

    rss_bytes: int
    file_descriptors: int
    threads: int
    shared_memory: int


def vitals(pid: int | str = "self", root: Path = Path("/proc")) -> Vitals | None:
    """From /proc; None where there is none, or no such process any more."""
    folder = root / str(pid)
    try:
        status = dict(
            line.split(":", 1)
            for line in (folder / "status").read_text(encoding="utf-8", errors="replace").splitlines()
            if ":" in line
        )
        mapped = {
            (fields[3], fields[4])
            for line in (folder / "maps").read_text(encoding="utf-8", errors="replace").splitlines()
            if len(fields := line.split(maxsplit=5)) == 6 and fields[5].startswith(("/dev/shm/", "/memfd:"))
        }
        return Vitals(
            rss_bytes=int(status["VmRSS"].split()[0]) << 10,
            file_descriptors=len(os.listdir(folder / "fd")),
            threads=int(status["Threads"]),
            shared_memory=len(mapped),
        )
    except (OSError, KeyError, ValueError):  # gone, or a zombie, which has no memory
        return None


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth per hour by least squares over the least value of each block, with a two-sided 95 % interval."""

    per_hour: float
    low: float
    high: float
    blocks: int


def slope(samples: Sequence[tuple[int, float]], blocks: int = 30) -> Slope | None:
    """Of (time in ns, value) in order of time; None with fewer than 8 blocks' worth of samples.

    Least values, because what an allocator has taken and will use again is no growth. Student's quantile by
    Abramowitz and Stegun 26.7.5.
    """
    blocks = min(blocks, len(samples) // 2)
    if blocks < 8:
        return None
    lowest = [min(part, key=lambda sample: sample[1]) for part in _parts(samples, blocks)]
    hours = np.array([(t - samples[0][0]) / NS_PER_H for t, _ in lowest])
    values = np.array([v for _, v in lowest], dtype=np.float64)
    offset = hours - hours.mean()
    spread = float(offset @ offset)
    per_hour = float(offset @ values) / spread
    residual = values - values.mean() - per_hour * offset
    free = blocks - 2
    z = 1.959964
    quantile = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    margin = quantile * float(np.sqrt(residual @ residual / free / spread))
    return Slope(per_hour, per_hour - margin, per_hour + margin, blocks)


class Growth:
    """An alarm on what keeps growing, pure: samples in, growth per hour out. Keeps at most ``samples`` of them.

    Over the window, cut into four parts, the lower quartile has to rise from each to the next by more than
    ``per_hour`` asks: a leak does, a step (a sink that opens) rises once, noise does not rise three times in a row.
    """

    def __init__(self, per_hour: float, window_ns: int = 600 * NS_PER_S, samples: int = 240) -> None:
        self._per_hour, self._window_ns = per_hour, window_ns
        self._apart_ns = window_ns // samples
        self._samples: deque[tuple[int, float]] = deque(maxlen=samples + 1)

    def step(self, value: float, now_ns: int) -> float | None:
        """Growth per hour where it is an alarm, else None."""
        kept = self._samples
        if kept and now_ns - kept[-1][0] < self._apart_ns:
            return None
        kept.append((now_ns, value))
        while now_ns - kept[0][0] > self._window_ns:
            kept.popleft()
        span_ns = now_ns - kept[0][0]
        if len(kept) < 4 * PARTS or span_ns < 0.9 * self._window_ns:
            return None
        low = [sorted(v for _, v in part)[len(part) // 4] for part in _parts(list(kept), PARTS)]
        rises = [b - a for a, b in pairwise(low)]
        hours = span_ns / NS_PER_H / PARTS
        return sum(rises) / len(rises) / hours if min(rises) > self._per_hour * hours else None


def _parts(samples: Sequence[tuple[int, float]], count: int) -> list[Sequence[tuple[int, float]]]:
    edges = [round(i * len(samples) / count) for i in range(count + 1)]
    return [samples[a:b] for a, b in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class Health:
    """The newest reading. growing: alarms that hold, in units per hour: "memory" in bytes, "descriptors"."""

    vitals: Vitals | None
    conditions: Conditions | None
    growing: dict[str, float]


def look() -> Callable[[], Conditions]:
    """A reader of this machine's temperature and throttle bits. What does not change is asked once, here."""
    board = jetson()
    return lambda: conditions(board, None if board else card())


class Physician:
    """Reads vitals and conditions in a thread of its own, every ``every_ns``; ``newest`` at any time.

    memory_per_h: bytes per hour of growth that is an alarm. alarm: called from that thread when one begins, with its
    name and the growth per hour; and with "hot" and the temperature when something begins to hold the clocks down.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        memory_per_h: float = 64 << 20,
        every_ns: int = EVERY_NS,
        read: Callable[[], Vitals | None] = vitals,
        observe: Callable[[], Conditions] | None = None,
        alarm: Callable[[str, float], None] = lambda name, per_hour: None,
    ) -> None:
        self._clock, self._every_ns, self._read, self._observe, self._alarm = clock, every_ns, read, observe, alarm
        self._growth = {"memory": Growth(memory_per_h), "descriptors": Growth(60.0)}
        self._slowed = False
        self.newest = Health(None, None, {})
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="health", daemon=True)

    def start(self) -> Physician:
        self._thread.start()
        return self

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=1.0)

    def examine(self) -> Health:
        """One reading, now."""
        now_ns = self._clock.now_ns()
        found, around = self._read(), self._observe() if self._observe else None
        growing = dict[str, float]()
        if found is not None:
            values = {"memory": float(found.rss_bytes), "descriptors": float(found.file_descriptors)}
            for name, growth in self._growth.items():
                if (per_hour := growth.step(values[name], now_ns)) is not None:
                    growing[name] = per_hour
        for name in growing.keys() - self.newest.growing.keys():
            self._alarm(name, growing[name])
        slowed = around is not None and bool(around.slowed)
        if slowed and not self._slowed:
            self._alarm("hot", around.temperature_c or 0.0 if around else 0.0)
        self._slowed = slowed
        self.newest = Health(found, around, growing)
        return self.newest

    def _work(self) -> None:
        if self._observe is None:
            self._observe = look()
        while not self._closing.wait(self._every_ns / NS_PER_S):
            self.examine()
