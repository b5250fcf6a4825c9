"""The engine alone, in trtexec's terms: back to back, one stream, after a warm-up; not what a frame will see.

Definitions: TensorRT samples/common/sampleReporting.cpp, 8.5 to 11.1. Latency = H2D + GPU Compute + D2H, without gaps.
Enqueue Time is the host's, around the call. On a CPU nothing is copied, so that the call itself is the compute. Here
one CUDA graph holds upload, network and download: its parts are then not told apart, and Latency is the host's time
around the run, which is longer than trtexec's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3vt.bench.quantiles import Spread, spread
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, Clock
from edge3vt.core.frame import Frame, Pixels
from edge3vt.core.session import Session
from edge3vt.picture.crop import acquire, cut

WARM_UP_MS = 200
LEAST_RUNS = 10
AVERAGED = 10
PICTURES = 16
NOISY_PCT = 2.5  # trtexec warns above this coefficient of variation
Flags = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Times:
    """In ms, as trtexec prints them; percentile by its name, None without enough samples."""

    min: float
    max: float
    mean: float
    median: float
    percentile: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class EngineBlock:
    """flags: what changes the meaning, by trtexec's names. Times are None where they cannot be told apart.

    latency: the same runs as latency_ms, with intervals. drift: the median of the second half of the runs, after the
    stream, over that of the first, before it; None where one is missing.
    """

    runs: int
    throughput_qps: float
    latency_ms: Times
    enqueue_ms: Times | None
    h2d_ms: Times | None
    gpu_compute_ms: Times | None
    d2h_ms: Times | None
    total_host_walltime_s: float
    total_gpu_compute_s: float | None
    coefficient_of_variation_pct: float
    flags: Flags
    latency: Spread
    drift: float | None


@dataclass(frozen=True, slots=True)
class Runs:
    """Begin and end of each run, in ns from the first one's begin."""

    began_ns: tuple[int, ...]
    ended_ns: tuple[int, ...]

    @property
    def taken_ns(self) -> NDArray[np.int64]:
        return np.asarray(self.ended_ns, np.int64) - np.asarray(self.began_ns, np.int64)

    @property
    def wall_ns(self) -> int:
        return self.ended_ns[-1] - self.began_ns[0]


def crops(frames: Sequence[Frame], size: int) -> list[Pixels]:
    """(size, size) pictures as the engine sees them, of frames spread over the source."""
    found = []
    for frame in frames[:: max(len(frames) // PICTURES, 1)][:PICTURES]:
        out = np.zeros((size, size), np.uint8)
        cut(frame, acquire(frame, size), out)
        found.append(out)
    return found


def back_to_back(session: Session, pictures: Sequence[Pixels], seconds: float, clock: Clock) -> Runs:
    """Run so long, warmed up, LEAST_RUNS times at least. The copy of a picture into the buffer is not timed."""
    spec = session.spec
    pixels, logits = np.zeros(spec.input_shape, np.uint8), np.zeros(spec.logits_shape, np.float32)
    view = np.zeros((1, 1), np.float32) if spec.has_view else None
    warm_ns = clock.now_ns() + WARM_UP_MS * NS_PER_MS
    while True:
        session.run(pixels, logits, view)
        if clock.now_ns() >= warm_ns:
            break
    began: list[int] = []
    ended: list[int] = []
    origin_ns = now_ns = clock.now_ns()
    until_ns = origin_ns + round(seconds * NS_PER_S)
    while now_ns < until_ns or len(began) < LEAST_RUNS:
        pixels[0, 0] = pictures[len(began) % len(pictures)]
        start_ns = clock.now_ns()
        session.run(pixels, logits, view)
        now_ns = clock.now_ns()
        began.append(start_ns - origin_ns)
        ended.append(now_ns - origin_ns)
    return Runs(tuple(began), tuple(ended))


def engine_block(runs: Sequence[Runs], runtime: str, flags: Flags) -> EngineBlock:
    """One block of what was measured before and after the stream. runtime: of the recipe."""
    taken = np.concatenate([part.taken_ns for part in runs])
    wall_s = sum(part.wall_ns for part in runs) / NS_PER_S
    times, mean, plain = _times(taken), float(taken.mean()), runtime != "tensorrt"
    medians = [float(np.median(part.taken_ns)) for part in runs]
    nothing = _times(np.zeros(len(taken), np.int64)) if plain else None
    return EngineBlock(
        runs=len(taken),
        throughput_qps=len(taken) / wall_s if wall_s else 0.0,
        latency_ms=times,
        enqueue_ms=times if plain else None,
        h2d_ms=nothing,
        gpu_compute_ms=times if plain else None,
        d2h_ms=nothing,
        total_host_walltime_s=wall_s,
        total_gpu_compute_s=float(taken.sum()) / NS_PER_S if plain else None,
        coefficient_of_variation_pct=100 * float(taken.std()) / mean if mean else 0.0,
        flags=flags,
        latency=spread(taken),
        drift=medians[1] / medians[0] if len(medians) == 2 and medians[0] else None,
    )


def flags_of(runtime: str, threads: int, seconds: float, how: str, wait: str) -> Flags:
    """What changes the meaning of the block. how: a TensorRT session's "CUDA graph" or why not; wait: of its stream."""
    plain = runtime != "tensorrt"
    return {
        "runtime": runtime,
        "threads": threads,
        "streams": 1,
        "warmUp": WARM_UP_MS,
        "duration": seconds,
        "iterations": LEAST_RUNS,
        "avgRuns": AVERAGED,
        "percentile": "50,90,95,99,99.9",
        "includeDataTransfers": not plain,
        "useCudaGraph": how == "CUDA graph",
        "useSpinWait": not plain and wait == "spin",
        "separateProfileRun": False,
    }


def export_times(runs: Sequence[Runs]) -> list[dict[str, float]]:
    """Every run with the keys of ``trtexec --exportTimes``; of a CPU's engine, whose call is its compute."""
    rows, origin_ns = [], 0
    for part in runs:
        for begin, end in zip(part.began_ns, part.ended_ns, strict=True):
            start, stop = (origin_ns + begin) / NS_PER_MS, (origin_ns + end) / NS_PER_MS
            rows.append(
                {
                    "startEnqMs": start,
                    "endEnqMs": stop,
                    "startH2dMs": start,
                    "endH2dMs": start,
                    "startComputeMs": start,
                    "endComputeMs": stop,
                    "startD2hMs": stop,
                    "endD2hMs": stop,
                    "h2dMs": 0.0,
                    "computeMs": stop - start,
                    "d2hMs": 0.0,
                    "latencyMs": stop - start,
                }
            )
        origin_ns += part.wall_ns
    return rows


def lines(block: EngineBlock) -> list[str]:
    """The block as trtexec prints it."""

    def row(name: str, times: Times | None) -> str:
        if times is None:
            return f"{name}: not told apart"
        ends = [
            f"percentile({p}%) = " + ("n/a" if value is None else f"{value:.4g} ms")
            for p, value in times.percentile.items()
        ]
        first = f"min = {times.min:.4g} ms, max = {times.max:.4g} ms, mean = {times.mean:.4g} ms"
        return f"{name}: {first}, median = {times.median:.4g} ms, {', '.join(ends)}"

    rows = [
        "=== Performance summary ===",
        f"Throughput: {block.throughput_qps:.4g} qps",
        row("Latency", block.latency_ms),
        row("Enqueue Time", block.enqueue_ms),
        row("H2D Latency", block.h2d_ms),
        row("GPU Compute Time" if block.flags["includeDataTransfers"] else "Compute Time", block.gpu_compute_ms),
        row("D2H Latency", block.d2h_ms),
        f"Total Host Walltime: {block.total_host_walltime_s:.4g} s",
        "Flags: " + ", ".join(f"{name}={value}" for name, value in block.flags.items()),
    ]
    if block.coefficient_of_variation_pct > NOISY_PCT:
        rows.append(f"Unsteady: coefficient of variation {block.coefficient_of_variation_pct:.3g} %, over {NOISY_PCT}")
    return rows


def _times(taken_ns: NDArray[np.int64]) -> Times:
    ms = taken_ns / NS_PER_MS
    told = spread(taken_ns)
    percentiles = {name.removeprefix("p"): told.value(name) for name in ("p90", "p95", "p99")}
    return Times(float(ms.min()), float(ms.max()), float(ms.mean()), float(np.median(ms)), percentiles)
