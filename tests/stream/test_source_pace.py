from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edge3vt.core.clock import ManualClock, SystemClock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Layout, Region
from edge3vt.picture.clip import Picture
from edge3vt.stream.sources.pace import AHEAD, Replay, pace

MS = 1_000_000


def picture(time_ms: int) -> Picture:
    return Picture(time_ms * MS, np.full((4, 6), time_ms % 256, np.uint8), Layout.GRAY)


class Scripted:
    """A clip of pictures at given times; ``before`` is called before each is decoded."""

    name, width, height, rate_hz, notes = "scripted", 6, 4, 25.0, ("a note",)
    region, mm_per_px = Region(1, 1, 5, 3), 0.3

    def __init__(self, times_ms: list[int], fail_at: int | None = None) -> None:
        self._times_ms, self._fail_at = times_ms, fail_at
        self.frames = len(times_ms)
        self.decoded = 0

    def pictures(self) -> Iterator[Picture]:
        for index, time_ms in enumerate(self._times_ms):
            if index == self._fail_at:
                raise DataError("clip: damaged")
            self.decoded += 1
            yield picture(time_ms)


def test_unpaced_gives_every_frame_at_once_with_the_clips_own_times() -> None:
    clock = ManualClock(1000 * MS)
    frames = list(Replay(Scripted([0, 10, 40]), clock, paced=False))
    assert [f.captured_ns // MS for f in frames] == [1000, 1010, 1040]
    assert [f.index for f in frames] == [0, 1, 2]
    assert clock.now_ns() == 1000 * MS


def test_paced_gives_each_frame_when_it_is_due() -> None:
    clock = ManualClock(1000 * MS)
    seen = [(f.captured_ns // MS, clock.now_ns() // MS) for f in Replay(Scripted([0, 10, 40]), clock, paced=True)]
    assert seen == [(1000, 1000), (1010, 1010), (1040, 1040)]


def test_a_slow_consumer_does_not_move_the_capture_times() -> None:
    clock = ManualClock()
    captured = []
    for frame in Replay(Scripted([0, 10, 20, 30]), clock, paced=True):
        captured.append(frame.captured_ns // MS)
        clock.advance_ms(25)
    assert captured == [0, 10, 20, 30]


def test_a_picture_decoded_late_was_captured_late() -> None:
    """A source that cannot keep up must not look as if it had."""
    clock = ManualClock()
    go_on = threading.Event()

    def pictures() -> Iterator[Picture]:
        for index in range(AHEAD):
            yield picture(10 * index)
        go_on.wait(10)
        yield picture(10 * AHEAD)

    captured = []
    for _, captured_ns in pace(pictures(), clock):
        captured.append(captured_ns // MS)
        if len(captured) == AHEAD:
            clock.advance_ms(500)
            go_on.set()
    assert captured[:AHEAD] == [10 * index for index in range(AHEAD)]
    assert captured[AHEAD] == 10 * (AHEAD - 1) + 500


def test_decoding_runs_ahead_but_not_away() -> None:
    clip = Scripted([10 * i for i in range(100)])
    frames = iter(Replay(clip, ManualClock(), paced=True))
    for asked in range(1, 30):
        next(frames)
        assert asked <= clip.decoded <= asked + AHEAD
    frames.close()  # type: ignore[attr-defined]
    assert clip.decoded <= 30 + AHEAD
    assert not [t for t in threading.enumerate() if t.name == "decode"]


@pytest.mark.parametrize("paced", [True, False])
def test_damage_comes_in_its_place(paced: bool) -> None:
    frames = iter(Replay(Scripted([0, 10, 20, 30], fail_at=2), ManualClock(), paced=paced))
    assert [next(frames).index, next(frames).index] == [0, 1]
    with pytest.raises(DataError, match="damaged"):
        next(frames)


@pytest.mark.parametrize("paced", [True, False])
def test_frames_carry_what_the_clip_knows(paced: bool) -> None:
    source = Replay(Scripted([0]), ManualClock(), paced=paced)
    assert (source.name, source.width, source.height, source.rate_hz) == ("scripted", 6, 4, 25.0)
    assert (source.frames, source.notes) == (1, ("a note",))
    (frame,) = source
    assert (frame.region, frame.mm_per_px, frame.epoch) == (Region(1, 1, 5, 3), 0.3, 0)
    assert not frame.pixels.flags.writeable


def test_a_picture_may_differ_from_its_clip() -> None:
    class Differs(Scripted):
        def pictures(self) -> Iterator[Picture]:
            yield Picture(0, np.zeros((4, 6), np.uint8), Layout.GRAY, False, 3, Region(0, 0, 2, 2), 0.5)

    (frame,) = Replay(Differs([0]), ManualClock(), paced=False)
    assert (frame.region, frame.mm_per_px, frame.epoch, frame.full_range) == (Region(0, 0, 2, 2), 0.5, 3, False)


def test_a_replay_can_be_read_again() -> None:
    source = Replay(Scripted([0, 10]), SystemClock(), paced=False)
    assert len(list(source)) == len(list(source)) == 2


def test_an_empty_clip_ends_at_once() -> None:
    assert list(Replay(Scripted([]), ManualClock(), paced=True)) == []
