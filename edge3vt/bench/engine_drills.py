"""Drills of the engine: it slows down, gives garbage, hangs, crashes, crashes for ever; the picture must not notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from edge3vt.bench.findings import Finding
from edge3vt.bench.oracle import SPEC, Sight, wrong
from edge3vt.bench.rig import PERIOD_MS, RATE_HZ, Seen, pattern, watch
from edge3vt.core.clock import NS_PER_MS, SystemClock
from edge3vt.core.latency import percentile
from edge3vt.core.segmentation import State
from edge3vt.core.session import Session
from edge3vt.engine.fake import FakeSession, Fault
from edge3vt.stream.lane import Lane
from edge3vt.stream.sources.test import PatternSource
from edge3vt.stream.supervised import SupervisedLane

OpenLane = Callable[[Callable[[], Session]], Lane]
BROKEN_AT = 60
"""The run of the engine with which the fault begins: after a second of good masks."""
WARM_UP_S = 1.0
"""Of a scripted engine that is opened anew."""


def scripted(
    latency_ms: float | tuple[float, ...] = 3.0,
    faults: Mapping[int, Fault] | None = None,
    start: Fault | None = None,
) -> Callable[[], Session]:
    """A picklable opener of an engine with this script."""
    return partial(FakeSession, SPEC, SystemClock(), latency_ms=latency_ms, faults=faults, start=start)


def ramp(open_lane: OpenLane, seconds: float) -> list[Finding]:
    """The engine needs 5 ms, then ever more, up to 80 ms."""
    runs = max(round(20 * seconds), 2)
    latencies = tuple(5 + 75 * min(i / runs, 1) for i in range(20 * runs))
    seen, _ = _run(open_lane, scripted(latencies), seconds)
    found = raw_first("engine-slow", seen)
    drawn = sum(sight.drawn for sight in seen.sights)
    return [*found, Finding("engine-slow", "P2", "pictures with a mask", drawn, RATE_HZ / 2, least=True)]


def garbage(open_lane: OpenLane, seconds: float, kind: Fault) -> list[Finding]:
    """From one run on the engine gives NaN, one class everywhere, another shape."""
    drill = f"engine-{kind}"
    seen, _ = _run(open_lane, scripted(faults=dict.fromkeys(range(BROKEN_AT, 1 << 16), kind)), seconds)
    begin_ns = _begin_ns(seen)
    said = next((sight for sight in seen.sights if begin_ns and sight.at_ns >= begin_ns and sight.ai_gone), None)
    after = [sight for sight in seen.sights if said is not None and sight.at_ns >= said.at_ns]
    return [
        *raw_first(drill, seen),
        Finding(drill, "P2", "good masks before it", _good(seen), BROKEN_AT / 6, least=True),
        Finding(drill, "P2", "masks drawn once it is said", sum(sight.drawn for sight in after) if after else None),
        Finding(drill, "P4", "said on the picture after", _since(begin_ns, said), 250, "ms"),
    ]


def outage(open_lane: OpenLane, seconds: float, kind: Fault) -> list[Finding]:
    """The engine hangs or ends once; said within 250 ms, and a new one gives masks within 2 s and its warm-up."""
    drill = "engine-hang" if kind in ("hang", "gil") else "engine-crash"
    seen, _ = _run(open_lane, scripted(faults={BROKEN_AT: kind}), seconds)
    begin_ns = _begin_ns(seen)
    said = next((sight for sight in seen.sights if begin_ns and sight.at_ns >= begin_ns and sight.ai_gone), None)
    back = next((s for s in seen.sights if said and begin_ns and s.at_ns > said.at_ns and _after(s, begin_ns)), None)
    return [
        *raw_first(drill, seen),
        Finding(drill, "P4", "said on the picture after", _since(begin_ns, said), 250, "ms"),
        Finding(drill, "P4", "masks again after", _since(begin_ns, back), 1000 * (2 + WARM_UP_S), "ms"),
    ]


def crash_loop(open_lane: OpenLane, seconds: float) -> list[Finding]:
    """Every engine ends at its third run: five restarts, then AI OFF for good, and the picture goes on."""
    drill = "crash-loop"
    seen, restarts = _run(open_lane, scripted(faults={2: "exit"}), seconds)
    ends = [sight.said is State.AI_OFF for sight in seen.sights[-round(RATE_HZ / 2) :]]
    red = 100 * sum(ends) / len(ends) if ends else None
    return [
        *raw_first(drill, seen),
        Finding(drill, "P4", "restarts in 60 s", restarts, 5),
        Finding(drill, "P4", "given up at the end: pictures that say so", red, 100, "%", least=True),
    ]


def raw_first(drill: str, seen: Seen, longest_period_ms: float = PERIOD_MS) -> list[Finding]:
    """P1 and P2 of any run whose source is in this process."""
    codes = {sight.code for sight in seen.sights}
    lost = 100 * (1 - len(codes & seen.given.keys()) / len(seen.given)) if seen.given else None
    delays = seen.delays_ms
    highest = next(
        ((f"p{p:g}", value) for p in (99.9, 99, 90) if (value := percentile(delays, p)) is not None),
        ("longest", max(delays, default=None)),
    )
    first = {sight.code: sight for sight in reversed(seen.sights)}  # a last picture leaves again under a banner
    compared = [sight.altered for sight in first.values() if sight.altered is not None]
    return [
        Finding(drill, "P1", "frames of the source that never left", lost, 1, "%"),
        Finding(drill, "P1", f"delay of the picture, {highest[0]} of {len(delays)}", highest[1], PERIOD_MS, "ms"),
        Finding(drill, "P1", "pictures that nobody compared", len(first) - len(compared) + seen.unseen),
        Finding(drill, "P1", "pictures altered outside overlay and status", _altered(compared)),
        stale(drill, seen, longest_period_ms),
    ]


def _altered(compared: list[int]) -> int | None:
    return sum(pixels > 0 for pixels in compared) if compared else None


def stale(drill: str, seen: Seen, longest_period_ms: float = PERIOD_MS) -> Finding:
    """P2: overlays that rule R2 forbids."""
    bad = [why for sight in seen.sights if (why := wrong(sight, longest_period_ms))]
    return Finding(drill, "P2", f"stale or false masks{': ' + bad[0] if bad else ''}", len(bad))


def _run(open_lane: OpenLane, open_session: Callable[[], Session], seconds: float) -> tuple[Seen, int | None]:
    """And how often a process was replaced; None from a lane that replaces none."""
    lane = open_lane(open_session)
    try:
        seen = watch(PatternSource(pattern(seconds), SystemClock()), lane)
        return seen, sum(lane.restarts.values()) if isinstance(lane, SupervisedLane) else None
    finally:
        lane.close()


def _good(seen: Seen) -> int:
    return sum(sight.age_ms is not None and not wrong(sight, PERIOD_MS) for sight in seen.sights)


def _begin_ns(seen: Seen) -> int | None:
    """When the fault began: a period after the last picture of which there was a mask before AI was said to be gone."""
    origins: list[int] = []
    for sight in seen.sights:
        if origins and sight.ai_gone:
            break
        if sight.origin is not None:
            origins.append(sight.origin)
    return round((max(origins) + PERIOD_MS) * NS_PER_MS) if origins else None


def _after(sight: Sight, begin_ns: int) -> bool:
    """Its mask is of a frame that came after the fault."""
    return sight.origin is not None and sight.origin * NS_PER_MS >= begin_ns


def _since(from_ns: int | None, sight: Sight | None) -> float | None:
    return None if from_ns is None or sight is None else (sight.at_ns - from_ns) / NS_PER_MS
