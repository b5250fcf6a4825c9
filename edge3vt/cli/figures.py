"""What a live run tells while it lasts: its log, a line a second, Prometheus, a trace, and whether the input drifts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from edge3vt.cli.engines import ASSETS
from edge3vt.core.clock import Clock
from edge3vt.core.documents import read_json
from edge3vt.core.segmentation import Segmentation, State
from edge3vt.stream.drift import Drift, InputCard
from edge3vt.stream.health import Physician
from edge3vt.stream.journal import Journal, muffled
from edge3vt.stream.lane import LaneResult
from edge3vt.stream.metrics import Collector, MetricsServer, Ticker
from edge3vt.stream.rows import Rows
from edge3vt.stream.sinks import Sink
from edge3vt.stream.telemetry import Ledger
from edge3vt.stream.trace import Trace


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
        card = ASSETS / model / "inputs.json"
        self._drift = Drift(read_json(InputCard, card)) if card.is_file() else None
        self._trace = None if asked.trace is None else stack.enter_context(closing(Trace(asked.trace)))
        physician = Physician(clock, alarm=self._alarm)
        physician.start()
        stack.callback(physician.close)

        def dropped() -> dict[str, int]:
            kinds: Counter[str] = Counter()
            for sink in sinks:
                kinds[type(sink).__name__] += sink.dropped
            return dict(kinds)

        if asked.metrics_port is not None:
            collector = Collector(ledger, lambda: physician.newest, dropped)
            stack.callback(MetricsServer(collector, asked.metrics_port).close)
        rows = None if asked.log_lines is None else Rows(asked.log_lines)
        stack.callback(Ticker(ledger, rows, lambda: physician.newest, also=journal.flush).close)

    def result(self, result: LaneResult) -> None:
        """The engine is done with a frame."""
        if self._trace is not None:
            self._trace.result(result)

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
