"""What happened to every frame of a bench, column by column, and the figures that come of it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge3vt.bench.limits import STAGES
from edge3vt.bench.quantiles import spread
from edge3vt.bench.result import GONE, Series, Start, StreamBlock
from edge3vt.bench.stalls import Flight
from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.latency import longest_streak
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.stream.intake import DEPTH
from edge3vt.stream.telemetry import OTHER, known_reason

_COLUMNS = ("index", "age", "prepare", "infer", "mask", "compose", "sink", "total", "verdict", "shown", "late", "own")
_VERDICTS = tuple(Verdict)
_ON_TIME = _VERDICTS.index(Verdict.ON_TIME)
Numbers = NDArray[np.int64]


def _columns() -> dict[str, array[int]]:
    return {name: array("q") for name in _COLUMNS}


@dataclass(slots=True)
class Tape:
    """Of one start. Fixed cost a frame; a frame that leaves again, as NO SIGNAL, is no frame of the source."""

    columns: dict[str, array[int]] = field(default_factory=_columns)
    skipped: list[tuple[int, str]] = field(default_factory=list)
    withheld: list[tuple[int, str]] = field(default_factory=list)
    _last: int = -1

    def add(self, seg: Segmentation, sink_ns: int) -> None:
        """A frame left, and the sinks took so long over it."""
        index = seg.frame.index
        if index <= self._last:
            return
        self._last = index
        timing, columns = seg.timing, self.columns
        own = seg.mask_ns is not None and seg.mask_ns == seg.frame.captured_ns
        for name, value in (
            ("index", index),
            ("age", timing.age_ns),
            ("prepare", timing.prepare_ns),
            ("infer", timing.infer_ns),
            ("mask", timing.mask_ns),
            ("compose", timing.compose_ns),
            ("sink", sink_ns),
            ("total", timing.total_ns),
            ("verdict", _VERDICTS.index(seg.verdict)),
            ("shown", seg.shown),
            ("late", seg.emitted_late),
            ("own", own),
        ):
            columns[name].append(value)
        if seg.verdict is not Verdict.ON_TIME and seg.reason:
            self.skipped.append((index, known_reason(seg.reason)))
        if seg.withheld:
            failed = seg.state is State.AI_INVALID or seg.state is State.AI_OFF
            self.withheld.append((index, known_reason(seg.withheld, "engine failed" if failed else OTHER)))


@dataclass(frozen=True, slots=True)
class Reel:
    """A tape with what the source gave: frames from ``first`` to ``last`` are measured. paced: they were due."""

    tape: Tape
    captured: Numbers
    given: Numbers
    opening_ns: int
    paced: bool
    warm_up_ns: int

    @property
    def last(self) -> int:
        indices = self.tape.columns["index"]
        return indices[-1] if indices else -1

    @property
    def first(self) -> int:
        if not len(self.captured):
            return 0
        return int(np.searchsorted(self.captured, self.captured[0] + self.warm_up_ns))

    @property
    def frames(self) -> int:
        return max(self.last + 1 - self.first, 0)

    def column(self, name: str) -> Numbers:
        """Of the measured frames that left."""
        columns = self.tape.columns
        index = np.asarray(columns["index"], np.int64)
        return np.asarray(columns[name], np.int64)[index >= self.first]

    def wake(self) -> Numbers:
        """Lateness of the source, of every frame that it gave; nothing where nothing was due."""
        return self.given - self.captured if self.paced else np.zeros(len(self.given), np.int64)

    def runner(self) -> Numbers:
        """What is no stage's, of the measured frames that left."""
        stages = sum((self.column(name) for name in ("prepare", "infer", "mask", "compose")), np.zeros(1, np.int64))
        late = self.wake()[self.column("index")]
        rest: Numbers = np.maximum(self.column("total") - stages - late, 0)
        return rest

    def own(self) -> NDArray[np.bool_]:
        """Whether a measured frame that left has, in time, a mask of its own."""
        own: NDArray[np.bool_] = (self.column("own") == 1) & (self.column("verdict") == _ON_TIME)
        return own

    def flights(self, offset: int) -> list[Flight]:
        """The misses, numbered among the measured frames from ``offset`` on."""
        index, total = self.column("index"), self.column("total")
        late = self.column("late") == 1
        found = [
            Flight(offset + int(i) - self.first, int(self.captured[i]), int(self.captured[i] + t))
            for i, t in zip(index[late], total[late], strict=True)
        ]
        for lost in sorted(set(range(self.first, self.last + 1)) - set(index.tolist())):
            left_ns = int(self.given[min(lost + DEPTH, len(self.given) - 1)])  # that one pushed it out
            found.append(Flight(offset + lost - self.first, int(self.captured[lost]), left_ns, lost=True))
        return sorted(found, key=lambda flight: flight.index)


def stream_block(
    reels: Sequence[Reel], restarts: Mapping[str, int], sinks: tuple[int, int], size: tuple[int, int]
) -> StreamBlock:
    """All starts as one. sinks: written and dropped by them. size: width and height of the picture."""

    def joined(name: str) -> Numbers:
        return _joined(reel.column(name) for reel in reels)

    own = _joined(reel.own() for reel in reels).astype(bool)
    frames, emitted = sum(reel.frames for reel in reels), len(own)
    verdicts = Counter(joined("verdict").tolist())
    late = int(joined("late").sum())
    lost = frames - emitted
    misses = {flight.index for flight in flights(reels)}
    stages = {name: joined(name) for name in STAGES if name != "delivered"}
    stages["delivered"] = stages["total"] + stages["sink"]
    on_time = verdicts[_ON_TIME]
    skipped = verdicts[_VERDICTS.index(Verdict.SKIPPED)] + lost
    reasons = Counter(reason for reel in reels for index, reason in reel.tape.skipped if index >= reel.first)
    if lost:
        reasons["loop behind the source"] += lost
    withheld = Counter(reason for reel in reels for index, reason in reel.tape.withheld if index >= reel.first)
    wake = _joined(reel.wake()[reel.first : reel.last + 1] for reel in reels if reel.paced)
    return StreamBlock(
        frames=frames,
        emitted=emitted,
        on_time=on_time,
        late=verdicts[_VERDICTS.index(Verdict.LATE)],
        skipped=skipped,
        shown=int(joined("shown").sum()),
        emitted_late=late,
        never_emitted=lost,
        misses=late + lost,
        miss_rate=(late + lost) / frames if frames else None,
        own_mask_rate=on_time / emitted if emitted else None,
        longest_streak=longest_streak(index in misses for index in range(frames)),
        stages_ms={
            name: spread(stages[name][own] if name in ("prepare", "infer", "mask") else stages[name]) for name in STAGES
        },
        runner_ms=spread(_joined(reel.runner() for reel in reels)[own]),
        wake_ms=spread(wake),
        skipped_by_reason=dict(reasons),
        withheld_by_reason=dict(withheld),
        restarts=dict(restarts),
        written=sinks[0],
        dropped=sinks[1],
        width=size[0],
        height=size[1],
    )


def flights(reels: Sequence[Reel]) -> list[Flight]:
    """The misses of all starts, numbered in order."""
    found: list[Flight] = []
    offset = 0
    for reel in reels:
        found += reel.flights(offset)
        offset += reel.frames
    return found


def series(reels: Sequence[Reel]) -> Series:
    """Every measured frame of all starts."""
    at_ms: list[int] = [0]
    columns: dict[str, list[int]] = {"total": [], "infer": [], "runner": []}
    origin_ns = next((int(reel.captured[reel.first]) for reel in reels if reel.frames), 0)
    for reel in reels:
        at_ms += ((reel.captured[reel.first : reel.last + 1] - origin_ns) // NS_PER_MS).tolist()
        index, own = reel.column("index") - reel.first, reel.own()
        for name, values, there in (
            ("total", reel.column("total"), np.ones(len(index), bool)),
            ("infer", reel.column("infer"), own),
            ("runner", reel.runner(), own),
        ):
            told = np.full(reel.frames, GONE, np.int64)
            told[index[there]] = (values[there] + 500) // 1000
            columns[name] += told.tolist()
    return Series(
        per_start=tuple(reel.frames for reel in reels),
        step_ms=tuple(int(step) for step in np.diff(at_ms)),
        total_us=tuple(columns["total"]),
        infer_us=tuple(columns["infer"]),
        runner_us=tuple(columns["runner"]),
    )


def start_of(reel: Reel) -> Start:
    """How one start began, warm-up or not."""
    columns = reel.tape.columns
    opening_ms = reel.opening_ns / NS_PER_MS
    if not columns["index"]:
        return Start(opening_ms, None, None, None)
    masked = next((i for i, own in enumerate(columns["own"]) if own), None)
    if masked is None:
        return Start(opening_ms, columns["total"][0] / NS_PER_MS, None, None)
    after_ns = int(reel.captured[columns["index"][masked]] - reel.captured[columns["index"][0]])
    return Start(
        opening_ms,
        columns["total"][0] / NS_PER_MS,
        columns["infer"][masked] / NS_PER_MS,
        (after_ns + columns["total"][masked]) / NS_PER_MS,
    )


def _joined(parts: Iterable[NDArray[np.int64] | NDArray[np.bool_]]) -> Numbers:
    return np.concatenate([np.zeros(0, np.int64), *(part.astype(np.int64) for part in parts)])
