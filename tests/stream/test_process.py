"""The engine's process: what it says when it ends, that it goes with its parent, and that it leaves nothing."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.errors import ConfigError, EngineError
from edge3vt.core.frame import Crop, Frame, Layout, Region
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.fake import FakeSession, Fault
from edge3vt.stream import process
from edge3vt.stream.child import Scheduling
from edge3vt.stream.lane import LaneResult, ThreadLane
from edge3vt.stream.process import LARGEST_PICTURE_BYTES, ProcessLane

SPEC = ModelSpec(1, "fake", "1", ("background", "bright"), 32, 32, 4, True, True, "")
CROP = Crop(0, 0, 32, 32)
CLOCK = SystemClock()
FAKE = partial(FakeSession, SPEC, CLOCK)


def soon() -> int:
    return CLOCK.now_ns() + 20 * NS_PER_S


def frame(index: int) -> Frame:
    return Frame(index, index * 1000, np.full((32, 32), 200, np.uint8))


def answer(lane: ProcessLane | ThreadLane, asked: Frame, crop: Crop = CROP) -> LaneResult:
    lane.offer(asked, crop)
    assert lane.wait(soon())
    result = lane.newest()
    assert result is not None
    assert result.index == asked.index
    return result


@contextmanager
def opened(open_session: object = FAKE, **options: object) -> Iterator[ProcessLane]:
    lane = ProcessLane(open_session, **options)  # type: ignore[arg-type]
    try:
        yield lane
    finally:
        lane.close()


def test_the_result_is_the_same_as_in_a_thread() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    odd = Frame(5, 77, pixels, Layout.BGR, False, 3, Region(4, 2, 60, 48), 0.1, 4)
    crop = Crop(-5, -3, 60, 32, "track")
    thread = ThreadLane(FAKE)
    with opened() as lane:
        one, other = answer(thread, odd, crop), answer(lane, odd, crop)
    thread.close()
    assert one.mask is not None
    assert other.mask is not None
    np.testing.assert_array_equal(one.mask, other.mask)
    assert one.mask.min() != one.mask.max()
    for name in ("index", "captured_ns", "epoch", "crop", "scores", "view", "model_id", "error"):
        assert getattr(one, name) == getattr(other, name), name
    assert other.infer_ns > 0


@pytest.mark.parametrize(("fault", "code"), [("exit", "EXIT"), ("memory", "OOM")])
def test_an_engine_that_ends_answers_and_says_how(fault: Fault, code: str) -> None:
    with opened(partial(FAKE, faults={1: fault})) as lane:
        assert answer(lane, frame(0)).mask is not None
        failed = answer(lane, frame(1))
        assert failed.mask is None
        while lane.exit_code is None:  # one that found no memory answers, and then it ends
            assert not lane.wait(CLOCK.now_ns() + NS_PER_MS)
        assert lane.off == code
        assert answer(lane, frame(2)).error == code, "at once, and for ever"
        assert not lane.wait(CLOCK.now_ns() + NS_PER_MS)
        assert not lane.wait(None), "nothing can come"


@pytest.mark.parametrize(("kernel_says", "code"), [((7, 7), "KILLED"), ((7, 8), "OOM"), ((None, None), "OOM")])
def test_a_kill_from_outside_is_want_of_memory_when_the_kernel_says_so(
    kernel_says: tuple[int | None, int | None], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter(kernel_says)
    monkeypatch.setattr(process, "killed_for_memory", lambda: next(told))
    with opened(partial(FAKE, faults={0: "hang"})) as lane:
        lane.offer(frame(0), CROP)
        os.kill(lane.pid, signal.SIGKILL)
        assert lane.wait(soon())
        result = lane.newest()
        assert result is not None
        assert (result.error, lane.off, lane.exit_code) == (code, code, -9)


@pytest.mark.parametrize(
    ("start", "says"), [("exit", "exit code 3 while opening"), ("memory", "exit code 137 while opening")]
)
def test_a_process_that_ends_while_opening_is_one_line(start: Fault, says: str) -> None:
    with pytest.raises(EngineError, match=says):
        ProcessLane(partial(FAKE, start=start))


def not_ours() -> Session:
    raise RuntimeError("vendor:\n 0x1234")


def test_errors_that_are_not_ours_come_as_one_line() -> None:
    with pytest.raises(EngineError, match="the engine could not be opened: RuntimeError: vendor:  0x1234"):
        ProcessLane(not_ours)


def test_what_cannot_travel_is_said_and_leaves_nothing() -> None:
    resource_tracker.ensure_running()
    before = resources()
    with pytest.raises(ConfigError, match="give a function of a module"):
        ProcessLane(lambda: FakeSession(SPEC))
    assert resources() == before


def test_a_frame_too_large_is_answered_with_its_reason() -> None:
    with opened() as lane:
        huge = Frame(0, 0, np.broadcast_to(np.uint8(0), (LARGEST_PICTURE_BYTES, 2)))
        assert "the ring was made for" in answer(lane, huge).error
        assert answer(lane, frame(1)).mask is not None


def test_closing_never_hangs() -> None:
    lane = ProcessLane(partial(FAKE, faults={0: "gil"}))
    lane.offer(frame(0), CROP)
    assert not lane.wait(CLOCK.now_ns() + 50 * NS_PER_MS)
    pid, begun = lane.pid, CLOCK.now_ns()
    assert lane.close()
    assert CLOCK.now_ns() - begun < 3 * NS_PER_S
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_stopped_process_is_seen_by_its_pulse_and_closes() -> None:
    with opened() as lane:
        answer(lane, frame(0))
        assert CLOCK.now_ns() - lane.pulse_ns < NS_PER_S
        assert lane.waits_since_ns is None
        os.kill(lane.pid, signal.SIGSTOP)
        asked_ns = CLOCK.now_ns()
        lane.offer(frame(1), CROP)
        assert not lane.wait(CLOCK.now_ns() + 250 * NS_PER_MS)
        assert lane.pulse_ns < asked_ns
        assert lane.waits_since_ns is not None
        assert lane.waits_since_ns >= asked_ns


def test_it_beats_while_it_is_idle() -> None:
    with opened() as lane:
        first = lane.pulse_ns
        while lane.pulse_ns == first:
            CLOCK.sleep_until_ns(CLOCK.now_ns() + 10 * NS_PER_MS)
        assert lane.pulse_ns > first


def test_signals_are_the_parents_to_answer() -> None:
    with opened() as lane:
        for name in (signal.SIGTERM, signal.SIGINT):
            os.kill(lane.pid, name)
        assert answer(lane, frame(0)).mask is not None
        assert lane.exit_code is None


def parent_of(fault: Fault, tell: str) -> None:
    """Opens a lane in a thread that ends, offers a frame that hangs, tells the pid and waits to be killed."""
    lanes: list[ProcessLane] = []
    thread = threading.Thread(target=lambda: lanes.append(ProcessLane(partial(FAKE, faults={1: fault}))))
    thread.start()
    thread.join()
    answer(lanes[0], frame(0))  # the end of the thread that started it ended nothing
    lanes[0].offer(frame(1), CROP)
    lanes[0].wait(CLOCK.now_ns() + 50 * NS_PER_MS)
    Path(tell).write_text(f"{lanes[0].pid}.")
    threading.Event().wait()


def test_the_child_goes_with_its_parent_even_while_it_holds_the_interpreter(tmp_path: Path) -> None:
    tell = tmp_path / "pid"
    parent = multiprocessing.get_context("spawn").Process(target=parent_of, args=("gil", str(tell)))
    parent.start()
    end = soon()
    while not (tell.exists() and tell.read_text().endswith(".")):
        assert CLOCK.now_ns() < end
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 10 * NS_PER_MS)
    pid = int(tell.read_text()[:-1])
    os.kill(pid, 0)
    parent.kill()
    parent.join()
    while Path(f"/proc/{pid}/status").exists() and "Z (zombie)" not in Path(f"/proc/{pid}/status").read_text():
        assert CLOCK.now_ns() < end, "it outlived its parent"
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 10 * NS_PER_MS)


FORGETFUL = """
from tests.stream.test_process import *
if __name__ == "__main__":
    lane = ProcessLane(FAKE)
    answer(lane, frame(0))
    print("done", flush=True)
"""


def test_a_lane_that_nobody_closes_does_not_keep_the_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "forgetful.py"
    script.write_text(FORGETFUL)
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, script], cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, timeout=30, capture_output=True
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"done\n", b"")


def where(tell: str) -> Session:
    """A fake that wrote down how its process is scheduled."""
    Path(tell).write_text(repr((sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0))))
    return FAKE()


def test_the_process_runs_where_it_was_told_to(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    nice = os.getpriority(os.PRIO_PROCESS, 0) + 1
    with opened(partial(where, str(tmp_path / "told")), scheduling=Scheduling(cpus=(cpu,), nice=nice)):
        assert (tmp_path / "told").read_text() == repr(([cpu], nice))
    with pytest.raises(ConfigError, match=r"CPUs \[4095\]"):
        ProcessLane(FAKE, scheduling=Scheduling(cpus=(4095,)))


class Counting(FakeSession):
    """A fake whose view says how many runs there were."""

    def run(self, pixels: np.ndarray, logits: np.ndarray, view: np.ndarray | None = None) -> None:
        super().run(pixels, logits, view)
        if view is not None:
            view[...] = self.runs


@pytest.mark.parametrize(("keep_warm_ms", "least", "most"), [(None, 2, 2), (20, 4, 17)])
def test_pauses_are_kept_warm_only_when_asked(keep_warm_ms: float | None, least: int, most: int) -> None:
    with opened(partial(Counting, SPEC), keep_warm_ms=keep_warm_ms) as lane:
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 200 * NS_PER_MS)
        assert answer(lane, frame(0)).view == 1, "nothing is kept warm before the first frame"
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 300 * NS_PER_MS)
        runs = answer(lane, frame(1)).view
        assert runs is not None
        assert least <= runs <= most


def resources() -> tuple[int, int, int, int, int]:
    """Open files, threads, maps of shared memory, names of shared memory, children."""
    gc.collect()
    return (
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        Path("/proc/self/maps").read_text().count("memfd:edge3vt"),
        len(os.listdir("/dev/shm")),
        len(multiprocessing.active_children()),
    )


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_kills_leave_nothing_behind(kills: int) -> None:
    resource_tracker.ensure_running()
    before = resources()
    for index in range(kills):
        lane = ProcessLane(FAKE)
        answer(lane, frame(index))
        os.kill(lane.pid, signal.SIGKILL)
        begun = CLOCK.now_ns()
        assert answer(lane, frame(index + 1)).error in ("KILLED", "OOM")
        assert CLOCK.now_ns() - begun < 5 * NS_PER_S
        lane.close()
    assert resources() == before


def test_planted_a_lane_that_is_not_closed_is_seen() -> None:
    resource_tracker.ensure_running()
    before = resources()
    lane = ProcessLane(FAKE)
    assert resources() > before
    lane.close()
    assert resources() == before
