"""The region is looked for beside the loop, holds once it is confirmed, and is not asked for twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.frame import Frame, Region
from edge3vt.stream.profile import Found, Framing
from edge3vt.stream.seeker import AGAIN_NS, APART_NS, LOOKS, Seeker

BOX = Region(100, 50, 500, 400)
CLOCK = SystemClock()


def frame(index: int, width: int = 640) -> Frame:
    return Frame(index, index, np.zeros((480, width), np.uint8))


class Finding:
    """Answers what it is told to; ``looks``: how often it was asked."""

    def __init__(self, *answers: Found | Exception | None) -> None:
        self._answers, self.looks, self.saw = list(answers), 0, list[int]()
        self.asked = threading.Event()

    def __call__(self, frames: Sequence[Frame]) -> Found | None:
        self.looks += 1
        self.saw.append(len(frames))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.asked.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Stream:
    """Frames through framing and seeker at simulated times, as the loop does."""

    def __init__(self, find: Finding, accept: bool = False) -> None:
        self.framing, self.find = Framing(), find
        self.seeker = Seeker(self.framing, accept=accept, find=find)
        self.now_ns, self.index, self.width = NS_PER_S, 0, 640

    def run(self, seconds: float) -> Frame:
        """Ten pictures a second; a look that begins is waited for."""
        for _ in range(round(10 * seconds)):
            self.now_ns += NS_PER_S // 10
            self.index += 1
            self.find.asked.clear()
            looked = self.find.looks
            framed = self.framing.step(frame(self.index, self.width))
            self.seeker.saw(framed, self.now_ns)
            if self.seeker._busy and self.seeker._answer is None:
                end_ns = CLOCK.now_ns() + 20 * NS_PER_S
                while self.seeker._answer is None and CLOCK.now_ns() < end_ns:
                    CLOCK.sleep_until_ns(CLOCK.now_ns() + NS_PER_S // 1000)
                assert self.find.looks == looked + 1
        return self.framing.step(frame(self.index, self.width))


@pytest.fixture
def streamed() -> Iterator[list[Stream]]:
    opened: list[Stream] = []
    yield opened
    for stream in opened:
        stream.seeker.close()


def test_what_is_found_waits_for_a_look(streamed: list[Stream]) -> None:
    stream = Stream(Finding(Found(BOX, 0.9)))
    streamed.append(stream)
    assert stream.run(0.5).region is None
    assert stream.run(3).region == BOX
    assert stream.find.saw == [LOOKS]
    assert stream.seeker.waits
    assert stream.framing.unconfirmed
    stream.seeker.confirm()
    assert not stream.seeker.waits
    assert stream.run(30).region == BOX
    assert stream.find.looks == 1, "it is not looked for again"


def test_accepted_ahead_it_holds_at_once(streamed: list[Stream]) -> None:
    stream = Stream(Finding(Found(BOX, 0.9)), accept=True)
    streamed.append(stream)
    assert stream.run(3).region == BOX
    assert not stream.seeker.waits


def test_the_same_region_after_a_change_is_not_asked_for_again_and_another_one_is(streamed: list[Stream]) -> None:
    nearly, other = Region(101, 50, 500, 401), Region(200, 50, 600, 400)
    stream = Stream(Finding(Found(BOX, 0.9), Found(nearly, 0.9), Found(other, 0.9)))
    streamed.append(stream)
    stream.run(3)
    stream.seeker.confirm()
    stream.framing.renew()
    assert stream.framing.unconfirmed, "while it is looked for again there is no overlay"
    assert not stream.seeker.waits, "and nothing to be confirmed"
    assert stream.run(3).region == BOX, "the very one that was confirmed"
    assert not stream.seeker.waits
    stream.framing.renew()
    assert stream.run(3).region == other
    assert stream.seeker.waits


def test_a_screen_that_has_no_region_any_more_is_taken_whole(streamed: list[Stream]) -> None:
    stream = Stream(Finding(Found(BOX, 0.9), None))
    streamed.append(stream)
    stream.run(3)
    stream.seeker.confirm()
    stream.framing.renew()
    assert stream.framing.unconfirmed
    assert stream.run(3).region is None
    assert not stream.framing.unconfirmed


def test_another_size_of_picture_is_another_screen(streamed: list[Stream]) -> None:
    stream = Stream(Finding(Found(BOX, 0.9)))
    streamed.append(stream)
    stream.run(3)
    stream.seeker.confirm()
    stream.width = 800
    assert stream.run(3).region == BOX
    assert stream.seeker.waits


@pytest.mark.parametrize(
    "answer", [None, Found(Region(2, 2, 640, 480), 0.9), ValueError("a picture nobody thought of")]
)
def test_where_nothing_is_found_the_whole_picture_stays_and_it_is_tried_again_less_and_less(
    streamed: list[Stream], answer: Found | Exception | None
) -> None:
    stream = Stream(Finding(answer))
    streamed.append(stream)
    assert stream.run(3).region is None
    assert not stream.seeker.waits
    assert stream.find.looks == 1
    stream.run(AGAIN_NS / NS_PER_S + 2)
    assert stream.find.looks == 2
    stream.run(600)
    assert stream.find.looks < 15


def test_a_source_that_knows_its_region_is_left_alone(streamed: list[Stream]) -> None:
    stream = Stream(Finding(Found(BOX, 0.9)))
    streamed.append(stream)
    for index in range(100):
        own = Frame(index, index, np.zeros((480, 640), np.uint8), region=Region(0, 0, 300, 300))
        stream.seeker.saw(stream.framing.step(own), index * APART_NS)
    assert stream.find.looks == 0
