"""The live loop: a shell around the pure deadline, the gate, the lane and the source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from edge3vt.core.clock import NS_PER_MS, Clock, SystemClock
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Frame, Pixels
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict
from edge3vt.picture.crop import acquire
from edge3vt.stream.deadline import Captured, Composed, Deadline, Emit, EngineLost, Event, Finished, Offer
from edge3vt.stream.gate import Gate, GateRules
from edge3vt.stream.intake import Intake
from edge3vt.stream.lane import Lane, LaneResult
from edge3vt.stream.telemetry import Ledger

OLDEST_SHOWN_NS = 100 * NS_PER_MS
"""A mask older than this is not drawn: a quarter of a beat at 150 a minute."""

FAILURES_TO_OFF = 5

Compose = Callable[[Segmentation], Pixels]


def stream(
    frames: Iterable[Frame],
    lane: Lane,
    budget_ms: float = 16.7,
    *,
    compose: Compose | None = None,
    rules: GateRules | None = None,
    ledger: Ledger | None = None,
    clock: Clock | None = None,
) -> Iterator[Segmentation]:
    """Every frame of a live source, out by capture + budget, with its own mask, an older one, or none.

    frames are read in a thread of their own. compose: draws the picture, within the budget. ledger: receives what
    happened to every frame. Raises ConfigError for a budget that is not positive, and whatever the source raises.
    """
    if not budget_ms > 0:
        raise ConfigError(
            f"budget of {budget_ms} ms; expected a positive number of milliseconds, as in --budget-ms 16.7"
        )
    clock = clock or SystemClock()
    loop = _Loop(lane, Gate(lane.spec.classes, rules), compose, clock, round(budget_ms * NS_PER_MS), ledger)
    core = Deadline(loop.budget_ns)
    intake = Intake(frames, clock)
    waiting: dict[int, tuple[Frame, int]] = {}
    in_lane: int | None = None
    events: list[Event] = []
    try:
        while waiting or not intake.ended:
            # Wait for whichever can change something: the engine while it works on a waiting frame, else the source.
            wake_ns = core.wake_ns()
            if waiting and in_lane is not None:
                lane.wait(wake_ns)
            arrived, lost = intake.take(clock.now_ns() if waiting else None)
            for _ in range(lost):
                loop.ledger.lost("loop behind the source")
            for frame in arrived:
                waiting[frame.index] = frame, clock.now_ns()
                events.append(Captured(frame.index, frame.captured_ns))
            result = lane.newest()
            if in_lane is not None and result is not None and result.index == in_lane:
                loop.judge(result)
                events.append(Finished(result.index, result.done_ns, failed=result.mask is None))
                if loop.engine_lost:
                    events.append(EngineLost())
                in_lane = None
            actions, events = core.step(events, clock.now_ns()), []
            for action in actions:
                match action:
                    case Offer(index):
                        frame, _ = waiting[index]
                        lane.offer(frame, acquire(frame, lane.spec.width))
                        in_lane = index
                        loop.offered = frame
                    case Emit(index, verdict, reason):
                        seg = loop.segmentation(*waiting.pop(index), verdict, reason)
                        events.append(Composed(seg.timing.compose_ns))
                        yield seg
    finally:
        intake.stop()


def offline(
    frames: Iterable[Frame],
    lane: Lane,
    *,
    compose: Compose | None = None,
    rules: GateRules | None = None,
    ledger: Ledger | None = None,
    clock: Clock | None = None,
) -> Iterator[Segmentation]:
    """Every frame in order, each with its own mask, however long it takes."""
    clock = clock or SystemClock()
    loop = _Loop(lane, Gate(lane.spec.classes, rules), compose, clock, None, ledger)
    for frame in frames:
        seen_ns = clock.now_ns()
        loop.offered = frame
        lane.offer(frame, acquire(frame, lane.spec.width))
        lane.wait(None)
        result = lane.newest()
        assert result is not None, "wait returned, so there is a result"
        loop.judge(result)
        failed = result.mask is None
        verdict = Verdict.SKIPPED if failed else Verdict.ON_TIME
        yield loop.segmentation(frame, seen_ns, verdict, "engine failed" if failed else "")


class _Loop:
    """What both loops share: the newest mask, whether it may be shown, and the making of Segmentations."""

    def __init__(
        self,
        lane: Lane,
        gate: Gate,
        compose: Compose | None,
        clock: Clock,
        budget_ns: int | None,
        ledger: Ledger | None,
    ) -> None:
        self._lane, self._gate, self._compose, self._clock = lane, gate, compose, clock
        self._budget_ns = budget_ns
        self.ledger = ledger or Ledger(None if budget_ns is None else budget_ns / NS_PER_MS)
        self.offered: Frame | None = None
        self._newest: LaneResult | None = None
        self._withheld = "no mask yet"
        self._failures = 0

    @property
    def budget_ns(self) -> int:
        assert self._budget_ns is not None, "only the live loop has a budget"
        return self._budget_ns

    @property
    def engine_lost(self) -> bool:
        """The engine failed too often in a row to be tried again."""
        return self._failures >= FAILURES_TO_OFF

    def judge(self, result: LaneResult) -> None:
        """Take the engine's newest result."""
        assert self.offered is not None, "a result follows an offer"
        self._newest = result
        self._failures = self._failures + 1 if result.error else 0
        self._withheld = self._gate.judge(result, self.offered.mm_per_px)

    def segmentation(self, frame: Frame, seen_ns: int, verdict: Verdict, reason: str) -> Segmentation:
        """Compose and account for one frame that leaves now."""
        newest = self._newest if self._newest is not None and self._newest.epoch == frame.epoch else None
        own = newest is not None and newest.index == frame.index
        withheld = self._withheld if newest is not None else "no mask yet"
        age_ns = 0 if newest is None else frame.captured_ns - newest.captured_ns
        if newest is not None and newest.error:
            state, withheld = State.AI_OFF if self.engine_lost else State.AI_INVALID, newest.error
        elif own or newest is None:
            state = State.LIVE
        else:
            state = State.AI_LATE
            if not withheld and age_ns > OLDEST_SHOWN_NS:
                withheld = "mask too old"
        # Offline the clip's own times say nothing of latency: it counts from when the frame was read.
        origin_ns = frame.captured_ns if self._budget_ns is not None else seen_ns
        timing = Timing(age_ns=seen_ns - origin_ns)
        if own and newest is not None:
            timing = replace(timing, prepare_ns=newest.prepare_ns, infer_ns=newest.infer_ns, mask_ns=newest.mask_ns)
        has_mask = newest is not None and newest.mask is not None
        seg = Segmentation(
            frame=frame,
            mask=newest.mask if newest is not None else None,
            mask_ns=newest.captured_ns if newest is not None and has_mask else None,
            crop=newest.crop if newest is not None else None,
            verdict=verdict,
            reason=reason,
            emitted_late=False,
            state=state,
            scores=newest.scores if newest is not None else (),
            shown=has_mask and not withheld,
            withheld=withheld,
            model_id=self._lane.spec.model_id,
            timing=timing,
        )
        begun_ns = self._clock.now_ns()
        # The picture carries its own latency as it is when drawing begins.
        seg = replace(seg, timing=replace(timing, total_ns=begun_ns - origin_ns))
        picture = self._compose(seg) if self._compose else None
        done_ns = self._clock.now_ns()
        timing = replace(timing, compose_ns=done_ns - begun_ns, total_ns=done_ns - origin_ns)
        late = self._budget_ns is not None and timing.total_ns > self._budget_ns
        seg = replace(seg, picture=picture, timing=timing, emitted_late=late)
        self.ledger.emitted(seg)
        return seg
