"""Real processes: sources that hang, die, lie and go away."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame, Layout
from edge3vt.stream.barcode import read
from edge3vt.stream.sources.remote import RemoteSource
from edge3vt.stream.sources.test import Pattern, PatternSource
from edge3vt.stream.sources.video import VideoSource

CLOCK = SystemClock()


def remote(device: Path | None = None, **asked: object) -> RemoteSource:
    pattern = Pattern(**{"width": 320, "height": 240, "pattern": "flat"} | asked)  # type: ignore[arg-type]
    return RemoteSource(partial(PatternSource, pattern, CLOCK), device=device)


def pause(seconds: float) -> None:
    CLOCK.sleep_until_ns(CLOCK.now_ns() + round(seconds * NS_PER_S))


def until(frames: Iterator[Frame], epoch: int, limit_s: float = 15) -> Frame:
    """The first frame of that epoch."""
    end_ns = CLOCK.now_ns() + round(limit_s * NS_PER_S)
    for frame in frames:
        if frame.epoch >= epoch:
            return frame
        assert CLOCK.now_ns() < end_ns, f"epoch {epoch} did not come"
    raise AssertionError("the frames ended")


def test_frames_cross_as_they_are() -> None:
    with remote(layout=Layout.NV12, full_range=False, mm_per_px=0.25) as source:
        assert (source.name, source.width, source.height, source.rate_hz, source.frames) == (
            "test://flat", 320, 240, 60, None,
        )  # fmt: skip
        frames = list(islice(source, 30))
    assert [read(f.luma) for f in frames] == [f.index for f in frames]
    assert {(f.layout, f.full_range, f.epoch, f.mm_per_px) for f in frames} == {(Layout.NV12, False, 0, 0.25)}
    gaps_ms = np.diff([f.captured_ns for f in frames]) / 1e6
    assert np.allclose(gaps_ms % (1000 / 60), 0, atol=0.1) or np.allclose(gaps_ms, 1000 / 60, atol=0.1)
    assert not frames[0].pixels.flags.writeable


def test_a_finite_source_ends() -> None:
    with remote(seconds=0.5, rate_hz=50) as source:
        assert source.frames == 25
        frames = list(source)
    assert frames[-1].index == 24
    assert len(frames) + source.lost == 25
    assert source.reopened == 0


@pytest.mark.parametrize("stop", [False, True])
def test_a_hang_is_killed_and_reopened_in_time(stop: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A read that never returns, and a process that is stopped (deaf to SIGTERM): frames within 2 s + start."""
    caplog.set_level(logging.INFO)
    with remote(faults="" if stop else "hang@0.3") as source:
        frames = iter(source)
        last = next(frames)
        old = source.pid
        if stop:
            assert old is not None
            os.kill(old, signal.SIGSTOP)
        for frame in frames:
            if frame.epoch:
                break
            last = frame
        assert frame.epoch == 1
        assert frame.index == last.index + 1
        assert 0.7e9 < frame.captured_ns - last.captured_ns < (2 + 3) * 1e9  # and the start of an interpreter
        assert source.pid != old
        assert source.reopened == 1
    assert [r.getMessage().split(": ", 1)[1].split(" (")[0] for r in caplog.records] == ["lost", "back"]
    assert "gave nothing for 750 ms" in caplog.records[0].getMessage()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> int:
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.parametrize("cycles", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_unplugged_and_back_in_every_cycle(tmp_path: Path, cycles: int, caplog: pytest.LogCaptureFixture) -> None:
    """Live within 500 ms of its return, a new epoch each time, nothing of the old one, no file or process left over."""
    told = list[str]()
    plug = tmp_path / "device"
    plug.touch()
    gaps_s = np.random.default_rng(3).uniform(0.05, 0.6, cycles)
    with remote(plug, present=plug, rate_hz=100) as source:
        source.tell = told.append
        frames = iter(source)
        next(frames)
        files, processes, pid = open_files(), children(), source.pid
        for cycle, gap_s in enumerate(gaps_s):
            until(frames, cycle)
            back_ns = list[int]()

            def plug_in(gap_s: float = gap_s, back_ns: list[int] = back_ns) -> None:
                pause(gap_s)
                back_ns.append(CLOCK.now_ns())
                plug.touch()

            plug.unlink()
            thread = threading.Thread(target=plug_in)
            thread.start()
            first = until(frames, cycle + 1)
            thread.join()
            assert first.epoch == cycle + 1
            assert first.captured_ns >= back_ns[0]
            assert first.captured_ns - back_ns[0] < 500e6
        assert (open_files(), children(), source.pid) == (files, processes, pid)
        assert source.reopened == cycles
    assert open_files() < files
    assert told == ["SOURCE_LOST", "REOPENED"] * cycles
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING], "the journal's, not stderr's"


@pytest.mark.parametrize("leaky", [False, True])
def test_processes_that_die_are_replaced_and_leave_nothing_behind(leaky: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """leaky: the planted fault, a reader whose pipe and memory nobody closes."""
    kept: list[object] = []
    if leaky:
        monkeypatch.setattr("edge3vt.stream.sources.reader.Reader._let_go", lambda self: kept.append(self))
    with remote(faults="exit@0.02:9") as source:
        frames = iter(source)
        until(frames, 1)
        files, processes = open_files(), children()
        until(frames, 3, 30)
        assert (open_files() > files) is leaky
        assert children() == processes
        assert source.reopened == 3


def test_corrupt_pictures_are_counted_and_never_an_exception() -> None:
    with remote(rate_hz=100, faults="corrupt@0.2-1.5", seconds=1.7) as source:
        frames = list(source)
    assert len(frames) + source.lost == 40
    assert source.corrupt == {"picture too short": 130}
    assert source.reopened == 0  # for 1.3 s nothing sound came, but the device was there


def test_what_the_first_opening_raises_is_raised() -> None:
    with pytest.raises(ConfigError, match="known: speckle, bars, flat"):
        remote(pattern="nothing")
    with pytest.raises(DataError, match="no such device"):
        remote(present=Path("/nowhere/device"))
    with pytest.raises(DataError, match="check the path"):
        RemoteSource(partial(VideoSource, Path("none.mp4"), CLOCK, paced=True))


def test_a_fifo_without_writer_is_killed_at_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that never returns: opening a FIFO. After its limit one line says so, and the process is gone."""
    from edge3vt.stream.sources import keeper

    fifo = tmp_path / "a.mp4"
    os.mkfifo(fifo)
    opening = partial(keeper.Keeper, opening_ns=1_500_000_000)
    monkeypatch.setattr("edge3vt.stream.sources.remote.Keeper", opening)
    before_ns, processes = CLOCK.now_ns(), children()
    with pytest.raises(DataError, match="its process ended"):
        RemoteSource(partial(open, fifo))  # type: ignore[arg-type]
    assert CLOCK.now_ns() - before_ns < 5 * NS_PER_S
    assert children() == processes


def test_the_end_of_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    with remote(seconds=1, faults="lost@0.2") as source, pytest.raises(DataError, match="the device is gone"):
        list(source)


def test_closing_from_another_thread_ends_the_iteration() -> None:
    source = remote(faults="hang@0.1")
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(f.index for f in source))
    thread.start()
    pause(0.3)
    before_ns = CLOCK.now_ns()
    source.close()
    thread.join(5)
    assert not thread.is_alive()
    assert CLOCK.now_ns() - before_ns < NS_PER_S
    assert seen
    source.close()
