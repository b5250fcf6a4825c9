"""What a live run tells while it lasts: its log, a line a second, Prometheus, a trace, and whether the input drifts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from edge3vt.cli.engines import ASSETS
from edge3vt.cli.output import note
from edge3vt.core.clock import Clock
from edge3vt.core.documents import read_json
from edge3vt.core.segmentation import Segmentation, State
from edge3vt.stream.descent import Descent
from edge3vt.stream.drift import Drift, InputCard
from edge3vt.stream.health import Physician
from edge3vt.stream.journal import Journal, muffled
from edge3vt.stream.ladder import Heat, Move, Rung
from edge3vt.stream.lane import LaneResult
from edge3vt.stream.metrics import Collector, MetricsServer, Ticker
from edge3vt.stream.profile import Framing
from edge3vt.stream.rows import Rows
from edge3vt.stream.seeker import Seeker
from edge3vt.stream.sinks import Sink
from edge3vt.stream.telemetry import Ledger
from edge3vt.stream.trace import Trace

RUNGS = tuple(Rung)
NOTICES = {Rung.SMALLER: "SMALLER ENGINE", Rung.ALTERNATE: "EVERY 2ND FRAME"}
REMEDY = "no overlay until it is: press R in the window, pass --accept-region, or write a profile (edge3vt profile)"
FRESH = 0.05  # of a result in the running mean of what saturates


@dataclass(frozen=True, slots=True)
class Asked:
    """Where figures go, None for nowhere: Prometheus's port, a file of JSON lines, a trace."""

    metrics_port: int | None = None
    log_lines: Path | None = None
    trace: Path | None = None


def begin_log(stack: ExitStack, clock: Clock) -> Journal:
    """The log of codes and numbers. Begin it before any process that inherits stderr, which --debug leaves be."""
    journal = Journal(clock)
    if logging.getLogger().level > logging.DEBUG:
        stack.enter_context(muffled(journal))
    return journal


class Figures:
    """Hears of every result and of every frame once the sinks have it. restarts: of the engine so far, by code."""

    def __init__(
        self,
        stack: ExitStack,
        clock: Clock,
        journal: Journal,
        ledger: Ledger,
        sinks: Sequence[Sink],
        asked: Asked,
        *,
        model: str,
        restarts: Callable[[], Counter[str]],
    ) -> None:
        self._clock, self._journal, self._ledger, self._restarts = clock, journal, ledger, restarts
        self._restarted: Counter[str] = Counter()
        self._code, self._drifted = State.LIVE.value, False
        self._sinks, self._refused = sinks, 0
        self._steps: Descent | None = None
        self._saturated: tuple[float, float] | None = None
        self._region = ""
        card = ASSETS / model / "inputs.json"
        self._drift = Drift(read_json(InputCard, card)) if card.is_file() else None
        self._trace = None if asked.trace is None else stack.enter_context(closing(Trace(asked.trace)))
        physician = self._physician = Physician(clock, alarm=self._alarm)
        physician.start()
        stack.callback(physician.close)

        def dropped() -> dict[str, int]:
            kinds: Counter[str] = Counter()
            for sink in sinks:
                kinds[type(sink).__name__] += sink.dropped
            return dict(kinds)

        if asked.metrics_port is not None:
            collector = Collector(ledger, lambda: physician.newest, dropped, self._moves, self.gauges)
            stack.callback(MetricsServer(collector, asked.metrics_port).close)
        rows = None if asked.log_lines is None else Rows(asked.log_lines)
        ticker = Ticker(ledger, rows, lambda: physician.newest, also=journal.flush, gauges=self.gauges)
        stack.callback(ticker.close)

    def follow(self, steps: Descent) -> None:
        """Tell of this ladder from now on."""
        self._steps = steps

    def seeking(self, seeker: Seeker, framing: Framing) -> Callable[[Segmentation], None]:
        """A watcher that lets the region be looked for, says what was found, and hears whether it is right."""

        def watch(seg: Segmentation) -> None:
            waited = seeker.waits
            seeker.saw(seg.frame, self._clock.now_ns())
            for sink in self._sinks:
                if sink.confirmed:
                    sink.confirmed = False
                    seeker.confirm()
            placed = framing.placement
            if seeker.waits and not waited and (box := placed.region) is not None:
                self._journal.say("REGION_FOUND", value=placed.confidence)
                sides = f"{box.x0},{box.y0},{box.x1},{box.y1}"
                note(f"region found, not confirmed: {sides}, confidence {placed.confidence:.2f}; {REMEDY}")
            elif waited and not seeker.waits and placed.sure:
                self._journal.say("REGION_CONFIRMED")
            self._region = "REGION FOUND: PRESS R, OR --accept-region" if seeker.waits else ""

        return watch

    def notices(self) -> tuple[str, ...]:
        """For the status line: what is to be done, then what is being left out, then advice."""
        rung = "" if self._steps is None else NOTICES.get(self._steps.rung, "")
        drifted = "" if self._drift is None or self._drift.newest is None else self._drift.newest.notice
        return tuple(filter(None, (self._region, rung, drifted)))

    def heat(self) -> Heat | None:
        """What the machine last said of itself."""
        around = self._physician.newest.conditions
        return None if around is None else Heat(around.slowed, around.temperature_c)

    def moved(self, move: Move) -> None:
        """The ladder has moved."""
        self._journal.say("LADDER", rung=RUNGS.index(move.rung))

    def gauges(self) -> Iterator[tuple[str, str, float]]:
        """What is told to Prometheus and in the lines beside the ledger's figures."""
        if self._steps is not None:
            yield "ladder_rung", "0 full, 1 smaller engine, 2 every second frame, 3 off.", RUNGS.index(self._steps.rung)
        if (saturated := self._saturated) is not None:
            yield "input_saturated_ratio", "Of the network's input, at full scale.", saturated[0]
            yield "output_saturated_ratio", "Of the network's output, at the ends of its range.", saturated[1]
        if self._drift is not None:
            distance = 0.0 if self._drift.newest is None else self._drift.newest.distance
            yield "input_drift_ratio", "Distance in units of the card's limit, 0 while like it.", distance

    def _moves(self) -> dict[str, int]:
        return {} if self._steps is None else dict(self._steps.moves)

    def result(self, result: LaneResult) -> None:
        """The engine is done with a frame."""
        if self._trace is not None:
            self._trace.result(result)
        if not result.error:
            before = self._saturated or result.saturated
            pairs = zip(before, result.saturated, strict=True)
            now_in, now_out = (old + FRESH * (new - old) for old, new in pairs)
            self._saturated = now_in, now_out

    def delivered(self, seg: Segmentation) -> None:
        """The sinks have a frame."""
        now_ns, frame = self._clock.now_ns(), seg.frame
        if self._trace is not None:
            self._trace.emitted(seg)
            self._trace.sink(frame.index, frame.captured_ns + seg.timing.total_ns, now_ns)
        code = (seg.code or seg.state.value).replace(" ", "_").rstrip("?")
        if code != self._code:
            self._code = code
            self._journal.say(code, index=frame.index)
        if (restarts := self._restarts()) != self._restarted:
            for reason in (restarts - self._restarted).elements():
                self._ledger.restarted(reason)
                self._journal.say("RESTART", count=sum(restarts.values()))
            self._restarted = Counter(restarts)
        if self._steps is not None and self._steps.refused != self._refused:
            self._refused = self._steps.refused
            self._journal.say("ENGINE_REFUSED", count=self._refused)
        drifted = self._drift.step(frame, now_ns) if self._drift is not None else None
        if drifted is not None and not self._drifted:
            self._journal.say("DRIFT", value=drifted.distance)
        self._drifted = drifted is not None

    def _alarm(self, name: str, value: float) -> None:
        match name:
            case "memory":
                self._journal.say("MEMORY_GROWTH", mb_per_hour=value / 2**20)
            case "descriptors":
                self._journal.say("FD_GROWTH", value=value)
            case _:
                self._journal.say("HOT", temperature_c=value)
