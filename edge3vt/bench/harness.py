"""Runs a scenario: the very loop, lanes and sinks of ``edge3vt run``, with probes beside it and a tape that listens."""

from __future__ import annotations

import gc
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from edge3vt import __version__
from edge3vt.bench.engine_block import EngineBlock, Runs, engine_block, flags_of
from edge3vt.bench.feed import Feed
from edge3vt.bench.growth import Grower
from edge3vt.bench.limits import judge
from edge3vt.bench.neighbours import Street, held_down
from edge3vt.bench.result import Growth, Neighbour, Result
from edge3vt.bench.scenario import Scenario
from edge3vt.bench.sleeper import EVERY_MS, Sleepers
from edge3vt.bench.stalls import Stalls, Wakes, stalls_of
from edge3vt.bench.subject import Engine, alone
from edge3vt.bench.surroundings import Observer, Surroundings
from edge3vt.bench.tape import Reel, Tape, flights, series, start_of, stream_block
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock, wall_label
from edge3vt.core.errors import DataError, Edge3vtError, GateError
from edge3vt.core.frame import Frame
from edge3vt.core.machine import this_machine
from edge3vt.core.segmentation import Segmentation
from edge3vt.picture.draw import Composer
from edge3vt.stream.child import Scheduling
from edge3vt.stream.lane import ThreadLane
from edge3vt.stream.runner import stream
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sinks.null import NullSink
from edge3vt.stream.sinks.video import VideoSink
from edge3vt.stream.supervised import SupervisedLane

SWITCH_INTERVAL_S = 0.0005
LOOP_PRIORITY, ENGINE_PRIORITY = 20, 10
"""As ``edge3vt run`` sets them."""


class Bench:
    """One scenario on one engine. tell: of progress. extra: more sinks, for tests that plant something."""

    def __init__(
        self,
        name: str,
        scenario: Scenario,
        engine: Engine,
        frames: Sequence[Frame],
        *,
        ended: threading.Event | None = None,
        tell: Callable[[str], None] = lambda text: None,
        extra: Sequence[Callable[[Segmentation], object]] = (),
        clock: Clock | None = None,
    ) -> None:
        self._name, self._scenario, self._engine, self._frames = name, scenario, engine, frames
        self._ended, self._tell, self._extra = ended or threading.Event(), tell, extra
        self._clock = clock or SystemClock()
        self._restarts: Counter[str] = Counter()
        self._written = self._dropped = 0
        self._faults: list[str] = []
        self.runs: list[Runs] = []
        """Of the engine alone."""

    def run(self) -> Result:
        """Measure. Ends early, with what there is, once ``ended`` is set. Raises GateError where that is nothing."""
        scenario, reels = self._scenario, list[Reel]()
        with ExitStack() as stack:
            stack.enter_context(held_down(scenario.clock_share))
            how = self._alone()
            grower = Grower() if scenario.memory else None
            street = Street(
                scenario.neighbours,
                self._engine.open_session,
                self._frames,
                scenario.arrivals.rate_hz,
                scenario.budget_ms,
            )
            stack.callback(street.leave)
            observer = Observer(gpu=self._engine.facts.runtime == "tensorrt").start()
            sleepers = Sleepers(() if scenario.realtime else observer.cores)
            stack.callback(sleepers.close)
            for number in range(scenario.starts):
                if self._ended.is_set():
                    break
                self._tell(f"{self._name}: start {number + 1} of {scenario.starts}, {self._length():.0f} s")
                reels.append(self._start())
            wakes = sleepers.wakes()
            surroundings = observer.finish()
            growth = grower.finish() if grower else None
            neighbours = street.leave()
            if not self._ended.is_set():
                try:
                    self._alone()
                except Edge3vtError as error:
                    self._faults.append(f"the engine alone, after the stream: {error}")
        if not sum(reel.frames for reel in reels):
            raise GateError(f"{self._name}: stopped before anything was measured; let it run longer")
        return self._result(reels, self._stalls(reels, wakes), how, surroundings, growth, neighbours)

    def _length(self) -> float:
        return self._scenario.warm_up_s + self._scenario.seconds

    def _alone(self) -> str:
        """The engine alone for half of its time, in a process of its own; how it runs."""
        if not self._scenario.engine_s:
            return ""
        self._tell(f"{self._name}: the engine alone")
        runs, how = alone(self._engine, self._frames, self._scenario.engine_s / 2)
        self.runs.append(runs)
        return how

    def _start(self) -> Reel:
        """Open everything, run the loop, close everything."""
        scenario, clock = self._scenario, self._clock
        with ExitStack() as stack:
            sinks: list[Sink] = [NullSink()]
            if scenario.record:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="edge3vt-bench-"))
                sinks = [VideoSink(Path(folder) / "bench.mp4", overwrite=False)]
            for sink in sinks:
                stack.callback(self._close, sink)
            began_ns = clock.now_ns()
            lane = self._lane()
            opening_ns = clock.now_ns() - began_ns
            stack.callback(lane.close)
            tape = Tape()
            feed = Feed(self._frames, scenario.arrivals, self._length(), clock)
            stack.callback(feed.close)
            with self._place(0, LOOP_PRIORITY).held():
                self._loop(feed, lane, sinks, tape)
            self._restarts += lane.restarts
        self._written += sum(sink.written for sink in sinks)
        self._dropped += sum(sink.dropped for sink in sinks)
        return Reel(
            tape,
            np.asarray(feed.captured, np.int64),
            np.asarray(feed.given, np.int64),
            opening_ns,
            scenario.arrivals.kind != "flat-out",
            round(scenario.warm_up_s * NS_PER_S),
        )

    def _close(self, sink: Sink) -> None:
        """A recording that fails is told, but no reason to lose what was measured."""
        try:
            sink.close()
        except DataError as error:
            self._faults.append(f"recorder: {str(error).rpartition('/')[2]}")

    def _lane(self) -> ThreadLane | SupervisedLane:
        scenario, open_session = self._scenario, self._engine.open_session
        if scenario.lane == "thread":
            return ThreadLane(open_session)
        return SupervisedLane(
            open_session,
            standby=scenario.standby,
            scheduling=self._place(1, ENGINE_PRIORITY),
            keep_warm_ms=scenario.keep_warm_ms or None,
        )

    def _place(self, which: int, priority: int) -> Scheduling:
        """Of the loop (0) or the engine (1)."""
        scenario = self._scenario
        return Scheduling(scenario.cores[which : which + 1], realtime=priority if scenario.realtime else 0)

    def _loop(self, feed: Feed, lane: ThreadLane | SupervisedLane, sinks: Sequence[Sink], tape: Tape) -> None:
        """As cli.run.drive does it, without its ladder."""
        scenario, clock = self._scenario, self._clock
        cv2.setNumThreads(1)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        compose = Composer(lane.spec)
        compose.warm(feed.width, feed.height)
        gc.collect()
        gc.freeze()
        for sink in sinks:
            sink.spec = lane.spec

        takers: tuple[Callable[[Segmentation], object], ...] = (*sinks, *self._extra)

        def notices() -> tuple[str, ...]:
            return tuple(sink.notice for sink in sinks if sink.notice)

        for seg in stream(
            feed,
            lane,
            scenario.budget_ms,
            sync=scenario.sync,
            policy=scenario.crop,
            compose=compose,
            tell=notices,
            clock=clock,
        ):
            begun_ns = clock.now_ns()
            for take in takers:
                take(seg)
            tape.add(seg, clock.now_ns() - begun_ns)
            feed.next()
            if self._ended.is_set():
                break

    def _stalls(self, reels: Sequence[Reel], wakes: Wakes) -> Stalls:
        spans = [(int(reel.captured[reel.first]), int(reel.captured[reel.last])) for reel in reels if reel.frames]
        return stalls_of(flights(reels), wakes, spans, round(self._scenario.budget_ms * NS_PER_MS), EVERY_MS)

    def _result(
        self,
        reels: Sequence[Reel],
        stalls: Stalls,
        how: str,
        surroundings: Surroundings,
        growth: Growth | None,
        neighbours: tuple[Neighbour, ...],
    ) -> Result:
        scenario, facts = self._scenario, self._engine.facts
        height, width = self._frames[0].luma.shape
        stopped = self._ended.is_set()
        spans = [int(reel.captured[reel.last] - reel.captured[reel.first]) for reel in reels if reel.frames]
        block: EngineBlock | None = None
        if self.runs:
            flags = flags_of(facts.runtime, facts.threads, scenario.engine_s, how, self._engine.wait)
            block = engine_block(self.runs, facts.runtime, flags)
        found = Result(
            schema=1,
            edge3vt=__version__,
            made=wall_label(),
            name=self._name,
            scenario=scenario,
            stopped=stopped,
            measured_s=sum(spans) / NS_PER_S,
            engine=facts,
            engine_alone=block,
            stream=stream_block(reels, self._restarts, (self._written, self._dropped), (width, height)),
            starts=tuple(start_of(reel) for reel in reels),
            neighbours=neighbours,
            stalls=stalls,
            machine=this_machine(),
            surroundings=surroundings,
            growth=growth,
            verdicts=(),
            passed=False,
            series=series(reels),
            faults=tuple(self._faults),
        )
        verdicts = judge(scenario.limits, found.figure)
        passed = all(verdict.passed for verdict in verdicts) and not stopped and not self._faults
        return replace(found, verdicts=verdicts, passed=passed)
