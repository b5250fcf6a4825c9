"""Promise P2 in compressed time: the pure deadline and the loop's showing, an engine and a source that misbehave.

    python -m edge3vt.bench.staleness 1000000 benchmarks/results/drills/staleness.json

Latencies, hangs, crashes, garbage, gaps and new epochs come at random, by a seed. Every mask holds the number of the
frame that it was made of in its cells, so that nothing the loop says of a mask's age is believed.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from edge3vt.bench.findings import Finding, lines, record_of, write_record
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, ManualClock
from edge3vt.core.errors import Edge3vtError
from edge3vt.core.frame import Crop, Frame, Pixels
from edge3vt.core.segmentation import Mask, Segmentation, State
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.draw import Period
from edge3vt.stream.deadline import Action, Captured, Composed, Deadline, Emit, Event, Finished, Offer
from edge3vt.stream.lane import LaneResult, failed
from edge3vt.stream.showing import Arrived, Showing
from edge3vt.stream.watch import Seen

SPEC = ModelSpec(1, "scripted", "1", ("background", "bright"), 8, 8, 4, True, True, "")
PICTURE = np.zeros((8, 8), np.uint8)
PERIOD_NS = NS_PER_S // 60
BUDGET_NS = round(16.7 * NS_PER_MS)
OLDEST_NS = 100 * NS_PER_MS
UNMARKED_PERIODS = 2.75
"""Two periods are normal; the loop marks from 2.5 of its own mean on, which follows captures that vary."""
HANG_SHOWN_NS, HANG_KILLED_NS = 250 * NS_PER_MS, NS_PER_S


@dataclass(slots=True)
class Counts:
    """What happened in frames. unmarked, too_old, crossed (another epoch), later: the promise forbids."""

    frames: int = 0
    shown: int = 0
    marked: int = 0
    unmarked: int = 0
    too_old: int = 0
    crossed: int = 0
    later: int = 0
    oldest_ns: int = 0
    hangs: int = 0
    crashes: int = 0
    garbage: int = 0
    epochs: int = 0
    gaps: int = 0


class _Engine:
    """A lane without thread or process: its results come when they are due."""

    spec = SPEC

    def __init__(self, chance: Random, counts: Counts) -> None:
        self._chance, self._counts = chance, counts
        self._due: tuple[int, LaneResult] | None = None
        self._off_from_ns = self._off_until_ns = 0
        self._code = self.off = ""

    def turn(self, now_ns: int) -> None:
        self.off = self._code if self._off_from_ns <= now_ns < self._off_until_ns else ""

    def offer(self, frame: Frame, crop: Crop, now_ns: int) -> None:
        self.turn(now_ns)
        chance, fate = self._chance, self._chance.random()
        if self.off:
            self._due = now_ns, failed(frame, crop, now_ns, SPEC.model_id, self.off)
        elif fate < 1 / 3000:
            self._counts.hangs += 1
            end_ns = now_ns + HANG_KILLED_NS
            self._break("HANG", now_ns + HANG_SHOWN_NS, end_ns + round(chance.uniform(0, 0.5) * NS_PER_S))
            self._due = end_ns, failed(frame, crop, end_ns, SPEC.model_id, "HANG")
        elif fate < 2 / 3000:
            self._counts.crashes += 1
            self._break("EXIT", now_ns, now_ns + round(chance.uniform(0.1, 2) * NS_PER_S))
            self._due = now_ns, failed(frame, crop, now_ns, SPEC.model_id, "EXIT")
        else:
            mean_ms = chance.choice((5, 5, 5, 5, 12, 12, 30, 70, 120))
            done_ns = now_ns + round(chance.uniform(0.5, 1.5) * mean_ms * NS_PER_MS)
            garbage = fate > 0.998
            self._counts.garbage += garbage
            mask = np.ones((8, 8), np.uint8) if garbage else mask_of(frame.index)
            self._due = done_ns, _result(frame, crop, done_ns, mask)

    def due_ns(self) -> int | None:
        return self._due[0] if self._due else None

    def take(self, now_ns: int) -> LaneResult | None:
        if self._due is None or self._due[0] > now_ns:
            return None
        (_, result), self._due = self._due, None
        return result

    def _break(self, code: str, from_ns: int, until_ns: int) -> None:
        self._code, self._off_from_ns, self._off_until_ns = code, from_ns, until_ns


def mask_of(index: int) -> Mask:
    """32 of 64 cells hold the number's bits."""
    bits = np.unpackbits(np.array([index], ">u4").view(np.uint8))
    return np.concatenate([bits, np.zeros(32, np.uint8)]).reshape(8, 8)


def origin_of(mask: Mask) -> int:
    return int(np.packbits(mask.reshape(-1)[:32]).view(">u4")[0])


def simulate(frames: int, seed: int = 1) -> Counts:
    """So many frames of a 60 Hz source through the loop's own deciding parts."""
    chance, counts, clock = Random(seed), Counts(), ManualClock(NS_PER_S)
    engine = _Engine(chance, counts)

    def compose(seg: Segmentation) -> Pixels:
        clock.advance_ms(chance.uniform(1, 4))
        return PICTURE

    showing = Showing(engine, compose, clock, BUDGET_NS)  # type: ignore[arg-type]  # offered to with the time
    core, period = Deadline(BUDGET_NS), Period()
    judge = _Judge(counts)
    waiting: dict[int, Arrived] = {}
    coming = _source(frames, chance, counts)
    mailbox: deque[Frame] = deque(maxlen=4)
    upcoming = next(coming, None)
    in_lane: int | None = None
    events: list[Event] = []
    while upcoming is not None or waiting:
        wakes = [core.wake_ns(), engine.due_ns(), upcoming.captured_ns if upcoming else None]
        late_ns = round(chance.choice((0.05, 0.2, 0.2, 1, 3, 3, chance.choice((0, 0, 0, 40)))) * NS_PER_MS)
        clock.sleep_until_ns(min(wake for wake in wakes if wake is not None) + late_ns)
        now_ns = clock.now_ns()
        engine.turn(now_ns)
        while upcoming is not None and upcoming.captured_ns <= now_ns:
            mailbox.append(upcoming)
            upcoming = next(coming, None)
        for frame in mailbox:
            period.add(frame)
            judge.came(frame)
            waiting[frame.index] = Arrived(frame, now_ns, Seen(None, None, frame.epoch))
            events.append(Captured(frame.index, frame.captured_ns))
        mailbox.clear()
        result = engine.take(now_ns)
        if result is not None and result.index == in_lane:
            result = showing.judge(result)
            events.append(Finished(result.index, result.done_ns, failed=result.mask is None))
            in_lane = None
        actions: list[Action] = core.step(events, now_ns)
        events = []
        for action in actions:
            match action:
                case Offer(index):
                    frame = waiting[index].frame
                    engine.offer(frame, showing.crop(frame), clock.now_ns())
                    in_lane = index
                case Emit(index, verdict, reason):
                    seg = showing.segmentation(waiting.pop(index), verdict, reason, period.ns)
                    events.append(Composed(seg.timing.compose_ns))
                    judge.left(seg)
    return counts


class _Judge:
    """Holds what left against what came, by the masks' own cells."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._came: dict[int, tuple[int, int]] = {}

    def came(self, frame: Frame) -> None:
        self._came[frame.index] = frame.captured_ns, frame.epoch
        self._came.pop(frame.index - 4096, None)

    def left(self, seg: Segmentation) -> None:
        counts = self._counts
        counts.frames += 1
        if not seg.shown or seg.mask is None:
            return
        counts.shown += 1
        origin = self._came.get(origin_of(seg.mask))
        if origin is None:  # of ages ago, or of no frame at all
            counts.too_old += 1
            return
        age_ns = seg.frame.captured_ns - origin[0]
        marked = seg.state is State.AI_LATE and seg.mask_age_ns == age_ns
        counts.oldest_ns = max(counts.oldest_ns, age_ns)
        counts.marked += marked
        counts.crossed += origin[1] != seg.frame.epoch
        counts.later += age_ns < 0
        counts.too_old += age_ns > OLDEST_NS
        counts.unmarked += age_ns > UNMARKED_PERIODS * PERIOD_NS and not marked


def _source(frames: int, chance: Random, counts: Counts) -> Iterator[Frame]:
    captured_ns, epoch = NS_PER_S, 0
    for index in range(frames):
        captured_ns += PERIOD_NS + round(chance.uniform(-0.5, 0.5) * NS_PER_MS)
        fate = chance.random()
        if fate < 1 / 2000:
            counts.gaps += 1
            captured_ns += round(chance.uniform(0.05, 2) * NS_PER_S)
        elif fate < 1 / 1000:
            counts.epochs += 1
            epoch += 1
        yield Frame(index, captured_ns, PICTURE, epoch=epoch)


def _result(frame: Frame, crop: Crop, done_ns: int, mask: Mask) -> LaneResult:
    return LaneResult(
        index=frame.index,
        captured_ns=frame.captured_ns,
        epoch=frame.epoch,
        done_ns=done_ns,
        crop=crop,
        mask=mask,
        scores=(1.0, 1.0),
        view=8.0,
        model_id=SPEC.model_id,
        prepare_ns=0,
        infer_ns=0,
        mask_ns=0,
    )


def findings(counts: Counts) -> list[Finding]:
    """P2, and that what it was tried against did happen."""
    enough = min(counts.hangs, counts.crashes, counts.epochs, counts.gaps, counts.garbage, counts.marked)
    return [
        Finding("staleness", "P2", f"unmarked old masks in {counts.frames:,} frames", counts.unmarked),
        Finding("staleness", "P2", "masks of another epoch, or of a later frame", counts.crossed + counts.later),
        Finding("staleness", "P2", "masks older than 100 ms", counts.too_old),
        Finding("staleness", "P2", "oldest mask shown", counts.oldest_ns / NS_PER_MS, 100, "ms"),
        Finding(
            "staleness", "P2", "hangs, crashes, garbage, gaps, epochs and marked masks each", enough, 1, least=True
        ),
        Finding("staleness", "P2", "frames with a mask", counts.shown / max(counts.frames, 1), 0.2, least=True),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m edge3vt.bench.staleness", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("frames", type=int)
    parser.add_argument("out", type=Path, nargs="?", help="the record to write, .json")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    found = findings(simulate(asked.frames, asked.seed))
    command = f"python -m edge3vt.bench.staleness {asked.frames} OUT --seed {asked.seed}"
    record = record_of(command, found)
    if asked.out:
        write_record(record, asked.out)
    print("\n".join(lines(found)))
    return 0 if record.passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Edge3vtError as error:
        print(f"staleness: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
