"""The engine in a process of its own: frames go over in shared memory, and so come the masks."""

from __future__ import annotations

import atexit
import multiprocessing
import select
import signal
from contextlib import suppress
from pathlib import Path
from pickle import PicklingError
from typing import Any

from edge3vt.core import errors
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.errors import ConfigError, DataError, EngineError
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.spec import ModelSpec
from edge3vt.stream.child import Lifeline, Scheduling
from edge3vt.stream.lane import LaneResult, OpenSession, failed
from edge3vt.stream.ring import Ring
from edge3vt.stream.serve import LARGEST_MASK, NO_MEMORY_CODE, serve, unpacked
from edge3vt.stream.slots import Slots

LARGEST_PICTURE_BYTES = 4096 * 2160 * 3
"""What the slots could hold; memory is taken only as far as pictures reach into it."""
CLOSE_NS = NS_PER_S
_SLOTS = 3  # one being written, one being read, one to spare
_CLOCK = SystemClock()
_SPAWN = multiprocessing.get_context("spawn")


class ProcessLane:
    """The engine in a spawned process. Constructed when it is open and warm there; raises what opening raised.

    open_session must be picklable (a function of a module, a functools.partial of one). keep_warm_ms: in a pause, an
    inference for nothing this often, for ten seconds at most. With opened=False the constructor returns at once, and
    ``poll`` says when the engine is ready. Used by one thread; ``exit_code``, ``pulse_ns``, ``waits_since_ns`` and
    ``kill`` by any.
    """

    def __init__(
        self,
        open_session: OpenSession,
        *,
        scheduling: Scheduling | None = None,
        keep_warm_ms: float | None = None,
        opened: bool = True,
    ) -> None:
        self._frames = Ring.create(_SLOTS, LARGEST_PICTURE_BYTES)
        self._results = Slots.create(_SLOTS, LARGEST_MASK)
        self._lifeline = Lifeline()
        self._talk, theirs = _SPAWN.Pipe()
        self._spec: ModelSpec | None = None
        self._asked: tuple[Frame, Crop] | None = None
        self._asked_ns, self._answers_then = 0, 0
        self._result: LaneResult | None = None
        self._unseen = self._closed = False
        keep_warm_ns = None if keep_warm_ms is None else round(keep_warm_ms * NS_PER_MS)
        self._process = _SPAWN.Process(
            target=serve,
            args=(open_session, self._frames, self._results, self._lifeline, theirs, scheduling, keep_warm_ns),
            name="edge3vt engine",
            daemon=True,
        )
        try:
            self._process.start()
        except (PicklingError, AttributeError, TypeError) as error:
            self._let_go()
            raise ConfigError(
                f"the engine cannot be opened in another process: {error}; give a function of a module or a "
                "functools.partial of one"
            ) from error
        finally:
            theirs.close()
        self._exit_code: int | None = None
        self._end = ""
        self._killed_before = killed_for_memory()
        atexit.register(self._process.kill)  # before multiprocessing waits for a child that ignores its SIGTERM
        if opened:
            try:
                while not self.poll():
                    self._await([self._talk], None)
            except BaseException:
                self.close()
                raise

    def poll(self) -> bool:
        """Whether the engine is ready. Raises what opening it raised; an error not of ours comes as EngineError."""
        if self._spec is not None:
            return True
        if not self._talk.poll():
            if self.exit_code is None or self._talk.poll():
                return False
            raise EngineError(f"the engine's process ended with {_ending(self.exit_code)} while opening; verify it")
        try:
            kind, said = self._talk.recv()
        except (EOFError, OSError):
            self._process.join()
            raise EngineError(
                f"the engine's process ended with {_ending(self.exit_code)} while opening; verify it"
            ) from None
        if kind != "ready":
            found = getattr(errors, kind, None)
            raise (found or EngineError)(said if found else f"the engine could not be opened: {kind}: {said}")
        self._spec = said
        return True

    @property
    def spec(self) -> ModelSpec:
        assert self._spec is not None, "not before it is open"
        return self._spec

    @property
    def off(self) -> str:
        """Empty while the process lives, else OOM, KILLED or EXIT."""
        return "" if self.exit_code is None else self._end

    @property
    def pid(self) -> int:
        assert self._process.pid is not None, "started by the constructor"
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while the process lives; negative: the signal that ended it."""
        if self._exit_code is None and not self._closed:
            code = self._process.exitcode
            if code is not None:
                self._end = code_of(code, self._killed_before)
            self._exit_code = code
        return self._exit_code

    @property
    def pulse_ns(self) -> int:
        """When the engine's process last went round: it does at least every 50 ms, but not during an inference."""
        return self._results.pulse_ns

    @property
    def waits_since_ns(self) -> int | None:
        """Since when an offered frame has no answer; None when there is none to wait for."""
        return self._asked_ns if self._asked is not None and self._results.written == self._answers_then else None

    def offer(self, frame: Frame, crop: Crop) -> None:
        """Hand a frame over and return at once; it replaces one that waits. Never raises."""
        code = self.off
        if not code:
            try:
                if self.waits_since_ns is None:
                    self._asked_ns, self._answers_then = _CLOCK.now_ns(), self._results.written
                self._asked = frame, crop
                self._frames.put(frame, crop)
                return
            except DataError as error:
                code = str(error)
        self._asked = frame, crop
        self._fail(code)

    def wait(self, deadline_ns: int | None) -> bool:
        """Block until there is a result that ``newest`` has not given (True) or the deadline passes (False).

        Without a deadline, False says that nothing can come: the process ended, and nothing was offered since.
        """
        return self.wait_beside(None, deadline_ns)

    def wait_beside(self, file: int | None, deadline_ns: int | None) -> bool:
        """The same, but also ends, with False, when that file becomes readable."""
        while not self._collect():
            dead = self._exit_code is not None  # as _collect saw it
            if dead and deadline_ns is None and file is None:
                return False
            others = [] if file is None else [file]
            ready = self._await(others if dead else [self._results, *others], deadline_ns)
            if not ready or file in ready:
                return self._collect()
        return True

    def newest(self) -> LaneResult | None:
        self._collect()
        self._unseen = False
        return self._result

    def kill(self) -> None:
        """End the process at once; what was offered is answered by its end."""
        if not self._closed:
            self._process.kill()

    def close(self, patience_ns: int = CLOSE_NS) -> bool:
        """Ask the process to end, kill it when it has not after patience_ns. False: it cannot be killed (D state)."""
        if self._closed:
            return True
        with suppress(OSError):
            self._talk.send(None)
        self._process.join(patience_ns / NS_PER_S)
        if self.exit_code is None:
            self._process.kill()
            self._process.join(CLOSE_NS / NS_PER_S)
        ended = self.exit_code is not None
        self._closed = True
        atexit.unregister(self._process.kill)
        self._let_go()
        if ended:
            self._process.close()
        return ended

    def _let_go(self) -> None:
        self._frames.close()
        self._results.close()
        self._lifeline.close()
        self._talk.close()

    def _await(self, files: list[Any], deadline_ns: int | None) -> list[Any]:
        """Sleep until one of the files is readable or the process ends; those that are, nothing at the deadline."""
        timeout_s = None if deadline_ns is None else max(deadline_ns - _CLOCK.now_ns(), 0) / NS_PER_S
        sentinels = [self._process.sentinel] if self._exit_code is None else []
        return select.select(files + sentinels, [], [], timeout_s)[0]

    def _collect(self) -> bool:
        """Take what the process gave; whether there is a result that was not given out."""
        if not self._closed:
            code = self.exit_code  # before looking: what it put before its end is not lost
            records, _ = self._results.take(newest=1)
            for head, body in records:
                self._result, self._unseen = unpacked(head, body), True
                if self._asked is not None and self._result.index == self._asked[0].index:
                    self._asked = None
            if code is not None and self._asked is not None:
                self._fail(self._end)
        return self._unseen

    def _fail(self, code: str) -> None:
        assert self._asked is not None
        model_id = self._spec.model_id if self._spec else ""
        self._result = failed(*self._asked, _CLOCK.now_ns(), model_id, code)
        self._asked, self._unseen = None, True


def code_of(exit_code: int, killed_before: int | None = None) -> str:
    """What the status line calls that end: OOM, KILLED or EXIT.

    killed_before: how many processes the kernel had killed for memory when this one began; None: taken for OOM.
    """
    if exit_code == NO_MEMORY_CODE:
        return "OOM"
    if exit_code == -signal.SIGKILL:
        now = killed_for_memory()
        return "OOM" if killed_before is None or now is None or now > killed_before else "KILLED"
    return "EXIT"


def killed_for_memory() -> int | None:
    """How many processes the kernel has killed for want of memory since it started (Linux 4.13); None if untold."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except OSError:
        pass
    return None


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"
