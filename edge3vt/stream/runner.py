"""The live loop: a shell around the pure deadline, watch and ladder, the lane and the source."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import Literal

from edge3vt.core.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import UNCONFIRMED, Segmentation, State, Verdict
from edge3vt.picture.draw import Period
from edge3vt.stream.deadline import Captured, Composed, Deadline, Emit, Event, Finished, Offer
from edge3vt.stream.gate import GateRules
from edge3vt.stream.intake import Intake
from edge3vt.stream.ladder import Judged, Move, Rung, Steps
from edge3vt.stream.lane import Lane, LaneResult
from edge3vt.stream.profile import Framing
from edge3vt.stream.showing import Arrived, Compose, Showing
from edge3vt.stream.telemetry import Ledger
from edge3vt.stream.tracking import CropPolicy
from edge3vt.stream.watch import Seen, Watch

AGAIN_NS = NS_PER_S
"""A source that stays silent is said to be so this often: whoever waits for pictures sees that the loop lives."""
EVERY_SECOND, RESTS = "every second frame", "AI off"
"""Reasons of frames that the ladder keeps from the engine: they say nothing of it."""
Sync = Literal["passthrough", "lockstep"]


def stream(
    frames: Iterable[Frame],
    lane: Lane,
    budget_ms: float = 16.7,
    *,
    sync: Sync = "passthrough",
    policy: CropPolicy = "acquire",
    compose: Compose | None = None,
    rules: GateRules | None = None,
    framing: Framing | None = None,
    watch: Watch | None = None,
    ladder: Steps | None = None,
    moved: Callable[[Move], None] = lambda move: None,
    tell: Callable[[], tuple[str, ...]] = tuple,
    results: Callable[[LaneResult], None] = lambda result: None,
    ledger: Ledger | None = None,
    clock: Clock | None = None,
) -> Iterator[Segmentation]:
    """Every frame of a live source, out by capture + budget, with its own mask, an older one, or none.

    frames are read in a thread of their own. sync: passthrough gives a frame as soon as its mask is there, lockstep at
    capture + budget. policy: track looks closer where the vessels are. compose: draws the picture, within the budget.
    framing: where the ultrasound picture lies, where the source does not say. ladder: asks less of the engine while it
    is late; ``moved`` hears of it. tell: notices for the status line. results: hears of each. ledger: receives what
    happened to every frame. While the source is silent its last frame leaves again, as NO SIGNAL. Raises ConfigError
    for a budget that is not positive, and whatever the source raises.
    """
    if not budget_ms > 0:
        raise ConfigError(
            f"budget of {budget_ms} ms; expected a positive number of milliseconds, as in --budget-ms 16.7"
        )
    clock = clock or SystemClock()
    budget_ns = round(budget_ms * NS_PER_MS)
    showing = Showing(
        lane, compose, clock, budget_ns, rules=rules, ledger=ledger, policy=policy, tell=tell, results=results
    )
    entry = _Entry(framing or Framing(), watch or Watch(), ladder, moved, showing)
    core = Deadline(budget_ns, lockstep=sync == "lockstep")
    intake = Intake(frames, clock)
    waiting: dict[int, Arrived] = {}
    in_lane: int | None = None
    last: Arrived | None = None
    events: list[Event] = []
    try:
        while waiting or not intake.ended:
            # Wait for whichever can change something: the engine while it works on a waiting frame, else the source.
            wake_ns = core.wake_ns()
            if waiting and in_lane is not None:
                lane.wait(wake_ns)
                wake_ns = clock.now_ns()
            elif not waiting:
                wake_ns = entry.wake_ns()
            arrived, lost = intake.take(wake_ns)
            for _ in range(lost):
                showing.ledger.lost("loop behind the source")
            now_ns = clock.now_ns()
            for frame in arrived:
                last = entry.step(frame, now_ns)
                waiting[frame.index] = last
                events.append(Captured(frame.index, frame.captured_ns, entry.skip(last, waiting)))
            result = lane.newest()
            if in_lane is not None and result is not None and result.index == in_lane:
                result = showing.judge(result)
                events.append(Finished(result.index, result.done_ns, failed=result.mask is None))
                entry.judged(result.infer_ns if result.mask is not None else None)
                in_lane = None
            actions, events = core.step(events, clock.now_ns()), []
            for action in actions:
                match action:
                    case Offer(index):
                        frame = waiting[index].frame
                        lane.offer(frame, showing.crop(frame))
                        in_lane = index
                    case Emit(index, verdict, reason):
                        leaving = waiting.pop(index)
                        judged = not lane.off and reason not in (EVERY_SECOND, RESTS)
                        entry.left(leaving, verdict, judged, clock.now_ns())
                        seg = showing.segmentation(leaving, verdict, reason, entry.period.ns)
                        events.append(Composed(seg.timing.compose_ns))
                        yield seg
            if not waiting and not intake.ended and (silent := entry.silence(clock.now_ns())) and last is not None:
                gone = replace(last, said=silent)
                yield showing.segmentation(gone, Verdict.SKIPPED, "no signal", notice=State.NO_SIGNAL)
    finally:
        intake.stop()


def offline(
    frames: Iterable[Frame],
    lane: Lane,
    *,
    policy: CropPolicy = "acquire",
    compose: Compose | None = None,
    rules: GateRules | None = None,
    framing: Framing | None = None,
    watch: Watch | None = None,
    tell: Callable[[], tuple[str, ...]] = tuple,
    results: Callable[[LaneResult], None] = lambda result: None,
    ledger: Ledger | None = None,
    clock: Clock | None = None,
) -> Iterator[Segmentation]:
    """Every frame in order, each with its own mask, however long it takes; time is the frames' own."""
    clock = clock or SystemClock()
    showing = Showing(lane, compose, clock, None, rules=rules, ledger=ledger, policy=policy, tell=tell, results=results)
    entry = _Entry(framing or Framing(), watch or Watch(), None, lambda move: None, showing)
    for frame in frames:
        seen_ns = clock.now_ns()
        arrived = replace(entry.step(frame, frame.captured_ns), seen_ns=seen_ns)
        lane.offer(arrived.frame, showing.crop(arrived.frame))
        lane.wait(None)
        result = lane.newest()
        assert result is not None, "wait returned, so there is a result"
        failed = showing.judge(result).mask is None
        verdict = Verdict.SKIPPED if failed else Verdict.ON_TIME
        yield showing.segmentation(arrived, verdict, "engine failed" if failed else "", entry.period.ns)


class _Entry:
    """What happens to a frame on its way in: its region, what the watch says, and whether the engine is for it."""

    def __init__(
        self,
        framing: Framing,
        watch: Watch,
        ladder: Steps | None,
        moved: Callable[[Move], None],
        showing: Showing,
    ) -> None:
        self._framing, self.watch, self._ladder, self._moved, self._showing = framing, watch, ladder, moved, showing
        self.period = Period()  # by capture times: a loop that was late itself must not find old masks fresh
        self._infer_ns: int | None = None
        self._told_ns: int | None = None

    def step(self, frame: Frame, now_ns: int) -> Arrived:
        self._told_ns = None
        framed = self._framing.step(frame)
        said = self.watch.step(framed, now_ns)
        if said.changed.startswith(("format", "layout", "signal", "source")):  # the region may be another one
            self._framing.renew()
            framed = self._framing.step(frame)
        if self._framing.unconfirmed and not said.withheld:
            said = replace(said, withheld=UNCONFIRMED)
        here = replace(framed, epoch=said.epoch, repeat_of=said.repeat_of)
        self.period.add(here)
        return Arrived(here, now_ns, said)

    def skip(self, arrived: Arrived, waiting: Collection[int]) -> str:
        """Why this frame is not for the engine, else empty; a repeated picture is, where it has no mask yet."""
        repeated = arrived.said.repeat_of
        if arrived.said.withheld:
            return arrived.said.withheld
        if repeated is not None and (repeated in waiting or self._showing.has(repeated)):
            return "repeated picture"
        rung = self._ladder.rung if self._ladder else Rung.FULL
        self._showing.off = self._ladder.code if self._ladder and rung is Rung.OFF else ""
        if rung is Rung.OFF:
            return RESTS
        return EVERY_SECOND if rung is Rung.ALTERNATE and arrived.frame.index % 2 else ""

    def judged(self, infer_ns: int | None) -> None:
        self._infer_ns = infer_ns

    def left(self, arrived: Arrived, verdict: Verdict, judged: bool, now_ns: int) -> None:
        """A frame leaves: the ladder hears whether its own mask was there, where it was ``judged`` at all."""
        if self._ladder is None:
            return
        events = []
        if judged and arrived.said.worth_inferring:
            age_ns = arrived.seen_ns - arrived.frame.captured_ns
            events.append(Judged(verdict is Verdict.ON_TIME, self._infer_ns, age_ns))
        if (move := self._ladder.step(events, now_ns)) is not None:
            self._moved(move)

    def wake_ns(self) -> int | None:
        """When ``silence`` has something to say if nothing comes."""
        return self.watch.wake_ns() if self._told_ns is None else self._told_ns + AGAIN_NS

    def silence(self, now_ns: int) -> Seen | None:
        """What is to be said of a source that has fallen silent, at once and then every AGAIN_NS."""
        if self._told_ns is not None and now_ns - self._told_ns < AGAIN_NS:
            return None
        said = self.watch.silence(now_ns)
        if said is not None:
            self._told_ns = now_ns
        return said
