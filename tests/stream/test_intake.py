"""The intake: nothing is lost unseen, the end and the errors of a source arrive in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edge3vt.core.clock import SystemClock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame
from edge3vt.stream.intake import DEPTH, Intake

PIXELS = np.zeros((4, 4), np.uint8)


def frames(count: int, then: Exception | None = None) -> Iterator[Frame]:
    for i in range(count):
        yield Frame(i, i, PIXELS)
    if then is not None:
        raise then


def drain(intake: Intake) -> tuple[list[int], int]:
    seen, lost = [], 0
    while not intake.ended:
        arrived, more = intake.take(None)
        seen += [f.index for f in arrived]
        lost += more
    return seen, lost


def test_every_frame_is_taken_or_counted_as_lost_and_the_newest_win() -> None:
    finished = threading.Event()

    def source() -> Iterator[Frame]:
        yield from frames(DEPTH + 6)
        finished.set()

    intake = Intake(source(), SystemClock())
    assert finished.wait(10)
    seen, lost = drain(intake)
    assert seen == list(range(6, DEPTH + 6))
    assert lost == 6


def test_what_the_source_raises_comes_after_its_frames() -> None:
    intake = Intake(frames(2, DataError("clip: damaged")), SystemClock())
    seen: list[int] = []
    while len(seen) < 2:
        seen += [f.index for f in intake.take(None)[0]]
    with pytest.raises(DataError, match="damaged"):
        intake.take(None)
    assert seen == [0, 1]
    assert intake.ended


def test_taking_ends_at_the_deadline() -> None:
    gate = threading.Event()

    def stuck() -> Iterator[Frame]:
        gate.wait(10)
        yield from frames(1)

    intake = Intake(stuck(), SystemClock())
    assert intake.take(SystemClock().now_ns() + 5_000_000) == ([], 0)
    gate.set()
    assert drain(intake)[0] == [0]
