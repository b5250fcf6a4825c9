"""Promise P8: an hour must cost no memory. The loop at 60 Hz, engine in its own process, recorder on.

    python -m edge3vt.bench.soak 30 benchmarks/results/drills/soak.json

Once a second it reads what this process and its children hold: resident memory (of each process that lives through
the run), open files, threads, shared memory. The slope is a least squares line's, its bound the one-sided 95 % upper
one, with as many independent samples as the residuals' autocorrelation leaves.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge3vt.bench.engine_drills import OpenLane, scripted
from edge3vt.bench.findings import Finding, lines, record_of, write_record
from edge3vt.bench.oracle import Sight, wrong
from edge3vt.bench.rig import CLOCK, PERIOD_MS, RATE_HZ, pattern, watch
from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.sinks.video import VideoSink
from edge3vt.stream.sources.test import PatternSource
from edge3vt.stream.supervised import SupervisedLane
from edge3vt.stream.telemetry import Ledger

SLOPE_MB_H = 1.0
SETTLE = 0.2
"""Of the run is warming up: caches fill, allocators take what they keep."""
LEAST_SAMPLES = 10
LOOK_EACH = 10
"""Of so many pictures the oracle reads one: it is not to be the load."""
T_95 = 1.645
"""Of the normal distribution; with 30 samples and more it is within 4 % of Student's."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What the process and its children hold at one moment. memory_mb: resident, by process."""

    at_s: float
    memory_mb: dict[int, float]
    files: int
    threads: int
    shared: int


def holding(at_s: float) -> Holding:
    """Of this process and its children, from /proc."""
    own = os.getpid()
    pids = [own, *_children(own)]
    memory, files, threads, shared = {}, 0, 0, 0
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            names = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
        except OSError:  # it ended while we looked
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        memory[pid] = int(fields["VmRSS"].split()[0]) / 1024
        threads += int(fields["Threads"])
        files += len(names) - (pid == own)  # the folder that is being listed
        shared += sum("memfd:" in name or "/dev/shm/" in name for name in names)
    return Holding(at_s, memory, files, threads, shared)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.scandir(f"/proc/{pid}/task"):
            for child in Path(task.path, "children").read_text(encoding="utf-8").split():
                found += [int(child), *_children(int(child))]
    except OSError:
        pass
    return found


def slope(times_s: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Per hour: the least squares slope and its one-sided 95 % upper bound. Raises ValueError for too few samples.

    Residuals that follow each other count for fewer samples, n (1 - r) / (1 + r) with r their lag-one
    autocorrelation (Santer et al. 2000, equation 6).
    """
    x, y = np.asarray(times_s) / 3600, np.asarray(values)
    if len(x) < LEAST_SAMPLES:
        raise ValueError(f"{len(x)} samples, expected {LEAST_SAMPLES} or more")
    x = x - x.mean()
    per_hour = float(x @ y / (x @ x))
    rest = y - y.mean() - per_hour * x
    power = float(rest @ rest)
    r = min(max(float(rest[1:] @ rest[:-1]) / power, 0.0), 0.99) if power > 0 else 0.0
    independent = max(len(x) * (1 - r) / (1 + r), 3.0)
    error = math.sqrt(power / (independent - 2) / float(x @ x))
    return per_hour, per_hour + T_95 * error


def findings(samples: Sequence[Holding], slope_mb_h: float = SLOPE_MB_H) -> list[Finding]:
    """P8 of what was sampled, the first part of which is warming up."""
    if not samples:
        return [Finding("soak", "P8", "samples", 0, LEAST_SAMPLES, least=True)]
    steady = [s for s in samples if s.at_s >= SETTLE * samples[-1].at_s]
    first, last = steady[0], steady[-1]
    common = set(first.memory_mb).intersection(*(s.memory_mb for s in steady))
    found = [
        Finding("soak", "P8", "open files more", last.files - first.files),
        Finding("soak", "P8", "threads more", last.threads - first.threads),
        Finding("soak", "P8", "shared memories more", last.shared - first.shared),
        Finding("soak", "P8", "processes replaced", len(first.memory_mb.keys() ^ last.memory_mb.keys())),
    ]
    try:
        total = [sum(s.memory_mb[pid] for pid in common) for s in steady]
        per_hour, upper = slope([s.at_s for s in steady], total)
    except ValueError:
        return [
            *found,
            Finding("soak", "P8", "resident memory, 95 % upper bound of the slope", None, slope_mb_h, "MB/h"),
        ]
    return [
        *found,
        Finding(
            "soak",
            "P8",
            f"resident memory, {total[-1]:.0f} MB, slope {per_hour:.3g}, 95 % upper bound",
            upper,
            slope_mb_h,
            "MB/h",
        ),
    ]


def soak(
    open_lane: OpenLane,
    seconds: float,
    folder: Path,
    *,
    slope_mb_h: float = SLOPE_MB_H,
    every_s: float = 1.0,
    extra: Callable[[Segmentation], object] = lambda seg: None,
) -> list[Finding]:
    """Run so long and see what grows. extra: another sink; a leak is planted with it."""
    samples: list[Holding] = []
    stop = threading.Event()

    def sampling() -> None:
        begun_ns = CLOCK.now_ns()
        while not stop.wait(every_s):
            samples.append(holding((CLOCK.now_ns() - begun_ns) / NS_PER_S))

    eye, ledger, lane = _Eye(), Ledger(PERIOD_MS), open_lane(scripted())
    sampler = threading.Thread(target=sampling, name="sampler", daemon=True)
    try:
        with VideoSink(folder / "soak.mp4", overwrite=True) as sink:
            sink.spec = lane.spec
            sampler.start()
            source = PatternSource(pattern(seconds), CLOCK)
            watch(source, lane, sinks=[sink, extra], ledger=ledger, seen=eye.see, each=LOOK_EACH)
            stop.set()
            sampler.join()
    finally:
        stop.set()
        lane.close()
    counts, total = ledger.counts(), ledger.total.summary()
    missing = 100 * (1 - counts["emitted"] / (seconds * RATE_HZ))
    return [
        Finding("soak", "P1", "frames of the source that never left", missing, 1, "%"),
        Finding("soak", "P1", "delay of the picture, p99.9", total.p999, PERIOD_MS, "ms"),
        Finding("soak", "P1", f"pictures altered outside overlay and status, of {eye.looked}", eye.altered),
        Finding("soak", "P2", "stale or false masks", eye.stale),
        *findings(samples, slope_mb_h),
    ]


@dataclass(slots=True)
class _Eye:
    """Counts, in fixed memory."""

    looked: int = 0
    altered: int = 0
    stale: int = 0

    def see(self, sight: Sight) -> None:
        self.looked += 1
        self.altered += bool(sight.altered)
        self.stale += bool(wrong(sight, PERIOD_MS))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edge3vt.bench.soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("minutes", type=float)
    parser.add_argument("out", type=Path, nargs="?", help="the record to write, .json")
    asked = parser.parse_args(arguments)
    if not asked.minutes > 0:
        raise ConfigError(f"{asked.minutes:g} minutes, expected more than 0, as in 30")
    with tempfile.TemporaryDirectory() as folder:
        found = soak(SupervisedLane, 60 * asked.minutes, Path(folder))
    record = record_of(f"python -m edge3vt.bench.soak {asked.minutes:g} OUT", found)
    if asked.out:
        write_record(record, asked.out)
    print("\n".join(lines(found)))
    return 0 if record.passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Edge3vtError as error:
        print(f"soak: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
