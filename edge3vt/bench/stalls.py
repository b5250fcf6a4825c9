"""Stalls of the machine: what a bare sleeping process on the same cores saw as well, told apart from our own misses.

The rule, pure: a miss is the machine's if a probe slept over by at least ``limit`` while the frame was on its way, and
the frame would have been in time without the part of its way that lies within that oversleep. All else is our own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge3vt.bench.quantiles import Spread, spread
from edge3vt.core.clock import NS_PER_MS

LIMIT_MS = 8.0
"""Half of a frame at 60 Hz. A load that merely shares the cores, as our own does, delays a sleeper by a slice or two of
the scheduler, 3 ms each where this was tried: with three computing processes to a core a probe overslept by 3.0 ms at
p99 and 5.0 at p99.9. What takes longer stood still."""
KEPT = 1000
"""Misses that a result tells one by one."""
Wakes = Mapping[int, tuple[Sequence[int], Sequence[int]]]
"""By core: when a probe wanted to wake and when it did, in ns."""


@dataclass(frozen=True, slots=True)
class Oversleep:
    """A probe on ``core`` wanted to wake at due_ns and did at woke_ns."""

    core: int
    due_ns: int
    woke_ns: int


@dataclass(frozen=True, slots=True)
class Flight:
    """A missed frame on its way. left_ns: when it left, late; or when it was lost, pushed out by newer ones."""

    index: int
    captured_ns: int
    left_ns: int
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Miss:
    """index: of the measured frames. total_ms: None of a frame that never left. stalled_ms: of its way within one
    probe's oversleep, 0 where none was long enough. machine: the miss is the machine's."""

    index: int
    at_ms: float
    total_ms: float | None
    stalled_ms: float
    machine: bool


@dataclass(frozen=True, slots=True)
class Stalls:
    """limit_ms: an oversleep from which on it is a stall. late_ms: of all wakes of all probes. stalls: their number;
    stalled_share: of the run, in which a probe was stalled, and so the share of misses that chance alone would excuse.

    machine + own = misses of the stream. events: the first KEPT misses. probes: cores that had one; none where the
    probes could not be started, and then all misses are our own.
    """

    probes: tuple[int, ...]
    every_ms: float
    limit_ms: float
    late_ms: Spread
    stalls: int
    stalled_share: float
    machine: int
    own: int
    events: tuple[Miss, ...]


def stalls_of(
    missed: Sequence[Flight], wakes: Wakes, spans: Sequence[tuple[int, int]], budget_ns: int, every_ms: float
) -> Stalls:
    """What the probes saw while frames were measured, from begin to end of each span, and the misses by cause."""
    seen: list[Oversleep] = []
    late = [np.zeros(0, np.int64)]
    for core, (due, woke) in wakes.items():
        due_ns, woke_ns = np.asarray(due, np.int64), np.asarray(woke, np.int64)
        within = np.zeros(len(due_ns), bool)
        for began_ns, ended_ns in spans:
            within |= (woke_ns >= began_ns) & (due_ns <= ended_ns + budget_ns)
        late.append((woke_ns - due_ns)[within])
        long = within & (woke_ns - due_ns >= LIMIT_MS * NS_PER_MS)
        seen += [Oversleep(core, int(d), int(w)) for d, w in zip(due_ns[long], woke_ns[long], strict=True)]
    events = attribute(missed, seen, budget_ns, spans[0][0] if spans else 0)
    lengths = [max(ended_ns - began_ns, 1) for began_ns, ended_ns in spans]
    shares = [stalled_share(seen, *span) * length for span, length in zip(spans, lengths, strict=True)]
    machine = sum(event.machine for event in events)
    return Stalls(
        probes=tuple(wakes),
        every_ms=every_ms,
        limit_ms=LIMIT_MS,
        late_ms=spread(np.concatenate(late)),
        stalls=len(seen),
        stalled_share=sum(shares) / sum(lengths) if lengths else 0.0,
        machine=machine,
        own=len(events) - machine,
        events=events[:KEPT],
    )


def attribute(
    flights: Iterable[Flight], stalls: Sequence[Oversleep], budget_ns: int, began_ns: int
) -> tuple[Miss, ...]:
    """Each missed frame with its cause. stalls: only those of at least the limit."""
    ordered = sorted(stalls, key=lambda stall: stall.due_ns)
    due = [stall.due_ns for stall in ordered]
    longest_ns = max((stall.woke_ns - stall.due_ns for stall in ordered), default=0)
    found = []
    for flight in flights:
        near = ordered[bisect_left(due, flight.captured_ns - longest_ns) : bisect_left(due, flight.left_ns)]
        covered = max((_overlap(flight, stall) for stall in near), default=0)
        excused = covered > 0 and flight.left_ns - covered <= flight.captured_ns + budget_ns
        total_ms = None if flight.lost else (flight.left_ns - flight.captured_ns) / NS_PER_MS
        at_ms = (flight.captured_ns - began_ns) / NS_PER_MS
        found.append(Miss(flight.index, at_ms, total_ms, covered / NS_PER_MS, excused))
    return tuple(found)


def stalled_share(stalls: Iterable[Oversleep], began_ns: int, ended_ns: int) -> float:
    """The share of the time from began_ns to ended_ns in which at least one probe was stalled."""
    if ended_ns <= began_ns:
        return 0.0
    covered, until = 0, began_ns
    for stall in sorted(stalls, key=lambda stall: stall.due_ns):
        start, end = max(stall.due_ns, until), min(stall.woke_ns, ended_ns)
        if end > start:
            covered += end - start
            until = end
    return covered / (ended_ns - began_ns)


def _overlap(flight: Flight, stall: Oversleep) -> int:
    return max(min(flight.left_ns, stall.woke_ns) - max(flight.captured_ns, stall.due_ns), 0)
