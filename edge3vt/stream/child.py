"""What a child process does first: dies with its parent, leaves signals to it, takes its place on the CPU."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import context, reduction
from typing import Any

from edge3vt.core.errors import BackendMissingError, ConfigError


@dataclass(frozen=True, slots=True)
class Scheduling:
    """On which CPUs (empty: all), how nice (lower is sooner) and with which real-time FIFO priority (0: none)."""

    cpus: tuple[int, ...] = ()
    nice: int = 0
    realtime: int = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take this place for a while; threads that start meanwhile keep it. Raises as ``apply``."""
        if self == Scheduling():
            yield
            return
        cpus, nice = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)
        policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
        self.apply()
        try:
            yield
        finally:
            with suppress(OSError):  # one that became nicer may not be allowed back
                os.sched_setscheduler(0, policy, priority)
                os.sched_setaffinity(0, cpus)
                os.setpriority(os.PRIO_PROCESS, 0, nice)

    def apply(self) -> None:
        """Take this place; threads that start later inherit it. Raises ConfigError or BackendMissingError."""
        try:
            if self.cpus:
                os.sched_setaffinity(0, self.cpus)
            if self.nice:
                os.setpriority(os.PRIO_PROCESS, 0, self.nice)
            if self.realtime:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(self.realtime))
        except PermissionError:
            raise BackendMissingError(
                f"scheduling: nice {self.nice} or real-time priority {self.realtime} is not permitted to this user; "
                "allow it (LimitNICE=, LimitRTPRIO= of systemd, CAP_SYS_NICE) or leave it out"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"scheduling: CPUs {list(self.cpus)}, nice {self.nice}, real-time priority {self.realtime}: "
                f"{error.strerror}; expected CPUs of {sorted(os.sched_getaffinity(0))} and a priority of 1 to 99"
            ) from None


def realtime_permitted(priority: int) -> bool:
    """Whether this user may have that real-time priority; tried in a thread that then ends."""
    allowed: list[bool] = []

    def ask() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
            allowed.append(True)
        except OSError:
            allowed.append(False)

    asking = threading.Thread(target=ask, name="scheduling")
    asking.start()
    asking.join()
    return allowed == [True]


class Lifeline:
    """A pipe that says nothing: when the process that made it ends, whatever the end, its child is terminated.

    The kernel does it (SIGIO, unhandled): a child that hangs or holds the interpreter ends as well. Unlike
    PR_SET_PDEATHSIG it does not end the child with the thread that started it. One lifeline per child.
    """

    def __init__(self) -> None:
        self._child_end, self._own_end = os.pipe()

    def close(self) -> None:
        """Let go of the child: it ends now. A second call does nothing."""
        for file in (self._own_end, self._child_end):
            if file >= 0:
                os.close(file)
        self._own_end = self._child_end = -1

    def __reduce__(self) -> tuple[Callable[..., int], tuple[Any, ...]]:
        """In the spawned child it is the number of an open file, which ``hold`` takes."""
        context.assert_spawning(self)
        return _received, (reduction.DupFd(self._child_end),)


def hold(lifeline: Any) -> None:
    """In the child, first of all: die with the parent, and ignore the signals that are the parent's to answer."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # it ended before we asked
        os._exit(1)


def _received(end: Any) -> int:
    file: int = end.detach()
    os.set_inheritable(file, False)
    return file
