"""What a bench found: the engine alone, the stream, the machine and its stalls, the verdicts. A frozen JSON document.

Everything in it was measured, on the machine that it names, with pictures that were in memory before the clock started.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from edge3vt.bench.engine_block import EngineBlock
from edge3vt.bench.limits import STAGES, Judged
from edge3vt.bench.quantiles import Spread
from edge3vt.bench.scenario import Scenario
from edge3vt.bench.stalls import Stalls
from edge3vt.bench.surroundings import Surroundings
from edge3vt.core.documents import read_json, to_json, write_bytes
from edge3vt.core.errors import ConfigError
from edge3vt.core.jetson import Jetson
from edge3vt.core.machine import Machine

RESULTS = Path("benchmarks/results")
GONE = -1
"""In a Series: the frame never left, or has no mask of its own."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Which engine: what its manifest says of it. precision and runtime are its recipe's."""

    name: str
    model_id: str
    sha256: str
    precision: str
    runtime: str
    runtime_version: str
    threads: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class StreamBlock:
    """Of all measured frames of the source. misses: emitted late + never emitted; own_mask_rate: on_time / emitted.

    stages_ms: by limits.STAGES. age: capture to seen by the loop; prepare, infer, mask, compose: the frame's own;
    sink: handing over to all sinks; total: capture to composed; delivered: total and sink. runner_ms: total less
    prepare, infer, mask, compose and, where frames are due at a time, the source's lateness; of frames with a mask of
    their own. wake_ms: how late the source woke up for a due frame. dropped: by sinks. width, height: of the picture.
    """

    frames: int
    emitted: int
    on_time: int
    late: int
    skipped: int
    shown: int
    emitted_late: int
    never_emitted: int
    misses: int
    miss_rate: float | None
    own_mask_rate: float | None
    longest_streak: int
    stages_ms: dict[str, Spread]
    runner_ms: Spread
    wake_ms: Spread
    skipped_by_reason: dict[str, int]
    withheld_by_reason: dict[str, int]
    restarts: dict[str, int]
    written: int
    dropped: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Start:
    """One opening of everything. opening_ms: until the engine is open and warm; first_*: of the first frame, and of
    the first one with a mask of its own, from its capture; masked_after_ms: from the first frame's capture to that."""

    opening_ms: float
    first_total_ms: float | None
    first_infer_ms: float | None
    masked_after_ms: float | None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A second stream: its frames, its misses, its own totals."""

    frames: int
    misses: int
    total_ms: Spread


@dataclass(frozen=True, slots=True)
class Series:
    """Every measured frame of the source in order. per_start: how many frames each start has. step_ms: from the capture
    of the frame before, 0 for the first of all; ``at_ms`` is their sum.

    total_us: GONE where it never left. infer_us: GONE where it has no mask of its own. runner_us: as infer_us.
    """

    per_start: tuple[int, ...]
    step_ms: tuple[int, ...]
    total_us: tuple[int, ...]
    infer_us: tuple[int, ...]
    runner_us: tuple[int, ...]

    @property
    def at_ms(self) -> tuple[int, ...]:
        """Capture of each frame, from the first one's."""
        return tuple(accumulate(self.step_ms))


@dataclass(frozen=True, slots=True)
class Growth:
    """Resident memory of all processes in MB at the end, its slope in MB an hour and the 95 % upper bound of that."""

    memory_mb: float
    slope_mb_h: float
    upper_mb_h: float


@dataclass(frozen=True, slots=True)
class Result:
    """name: of the scenario. measured_s: from the first measured frame to the last. stopped: before its time was up.

    engine_alone: None where the scenario asks for none. faults: what broke beside the loop, as the recorder. passed:
    every verdict passed, nothing broke, and nothing was stopped.
    """

    schema: int
    edge3vt: str
    made: str
    name: str
    scenario: Scenario
    stopped: bool
    measured_s: float
    engine: EngineFacts
    engine_alone: EngineBlock | None
    stream: StreamBlock
    starts: tuple[Start, ...]
    neighbours: tuple[Neighbour, ...]
    stalls: Stalls
    machine: Machine
    surroundings: Surroundings
    growth: Growth | None
    verdicts: tuple[Judged, ...]
    passed: bool
    series: Series
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the result is not known, expected 1; update edge3vt")
        if set(self.stream.stages_ms) != set(STAGES):
            raise ConfigError(f"stages {', '.join(self.stream.stages_ms)}, expected {', '.join(STAGES)}")
        rows = self.series
        columns = rows.step_ms, rows.total_us, rows.infer_us, rows.runner_us
        if {len(column) for column in columns} != {sum(rows.per_start)}:
            raise ConfigError("the columns of the series are not of one length; measure again")

    def figure(self, name: str) -> float | None:
        """A figure by its name in limits: ms, percent or frames; None where there was too little to tell."""
        stage, _, at = name.partition(".")
        match stage:
            case "miss_rate":
                return None if not self.stream.frames else 100 * self.stalls.own / self.stream.frames
            case "all_miss_rate":
                return None if self.stream.miss_rate is None else 100 * self.stream.miss_rate
            case "own_masks":
                return None if self.stream.own_mask_rate is None else 100 * self.stream.own_mask_rate
            case "streak":
                return float(self.stream.longest_streak)
            case "runner":
                return self.stream.runner_ms.value(at)
            case "wake":
                return self.stream.wake_ms.value(at)
            case "engine":
                return None if self.engine_alone is None else self.engine_alone.latency.value(at)
            case "opening":
                times = sorted(start.opening_ms for start in self.starts)
                return times[-1] if at == "max" and times else times[len(times) // 2] if at == "p50" and times else None
            case _:
                return self.stream.stages_ms[stage].value(at)


def write_result(result: Result, path: Path) -> None:
    """As JSON on few lines, whole or not at all."""
    write_bytes(path, to_json(result, indent=None).encode())


def read_result(path: Path) -> Result:
    """Raises ConfigError."""
    return read_json(Result, path)


def place(name: str, machine: Machine, board: Jetson | None, card: str | None) -> Path:
    """Where the result of a scenario on this machine goes: benchmarks/results/MACHINE/NAME.json."""
    chip = board.model if board else f"{machine.cpu} {machine.cores} cores" + (f" {card}" if card else "")
    plain = re.sub(r"\((r|tm|c)\)|\bprocessor\b|\bcpu\b|@.*?ghz", " ", chip.lower())
    return RESULTS / "-".join(re.findall(r"[a-z0-9]+", plain)) / f"{name}.json"
