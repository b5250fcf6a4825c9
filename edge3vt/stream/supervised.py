"""A lane that outlives its engine: processes under a supervisor, a warm standby, a change of the model while it runs.

The loop's thread never waits for a process: a thread of the lane's own starts, watches, kills and buries them.
"""

from __future__ import annotations

import os
import select
import threading
from collections import Counter
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace

from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.errors import EngineError
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.spec import ModelSpec
from edge3vt.stream.child import Scheduling
from edge3vt.stream.crew import Crew, settle
from edge3vt.stream.lane import LaneResult, OpenSession, failed
from edge3vt.stream.process import ProcessLane
from edge3vt.stream.supervisor import (
    Action,
    Activate,
    Engine,
    Event,
    Kill,
    Refuse,
    Report,
    Reset,
    Rules,
    Start,
    Supervisor,
    Swap,
)

TICK_NS = 20 * NS_PER_MS
HAND_OVER_NS = 100 * NS_PER_MS
"""A sound engine that is replaced has this long for the frame it works on."""
_CLOCK = SystemClock()


class SupervisedLane:
    """The engine in a process that is replaced when it hangs or ends. Raises what the first opening raises.

    While ``off`` says that there is none, every offer is answered at once by a result whose error is the code: HANG,
    KILLED, OOM, EXIT, OPEN (it could not be opened again), CRASHLOOP (given up until ``reset``), STUCK (a process in
    the kernel holds the device). standby: a second process, open and warm, takes over. cheaper: opened once instead of
    the same one when memory was short; the standby is left out from then on. Results carry
    their own engine's model_id; a crop is brought to the active engine's size.
    """

    def __init__(
        self,
        open_session: OpenSession,
        *,
        standby: bool = True,
        cheaper: OpenSession | None = None,
        scheduling: Scheduling | None = None,
        keep_warm_ms: float | None = None,
        rules: Rules | None = None,
    ) -> None:
        self._engines: dict[Engine, OpenSession] = {"same": open_session, "cheaper": cheaper or open_session}
        self._active = ProcessLane(open_session, scheduling=scheduling, keep_warm_ms=keep_warm_ms)
        self._next: tuple[ProcessLane, int] | None = None  # takes over with the next offer, and since when it would
        self._crew = Crew(self._active, open_session, scheduling=scheduling, keep_warm_ms=keep_warm_ms)
        self._core = Supervisor(_CLOCK.now_ns(), standby=standby, rules=rules)
        self._off = ""
        self._asked: tuple[Frame, Crop] | None = None
        self._failure: LaneResult | None = None  # not given out yet
        self._result: LaneResult | None = None
        self._answered_for: int | None = None  # the frame whose result was a failure: a later one is not believed
        self._requests: list[Event] = []
        self._change: Future[str] | None = None
        self._lock = threading.Lock()  # of all the above, never held for long
        self._using = threading.Lock()  # held by the loop while it uses a process's memory
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._bell = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    @property
    def spec(self) -> ModelSpec:
        return self._active.spec

    @property
    def off(self) -> str:
        with self._lock:
            return self._off or self._active.off

    @property
    def restarts(self) -> Counter[str]:
        """Processes that were replaced so far, by what had become of the one before."""
        return Counter(self._core.restarts)

    def reset(self) -> None:
        """Try again after CRASHLOOP or OOM."""
        self._ask(Reset())

    def swap(self, open_session: OpenSession) -> Future[str]:
        """Open another engine in a second process, try it, then let it take over between two frames; returns at once.

        The future gives its model_id, or raises why all stays as it was. A second call withdraws the first.
        """
        change: Future[str] = Future()
        with self._lock:
            former, self._change = self._change, change
            self._engines["next"] = open_session
        settle(former, EngineError("the change of the engine was withdrawn: another one was asked for"))
        self._ask(Swap())
        return change

    def offer(self, frame: Frame, crop: Crop) -> None:
        with self._using, self._lock:
            self._hand_over()
            code = self._off or self._active.off
            if crop.size != self._active.spec.width:
                crop = replace(crop, size=self._active.spec.width)
            self._asked = frame, crop
            if code:
                self._fail(code)
            else:
                self._active.offer(frame, crop)

    def wait(self, deadline_ns: int | None) -> bool:
        while True:
            with self._using:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
                with self._lock:
                    lane, given_up = self._active, self._failure is not None
                if given_up or lane.wait_beside(self._wake, deadline_ns):
                    return True
                woken = select.select([self._wake], [], [], 0)[0]
            if not woken and deadline_ns is not None and _CLOCK.now_ns() >= deadline_ns:
                return False

    def newest(self) -> LaneResult | None:
        with self._using, self._lock:
            result = self._active.newest()
            if self._failure is not None:
                self._result, self._failure = self._failure, None
            elif result is not None and result.index != self._answered_for:
                self._result = result
                if self._asked is not None and result.index == self._asked[0].index:
                    self._asked = None
            return self._result

    def close(self) -> None:
        """End all processes; takes little more than a second whatever they do."""
        if self._closing:
            return
        self._closing = True
        self._bell.set()
        self._thread.join()
        self._crew.close(None if self._off else self._active)
        os.close(self._wake)
        settle(self._change, EngineError("the lane was closed before the engine was changed"))

    def _ask(self, event: Event) -> None:
        with self._lock:
            self._requests.append(event)
        self._bell.set()

    def _fail(self, code: str) -> None:
        """Answer the frame that was asked about, if there is one, by the code; the lock is held."""
        if self._asked is not None:
            self._failure = failed(*self._asked, _CLOCK.now_ns(), self._active.spec.model_id, code)
            self._answered_for, self._asked = self._asked[0].index, None
            os.eventfd_write(self._wake, 1)

    def _hand_over(self) -> None:
        """Let the next engine take over, if one is to; the lock is held."""
        if self._next is not None:
            self._active, self._next = self._next[0], None
            os.eventfd_write(self._wake, 1)

    def _watch(self) -> None:
        """The lane's thread: look, let the core decide, do it."""
        try:
            while not self._closing:
                self._bell.wait(TICK_NS / NS_PER_S)
                self._bell.clear()
                with self._lock:
                    events, self._requests = self._requests, []
                events += self._crew.look()
                with self._lock:
                    if self._active.exit_code is not None:
                        self._fail(self._active.off)
                for action in self._core.step(events, _CLOCK.now_ns()):
                    self._do(action)
                self._tidy()
        except BaseException:
            self._off = "UNWATCHED"
            raise

    def _do(self, action: Action) -> None:
        match action:
            case Start(number, engine):
                self._start(number, engine)
            case Kill(number) if (member := self._crew.member(number)) is not None:
                member.leaves = True
            case Activate(number, planned):
                self._activate(number, planned)
            case Refuse(number, code) if (member := self._crew.member(number)) is not None:
                member.settle(member.fault or EngineError(f"the engine that was to come next was given up: {code}"))
            case Report(code):
                with self._lock:
                    self._off = code
                    if code:
                        self._fail(code)

    def _start(self, number: int, engine: Engine) -> None:
        with self._lock:
            open_session, change = self._engines[engine], self._change if engine == "next" else None
        self._crew.start(number, open_session, change)

    def _activate(self, number: int, planned: bool) -> None:
        member = self._crew.member(number)
        assert member is not None, "the supervisor activates who is ready"
        assert member.lane is not None
        with self._lock:
            if planned:
                self._next = member.lane, _CLOCK.now_ns()
                self._engines["same"] = self._engines["cheaper"] = member.open_session
            else:
                self._fail(self._off or self._active.off or "HANG")
                self._active = member.lane
            os.eventfd_write(self._wake, 1)
        member.settle(member.lane.spec.model_id)

    def _tidy(self) -> None:
        """Hand over to an engine that was polite for long enough; end and bury who is to go."""
        with self._lock:
            if self._next is not None:
                late = _CLOCK.now_ns() - self._next[1] > HAND_OVER_NS
                if late:
                    self._fail("SWAPPED")
                if late or self._asked is None:
                    self._hand_over()
            stays = None if self._next is None else self._active
        self._crew.end(stays)
        self._crew.bury(self._using, TICK_NS / NS_PER_S)
