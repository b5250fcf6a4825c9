"""What a bench is to do: pictures, when they come, how the loop is set up, what runs beside it, and the limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from edge3vt.bench.limits import Limit
from edge3vt.core.clock import NS_PER_S
from edge3vt.core.errors import ConfigError
from edge3vt.stream.runner import Sync
from edge3vt.stream.tracking import CropPolicy

Kind = Literal["flat-out", "paced", "bursts", "pauses"]
SOURCE = "phantom://7?seconds=4&scenes=2"
"""1024x768, grey: 240 pictures, rendered before the clock starts and looped."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When frames come. flat-out: the next one when the last has left, so that none waits for another. paced: at
    rate_hz. bursts: ``burst`` of them at once, at rate_hz on average. pauses: paced, with the last ``pause_s`` of every
    ``every_s`` silent."""

    kind: Kind
    rate_hz: float = 60.0
    burst: int = 1
    every_s: float = 0.0
    pause_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz <= 1000:
            raise ConfigError(f"rate_hz is {self.rate_hz:g}, expected more than 0 and at most 1000")
        if (self.burst > 1) != (self.kind == "bursts"):
            raise ConfigError(
                f"burst is {self.burst} and kind is {self.kind}: bursts, and they alone, have more than 1"
            )
        if (self.pause_s > 0) != (self.kind == "pauses") or not (self.pause_s == 0 or 0 < self.pause_s < self.every_s):
            raise ConfigError(
                f"pause_s is {self.pause_s:g}, every_s {self.every_s:g} and kind {self.kind}: pauses, and they alone, "
                "have both, the pause the shorter one"
            )

    def due_ns(self, seconds: float) -> Iterator[int | None]:
        """When each frame is due after the start; without end and None for flat-out, which is due when it can be."""
        if self.kind == "flat-out":
            while True:
                yield None
        for index in count():
            at = round(index // self.burst * self.burst * NS_PER_S / self.rate_hz)
            if at >= seconds * NS_PER_S:
                return
            if self.kind != "pauses" or at % (self.every_s * NS_PER_S) < (self.every_s - self.pause_s) * NS_PER_S:
                yield at


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What competes: ``busy`` processes that compute for nothing, each on a core of its own while there are enough;
    ``streams`` loops with an engine of their own, at the same rate, on synthetic speckle."""

    busy: int = 0
    streams: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.busy <= 64 and 0 <= self.streams <= 8):
            raise ConfigError(f"{self.busy} busy processes and {self.streams} streams, expected at most 64 and 8")


@dataclass(frozen=True, slots=True)
class Scenario:
    """seconds: measured, of each start, after ``warm_up_s`` that count for nothing. engine: the name of a recipe.

    lane: where the engine runs. standby, keep_warm_ms (0: never): of a process lane. cores: of loop and engine.
    realtime: priority for both; then the probes, which would starve, are left out. record: into a video file, kept
    nowhere. starts: how often everything is opened anew. clock_share: the CPU's clocks are held down to that share of
    their greatest, where the machine lets us. engine_s: for the engine alone, half of it before and half after.
    memory: what is held is sampled, and its growth told. unverified: why no record backs the limits yet, else empty.
    """

    schema: int
    about: str
    arrivals: Arrivals
    seconds: float
    warm_up_s: float = 3.0
    source: str = SOURCE
    engine: str = "cpu-int8"
    lane: Literal["thread", "process"] = "process"
    standby: bool = True
    keep_warm_ms: float = 50.0
    cores: tuple[int, ...] = ()
    realtime: bool = False
    record: bool = False
    crop: CropPolicy = "acquire"
    sync: Sync = "passthrough"
    budget_ms: float = 16.7
    starts: int = 1
    neighbours: Neighbours = field(default_factory=Neighbours)
    clock_share: float | None = None
    engine_s: float = 4.0
    memory: bool = False
    limits: tuple[Limit, ...] = ()
    unverified: str = ""

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the scenario is not known, expected 1; update edge3vt")
        for name, value, least in (
            ("seconds", self.seconds, 0.0),
            ("budget_ms", self.budget_ms, 0.0),
            ("keep_warm_ms", self.keep_warm_ms or 1.0, 0.0),  # 0 is never
        ):
            if not least < value <= 86_400_000:
                raise ConfigError(f"{name} is {value:g}, expected more than {least:g}")
        if self.warm_up_s < 0 or self.engine_s < 0:
            raise ConfigError(f"warm_up_s is {self.warm_up_s:g}, engine_s {self.engine_s:g}; expected 0 or more")
        if not 1 <= self.starts <= 100:
            raise ConfigError(f"starts is {self.starts}, expected 1 to 100")
        if self.clock_share is not None and not 0 < self.clock_share < 1:
            raise ConfigError(f"clock_share is {self.clock_share:g}, expected a share between 0 and 1, as 0.5")
        if len(self.cores) not in (0, 2):
            raise ConfigError(f"cores has {len(self.cores)} numbers, expected two, of loop and engine, or none")
        if self.lane == "thread" and (self.cores or self.realtime):
            raise ConfigError("cores and realtime are of a process lane; set lane = 'process', or leave them out")
