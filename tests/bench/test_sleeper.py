from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from edge3vt.bench.sleeper import EVERY_MS, Sleepers
from edge3vt.core.clock import SystemClock

MS = 1_000_000
CLOCK = SystemClock()


def test_a_probe_that_is_held_sees_it_and_one_that_is_not_does_not_go_missing() -> None:
    core = min(os.sched_getaffinity(0))
    sleepers = Sleepers([core])
    pid = sleepers._processes[core].pid
    CLOCK.sleep_until_ns(CLOCK.now_ns() + 100 * MS)
    os.kill(pid, signal.SIGSTOP)
    CLOCK.sleep_until_ns(CLOCK.now_ns() + 150 * MS)
    released = CLOCK.now_ns()
    os.kill(pid, signal.SIGCONT)
    CLOCK.sleep_until_ns(released + 50 * MS)
    due, woke = (np.asarray(column) for column in sleepers.wakes()[core])
    assert len(due) == len(woke) > 10
    assert (woke >= due).all()
    assert (np.diff(due) > EVERY_MS / 2 * MS * 0.99).all(), "it does not hurry after an oversleep"
    assert ((woke - due > 140 * MS) & (due <= released) & (woke >= released)).any()
    assert sleepers.wakes() == {}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_core_that_we_may_not_use_has_no_probe() -> None:
    assert Sleepers([4095]).wakes() == {}


def test_closing_ends_them() -> None:
    sleepers = Sleepers([min(os.sched_getaffinity(0))])
    (process,) = sleepers._processes.values()
    sleepers.close()
    assert process.returncode is not None
