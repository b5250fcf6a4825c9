from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from edge3vt.bench import feed as module
from edge3vt.bench.feed import Feed, held
from edge3vt.bench.scenario import Arrivals
from edge3vt.core.clock import NS_PER_MS, ManualClock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame
from tests.bench.measured import pictures


class LateClock(ManualClock):
    """Every sleep ends 3 ms late."""

    def sleep_until_ns(self, deadline_ns: int) -> None:
        super().sleep_until_ns(deadline_ns + 3 * NS_PER_MS)


def test_frames_carry_the_time_at_which_they_were_due_and_the_feed_when_they_came() -> None:
    feed = Feed(pictures(3), Arrivals("paced", 100), 0.05, LateClock(7))
    frames = list(feed)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [(frame.captured_ns - 7) // NS_PER_MS for frame in frames] == [0, 10, 20, 30, 40]
    assert {given - captured for captured, given in zip(feed.captured, feed.given, strict=True)} == {3 * NS_PER_MS}
    assert frames[3].pixels is frames[0].pixels
    assert (feed.width, feed.height) == (160, 120)


def test_each_round_is_of_other_epochs() -> None:
    two = [Frame(i, 0, picture.pixels, epoch=i // 2) for i, picture in enumerate(pictures(4))]
    epochs = [frame.epoch for frame in Feed(two, Arrivals("paced", 100), 0.1, ManualClock())]
    assert epochs == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_flat_out_frame_waits_until_the_last_has_left() -> None:
    clock = ManualClock()
    feed = Feed(pictures(), Arrivals("flat-out"), 0.03, clock)
    frames = iter(feed)
    times = []
    for frame in frames:
        times.append(frame.captured_ns // NS_PER_MS)
        clock.advance_ms(10)
        assert not feed._free.acquire(blocking=False), "nothing may come before next"
        feed.next()
    assert times == [0, 10, 20]


def test_closing_ends_it() -> None:
    feed = Feed(pictures(), Arrivals("flat-out"), 99, ManualClock())
    frames = iter(feed)
    next(frames)
    feed.close()
    assert list(frames) == []


def test_pictures_have_to_be_there_of_one_size_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no pictures"):
        Feed([], Arrivals("paced"), 1, ManualClock())
    wide = Frame(9, 0, np.zeros((120, 200), np.uint8))
    with pytest.raises(DataError, match="several sizes"):
        held(iter([*pictures(2), wide]), "a clip")
    assert len(held(islice(iter(pictures(4)), 4), "a clip")) == 4
    monkeypatch.setattr(module, "LARGEST_BYTES", 3 * 160 * 120)
    with pytest.raises(DataError, match="shorter"):
        held(iter(pictures(4)), "a clip")
