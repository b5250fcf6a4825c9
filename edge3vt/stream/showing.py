"""What a frame leaves with: the newest mask that holds for it, its age, what the status line says, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edge3vt.core.clock import NS_PER_MS, Clock
from edge3vt.core.frame import Crop, Frame, Pixels
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict
from edge3vt.picture.crop import acquire
from edge3vt.stream.gate import Gate, GateRules, sound
from edge3vt.stream.lane import Lane, LaneResult
from edge3vt.stream.telemetry import Ledger
from edge3vt.stream.tracking import CropPolicy, Tracker
from edge3vt.stream.watch import Seen

OLDEST_SHOWN_NS = 100 * NS_PER_MS
"""A mask older than this is not drawn: a quarter of a beat at 150 a minute."""
NORMAL_PERIODS = 2.5
"""A mask of the last two frames is as fresh as a look at the whole region, or a busy moment, leaves it."""
FAILURES_TO_OFF = 5

Compose = Callable[[Segmentation], Pixels]


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """A frame in the loop. seen_ns: when the loop took it; said: what the watch says of its picture."""

    frame: Frame
    seen_ns: int
    said: Seen


class Showing:
    """Judges results and makes Segmentations. budget_ns: None offline. Not for more than one thread."""

    def __init__(
        self,
        lane: Lane,
        compose: Compose | None,
        clock: Clock,
        budget_ns: int | None,
        *,
        rules: GateRules | None = None,
        ledger: Ledger | None = None,
        policy: CropPolicy = "acquire",
        tell: Callable[[], tuple[str, ...]] = tuple,
        results: Callable[[LaneResult], None] = lambda result: None,
    ) -> None:
        self._lane, self._compose, self._clock, self._budget_ns, self._tell = lane, compose, clock, budget_ns, tell
        self._results = results
        self._gate = Gate(lane.spec.classes, rules)
        self._tracker = Tracker(lane.spec.width, lane.spec.classes, policy)
        self.ledger = ledger or Ledger(None if budget_ns is None else budget_ns / NS_PER_MS)
        self._offered: Frame | None = None
        self._last: LaneResult | None = None
        self._newest: LaneResult | None = None
        self._made_by = lane.spec  # of the engine that gave the newest mask
        self._withheld = "no mask yet"
        self._failures = 0
        self.off = ""
        """Why the AI rests by the loop's own decision, as a code for the status line."""

    def crop(self, frame: Frame) -> Crop:
        """Where the engine is to look in a frame that is offered now."""
        self._offered = frame
        return self._tracker.crop(frame)

    def has(self, repeated: int) -> bool:
        """Whether the newest mask is of the picture that the frame of that index was the first to show."""
        newest = self._newest
        if newest is None or newest.mask is None or self._lane.spec is not self._made_by:
            return False
        return newest.index >= repeated

    def judge(self, result: LaneResult) -> LaneResult:
        """Take the result of the frame that was offered last; what no working engine gives comes back as an error."""
        frame = self._offered
        assert frame is not None, "a result follows an offer"
        result = self._last = sound(result, len(self._lane.spec.classes))
        self._results(result)
        self._failures = self._failures + 1 if result.error else 0
        scale, whole_px = frame.mm_per_px, acquire(frame, self._lane.spec.width).side
        doubt = self._gate.doubt(result, scale, whole_px)
        if self._tracker.take(result, not doubt):
            self._newest, self._made_by = result, self._lane.spec
            self._withheld = self._gate.judge(result, scale, whole_px, doubt)
        return result

    def segmentation(
        self, arrived: Arrived, verdict: Verdict, reason: str, period_ns: float = 0.0, notice: State | None = None
    ) -> Segmentation:
        """Compose and account for one frame that leaves now.

        period_ns: between frames. notice: the frame is not new, but leaves again to say this of its source.
        """
        frame, said = arrived.frame, arrived.said
        newest = self._newest if self._newest is not None and self._newest.epoch == frame.epoch else None
        if newest is not None and newest.mask is not None and self._lane.spec is not self._made_by:
            newest = None  # rule R2: nothing of the engine before is drawn
        state, code, withheld = self._state(frame, said, newest, period_ns)
        if notice is not None:
            state, code, withheld, newest = notice, "", notice.value.lower(), None
        # Offline the clip's own times say nothing of latency: it counts from when the frame was read.
        origin_ns = frame.captured_ns if self._budget_ns is not None else arrived.seen_ns
        timing = Timing(age_ns=arrived.seen_ns - origin_ns)
        last = self._last
        if last is not None and (last.index, last.epoch) == (frame.index, frame.epoch) and notice is None:
            timing = replace(timing, prepare_ns=last.prepare_ns, infer_ns=last.infer_ns, mask_ns=last.mask_ns)
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
            model_id=newest.model_id if newest is not None else self._lane.spec.model_id,
            timing=timing,
            code=code,
            notes=self._tell(),
        )
        begun_ns = self._clock.now_ns()
        # The picture carries its own latency as it is when drawing begins.
        seg = replace(seg, timing=replace(timing, total_ns=begun_ns - origin_ns))
        picture = self._compose(seg) if self._compose else None
        done_ns = self._clock.now_ns()
        timing = replace(timing, compose_ns=done_ns - begun_ns, total_ns=done_ns - origin_ns)
        late = self._budget_ns is not None and notice is None and timing.total_ns > self._budget_ns
        seg = replace(seg, picture=picture, timing=timing, emitted_late=late)
        if notice is None:
            self.ledger.emitted(seg)
        else:
            self.ledger.noticed(notice)
        return seg

    def _state(self, frame: Frame, said: Seen, newest: LaneResult | None, period_ns: float) -> tuple[State, str, str]:
        """The status line's state and code, and why no mask is drawn, empty where one may be."""
        withheld = self._withheld if newest is not None else "no mask yet"
        age_ns = 0 if newest is None else frame.captured_ns - newest.captured_ns
        state, code = State.LIVE, self.off or self._lane.off
        if not code and self._failures >= FAILURES_TO_OFF:
            code = "FAILING"
        if code:
            state, withheld = State.AI_OFF, newest.error if newest is not None and newest.error else "AI is off"
        elif newest is not None and newest.error:
            state, withheld = State.AI_INVALID, newest.error
        elif newest is not None and newest.index < (frame.index if frame.repeat_of is None else frame.repeat_of):
            if age_ns > NORMAL_PERIODS * period_ns:
                state = State.AI_LATE
            if not withheld and age_ns > OLDEST_SHOWN_NS:
                withheld = "mask too old"
        if said.state is not None:
            state, code = said.state, ""
        return state, code, said.withheld or withheld
