"""Drills of the source: unplugged, hanging, another rate, another size, corrupt, black and frozen pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge3vt.bench.engine_drills import OpenLane, raw_first, scripted, stale
from edge3vt.bench.findings import Finding
from edge3vt.bench.oracle import Sight
from edge3vt.bench.rig import CLOCK, PERIOD_MS, SIZES, Seen, pattern, watch
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.segmentation import State
from edge3vt.stream.sources import Source
from edge3vt.stream.sources.test import Pattern, PatternSource
from edge3vt.stream.telemetry import Ledger

if TYPE_CHECKING:
    from edge3vt.stream.sources.remote import RemoteSource

SEEN_MS, LIVE_MS, FROZEN_MS, RESPAWN_MS = 250, 500, 1100, 2000
GAPS_S = (0.3, 1.0, 0.25, 5.0, 0.6)
"""How long the source is away, in turn; a shorter gap than the loss window is not to be noticed."""
LIVE_S = 1.2
WAITING = 8
"""Frames that may be on their way when a run is broken off: four in the mailbox, as many in the loop."""
BIG = SIZES[1]


def opened(asked: Pattern) -> Source:
    """A scripted source, opened in a process of its own."""
    return PatternSource(asked, SystemClock())


def _remote(asked: Pattern, device: Path | None = None) -> RemoteSource:
    """The source in a process of its own, kept open."""
    from edge3vt.stream.sources.remote import RemoteSource

    return RemoteSource(partial(opened, asked), CLOCK, device=device)


def unplugged(open_lane: OpenLane, cycles: int, folder: Path, gaps_s: tuple[float, ...] = GAPS_S) -> list[Finding]:
    """The device goes and comes, so many times."""
    device = folder / "device"
    device.touch()
    gone: list[int] = []
    there: list[int] = []
    files: list[int] = []
    script: list[tuple[float, Callable[[], object]]] = []
    at_s = LIVE_S

    def unplug() -> None:
        files.append(_open_files())
        device.unlink()
        gone.append(CLOCK.now_ns())

    def plug_in() -> None:
        device.touch()
        there.append(CLOCK.now_ns())

    for cycle in range(cycles):
        script += [(at_s, unplug), (at_s + gaps_s[cycle % len(gaps_s)], plug_in)]
        at_s += gaps_s[cycle % len(gaps_s)] + LIVE_S
    source = _remote(pattern(None, present=device), device)
    script += [(at_s, lambda: files.append(_open_files())), (at_s, source.close)]
    seen = _watched(source, open_lane, script)
    said = [_ms(a, next((s for s in _between(seen, a, b) if s.lost), None)) for a, b in zip(gone, there, strict=False)]
    live = [
        _ms(b, next((s for s in _between(seen, b, None) if s.code is not None and s.code >= b // NS_PER_MS), None))
        for b in there
    ]
    crossed = sum(
        any(s.origin < b // NS_PER_MS <= s.code for b in there)
        for s in seen.sights
        if s.origin is not None and s.code is not None
    )
    return [
        Finding("unplugged", "P3", "loss said on the picture after, longest", _longest(said, cycles), SEEN_MS, "ms"),
        Finding("unplugged", "P2", "masks from before the loss", crossed),
        Finding("unplugged", "P8", "open files more than before", files[-1] - files[0] if files else None),
        stale("unplugged", seen),
        Finding(
            "unplugged", "P3", f"live after the return, longest of {cycles}", _longest(live, cycles), LIVE_MS, "ms"
        ),
    ]


def hanging(open_lane: OpenLane, seconds: float, after_s: float = 2.0) -> list[Finding]:
    """Reading hangs after_s after every opening: the process is killed, another one reads on."""
    source = _remote(pattern(None, f"hang@{after_s:g}"))
    seen = _watched(source, open_lane, [(seconds, source.close)])
    said, back = [], []
    for before, after in zip(seen.sights, seen.sights[1:], strict=False):
        if after.lost and not before.lost:
            said.append((after.at_ns - before.at_ns) / NS_PER_MS)
        elif before.lost and not after.lost:
            back.append((after.at_ns - before.at_ns) / NS_PER_MS)
    return [
        Finding("source-hang", "P3", "loss said on the picture after, longest", _longest(said, 1), SEEN_MS, "ms"),
        Finding("source-hang", "P3", "times it was read again", len(back), 1, least=True),
        stale("source-hang", seen),
        Finding("source-hang", "P3", "live after it was said, longest", _longest(back, 1), RESPAWN_MS, "ms"),
    ]


def rate_jumps(open_lane: OpenLane, seconds: float) -> list[Finding]:
    """60, 15, 120 Hz and a pause of half a second, each for a quarter of the time."""
    part = seconds / 4
    faults = f"rate@{part:g}:15,rate@{2 * part:g}:120,gap@{3 * part:g}-{3 * part + 0.5:g}"
    lane, ledger = open_lane(scripted()), Ledger(PERIOD_MS)
    try:
        seen = watch(PatternSource(pattern(None, faults), CLOCK), lane, ledger=ledger, most_s=seconds)
    finally:
        lane.close()
    counts = ledger.counts()
    losses = sum(b.lost and not a.lost for a, b in zip(seen.sights, seen.sights[1:], strict=False))
    return [
        Finding(
            "rate-jumps",
            "P1",
            "frames neither shown nor counted as dropped",
            len(seen.given) - counts["frames"],
            WAITING,
        ),
        *raw_first("rate-jumps", seen, 1000 / 15)[3:],
        Finding("rate-jumps", "P3", "NO SIGNAL in two jumps and a pause", losses, 3),
    ]


def sizes(open_lane: OpenLane, seconds: float) -> list[Finding]:
    """The picture becomes 800x600 and 640x480 again."""
    faults = f"size@{seconds / 3:g}:{BIG[0]}x{BIG[1]},size@{2 * seconds / 3:g}:640x480"
    lane, ledger = open_lane(scripted()), Ledger(PERIOD_MS)
    try:
        seen = watch(PatternSource(pattern(seconds, faults), CLOCK), lane, ledger=ledger)
    finally:
        lane.close()
    begun = seen.began_ns
    notices = [
        _ms(
            begun + round(part * seconds / 3 * NS_PER_S),
            next(
                (
                    s
                    for s in _between(seen, begun + round(part * seconds / 3 * NS_PER_S), None)
                    if s.said is State.FORMAT_CHANGED
                ),
                None,
            ),
        )
        for part in (1, 2)
    ]
    own = sum(s.age_ms is not None for s in seen.sights) / max(len(seen.sights), 1)
    return [
        *raw_first("sizes", seen),
        Finding("sizes", "P2", "pictures with a mask", 100 * own, 30, "%", least=True),
        Finding("sizes", "P3", "FORMAT CHANGED said after, longest of 2", _longest(notices, 2), SEEN_MS, "ms"),
    ]


def corrupt(open_lane: OpenLane, seconds: float) -> list[Finding]:
    """Buffers that are too short, for a third of the time."""
    source = _remote(pattern(None, f"corrupt@{seconds / 3:g}-{2 * seconds / 3:g}"))
    seen = _watched(source, open_lane, [(seconds, source.close)])
    unread = sum(sight.code is None for sight in seen.sights)
    after = sum(s.age_ms is not None for s in seen.sights if s.at_ns > seen.began_ns + 0.75 * seconds * NS_PER_S)
    return [
        Finding("corrupt", "P6", "corrupt frames counted", sum(source.corrupt.values()), 15 * seconds, least=True),
        Finding("corrupt", "P6", "torn pictures shown", unread),
        stale("corrupt", seen),
        Finding("corrupt", "P6", "pictures with a mask afterwards", after, 5 * seconds, least=True),
    ]


def still(open_lane: OpenLane, seconds: float) -> list[Finding]:
    """Black for a fifth of the time, and later the same picture again and again."""
    fifth = seconds / 5
    faults = f"black@{fifth:g}-{2 * fifth:g},frozen@{3 * fifth:g}-{5 * fifth:g}"
    lane, ledger = open_lane(scripted()), Ledger(PERIOD_MS)
    try:
        seen = watch(PatternSource(pattern(seconds, faults), CLOCK), lane, ledger=ledger)
    finally:
        lane.close()
    black = [s for s in seen.sights if s.code is None]
    black_said = _ms(black[0].at_ns, next((s for s in black if s.said is State.BLACK), None)) if black else None
    frozen = _repeats(seen)
    first = next((s for s in frozen if s.said is State.FROZEN), None)
    frozen_said = _ms(frozen[0].at_ns, first) if frozen else None
    drawn = [s for s in frozen if first is not None and s.at_ns >= first.at_ns and s.drawn]
    return [
        Finding("still", "P2", "masks on black pictures", sum(s.drawn for s in black) if black else None),
        Finding("still", "P2", "masks on a picture said to be frozen", len(drawn) if first else None),
        Finding("still", "P3", "BLACK said after", black_said, SEEN_MS, "ms"),
        Finding("still", "P3", "FROZEN? said after", frozen_said, FROZEN_MS, "ms"),
    ]


def _watched(source: RemoteSource, open_lane: OpenLane, script: list[tuple[float, Callable[[], object]]]) -> Seen:
    lane = open_lane(scripted())
    try:
        return watch(source, lane, originals=False, script=script, ledger=Ledger(PERIOD_MS))
    finally:
        source.close()
        lane.close()


def _repeats(seen: Seen) -> list[Sight]:
    """The pictures of the last code, from its second showing on."""
    codes = [s.code for s in seen.sights if s.code is not None]
    return [s for s in seen.sights if s.code == codes[-1]][1:] if codes else []


def _between(seen: Seen, from_ns: int, until_ns: int | None) -> list[Sight]:
    return [s for s in seen.sights if s.at_ns >= from_ns and (until_ns is None or s.at_ns < until_ns)]


def _ms(from_ns: int, sight: Sight | None) -> float | None:
    return None if sight is None else (sight.at_ns - from_ns) / NS_PER_MS


def _longest(values: list[float | None] | list[float], expected: int) -> float | None:
    """None, which fails, where one was never seen."""
    known = [value for value in values if value is not None]
    return max(known) if len(known) >= expected and len(known) == len(values) else None


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
