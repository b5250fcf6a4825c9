"""The engine processes of a supervised lane: started, looked at, put on trial, ended, buried; all by one thread."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock

import numpy as np

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.errors import ConfigError, Edge3vtError, EngineError
from edge3vt.core.frame import Crop, Frame
from edge3vt.stream.child import Scheduling
from edge3vt.stream.lane import OpenSession
from edge3vt.stream.process import ProcessLane
from edge3vt.stream.supervisor import FIRST, Died, Event, Ready, Seen

TRIAL_NS = NS_PER_S
"""In this time an engine that shall come next must have answered a black frame."""
_CLOCK = SystemClock()


@dataclass(slots=True)
class Member:
    """One process. change: told what becomes of an engine that shall come next; lane: None when it did not start."""

    lane: ProcessLane | None
    open_session: OpenSession
    change: Future[str] | None = None
    tried_ns: int | None = None  # when its trial began
    ready: bool = False
    leaves: bool = False  # it is to end
    fault: Exception | None = None

    def settle(self, result: str | Exception) -> None:
        """Tell who asked for the change of engine, unless that was told before."""
        settle(self.change, result)


class Crew:
    """Members by number. The first is open."""

    def __init__(self, first: ProcessLane, open_session: OpenSession, **options: Scheduling | float | None) -> None:
        self._options = options
        self._classes = first.spec.classes
        self._graves: list[ProcessLane] = []  # ended, their memory not yet let go
        self._gone: dict[int, Member] = {}  # of whose end nobody was told yet, for what they have to say
        self._members = {FIRST: Member(first, open_session, ready=True)}

    def start(self, number: int, open_session: OpenSession, change: Future[str] | None) -> None:
        """Start a process; what goes wrong is told by the next ``look``."""
        member = self._members[number] = Member(None, open_session, change)
        try:
            member.lane = ProcessLane(open_session, opened=False, **self._options)  # type: ignore[arg-type]
        except (Edge3vtError, OSError) as error:
            member.fault = error

    def member(self, number: int) -> Member | None:
        """The member with that number, also one whose end the last ``look`` told."""
        return self._members.get(number) or self._gone.get(number)

    def look(self) -> list[Event]:
        """What is to be told of each."""
        self._gone.clear()
        return [event for number, member in list(self._members.items()) for event in self._look(number, member)]

    def end(self, stays: ProcessLane | None) -> None:
        """Kill those that are to leave, but the one that ``stays`` until it has answered."""
        for member in self._members.values():
            if member.leaves and member.lane is not None and member.lane is not stays:
                member.lane.kill()

    def bury(self, using: Lock, patience_s: float) -> None:
        """Let go of the memory of those that ended, once nobody is ``using`` it."""
        if self._graves and using.acquire(timeout=patience_s):
            try:
                while self._graves:
                    self._graves.pop().close()
            finally:
                using.release()

    def close(self, gently: ProcessLane | None) -> None:
        """End all, all but one without asking."""
        lanes = [member.lane for member in self._members.values() if member.lane is not None]
        for lane in lanes:
            if lane is not gently:
                lane.kill()
        for lane in lanes + self._graves:
            lane.close()

    def _look(self, number: int, member: Member) -> list[Event]:
        lane = member.lane
        if lane is None:
            return self._remove(number, member, "OPEN")
        if lane.exit_code is None and not member.ready and not member.leaves:
            try:
                if lane.poll() and (member.change is None or self._stood_trial(lane, member)):
                    member.ready = True
                    return [Ready(number)]
            except Edge3vtError as error:
                member.fault, member.leaves = error, True
                lane.kill()
        if lane.exit_code is None:
            return [Seen(number, lane.pulse_ns, lane.waits_since_ns)] if member.ready else []
        self._graves.append(lane)
        if not member.ready and member.tried_ns is None and not member.leaves:
            try:
                lane.poll()
            except Edge3vtError as error:
                member.fault = error
        opened = member.ready or member.tried_ns is not None
        return self._remove(number, member, lane.off if opened or lane.off == "OOM" else "OPEN")

    def _remove(self, number: int, member: Member, code: str) -> list[Event]:
        self._gone[number] = self._members.pop(number)
        member.fault = member.fault or EngineError(f"the engine's process ended in its trial: {code}")
        return [Died(number, code)]

    def _stood_trial(self, lane: ProcessLane, member: Member) -> bool:
        """Whether an engine that shall come next answered a black frame; raises when its answer is none, or late."""
        now_ns, spec = _CLOCK.now_ns(), lane.spec
        if member.tried_ns is None:
            if spec.classes != self._classes:
                raise ConfigError(
                    f"{spec.model_id}: classes {', '.join(spec.classes)}, the running engine has "
                    f"{', '.join(self._classes)}; end the run and begin it with that engine"
                )
            member.tried_ns = now_ns
            black = np.zeros((spec.height, spec.width), np.uint8)
            lane.offer(Frame(-1, now_ns, black), Crop(0, 0, spec.width, spec.width))
        result = lane.newest()
        if result is not None and result.error and lane.exit_code is None:
            raise EngineError(f"{spec.model_id}: the trial of a black frame failed: {result.error}")
        if result is None and now_ns - member.tried_ns > TRIAL_NS:
            raise EngineError(f"{spec.model_id}: no answer to a black frame within {TRIAL_NS / NS_PER_S:g} s")
        return result is not None and not result.error


def settle(change: Future[str] | None, result: str | Exception) -> None:
    """Fulfil a change of the engine, unless that was done before."""
    if change is not None and not change.done():
        if isinstance(result, str):
            change.set_result(result)
        else:
            change.set_exception(result)
