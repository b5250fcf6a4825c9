"""A bare sleeping process on one core: by how much it oversleeps is what the machine does to anybody there.

    python -m edge3vt.bench.sleeper CORE

It sleeps EVERY_MS at a time and notes when it wanted to wake and when it did; at the end of its standard input it
writes all of it to standard output and is gone. It imports nothing heavy, and needs about one per cent of a core.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from array import array
from collections.abc import Iterable
from typing import IO

from edge3vt.core.clock import NS_PER_MS, SystemClock

EVERY_MS = 2.0
LOOK_EACH = 50
"""Wakes between two looks at standard input."""
LET_GO_S = 10.0


class Sleepers:
    """A probe on each of ``cores``, from construction until ``wakes``. What cannot be started is left out."""

    def __init__(self, cores: Iterable[int]) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for core in cores:
            command = [sys.executable, "-m", "edge3vt.bench.sleeper", str(core)]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
            )
            self._processes[core] = process
        for core, process in list(self._processes.items()):  # each says when it sleeps
            assert process.stdout is not None
            if process.stdout.read(1) != b"z":
                process.communicate()
                del self._processes[core]

    def wakes(self) -> dict[int, tuple[array[int], array[int]]]:
        """End them; when each wanted to wake and when it did, by core, in ns of the one clock."""
        found = {}
        for core, process in self._processes.items():
            try:
                told, _ = process.communicate(timeout=LET_GO_S)
            except subprocess.TimeoutExpired:
                process.kill()
                told, _ = process.communicate()
            numbers = array("q", told[: len(told) // 16 * 16])
            half = len(numbers) // 2
            found[core] = numbers[:half], numbers[half:]
        self._processes.clear()
        return found

    def close(self) -> None:
        """End them, whatever they know."""
        for process in self._processes.values():
            process.kill()
            process.communicate()
        self._processes.clear()


def sleep(every_ns: int, end: IO[bytes]) -> tuple[array[int], array[int]]:
    """Sleep until ``end`` has nothing more to say."""
    clock, due, woke = SystemClock(), array("q"), array("q")
    due_ns = clock.now_ns() + every_ns
    while True:
        clock.sleep_until_ns(due_ns)
        now_ns = clock.now_ns()
        due.append(due_ns)
        woke.append(now_ns)
        due_ns = max(due_ns + every_ns, now_ns + every_ns // 2)  # after an oversleep it does not hurry
        if len(due) % LOOK_EACH == 0 and select.select([end], [], [], 0)[0]:
            return due, woke


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM):  # the parent's to answer
        signal.signal(ignored, signal.SIG_IGN)
    try:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    except OSError:
        sys.exit(1)
    out = sys.stdout.buffer
    out.write(b"z")
    out.flush()
    due, woke = sleep(round(EVERY_MS * NS_PER_MS), sys.stdin.buffer)
    out.write(due.tobytes() + woke.tobytes())


if __name__ == "__main__":
    main()
