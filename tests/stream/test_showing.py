"""What a frame leaves with when the engine is changed: nothing of the one before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge3vt.core.clock import NS_PER_MS, ManualClock
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.core.spec import ModelSpec
from edge3vt.stream.lane import LaneResult, failed
from edge3vt.stream.showing import Arrived, Showing
from edge3vt.stream.watch import Seen

SPEC = ModelSpec(1, "fake", "1", ("background", "bright"), 32, 32, 4, True, True, "")
CROP = Crop(0, 0, 32, 32)
SAID = Seen(None, None, 0)


class Changing:
    """A lane whose engine is what the test says."""

    spec, off = SPEC, ""


def frame(index: int) -> Frame:
    return Frame(index, index * 16 * NS_PER_MS, np.full((32, 32), 200, np.uint8))


class Loop:
    def __init__(self) -> None:
        self.lane, self.clock = Changing(), ManualClock()
        self.showing = Showing(self.lane, None, self.clock, 16 * NS_PER_MS)  # type: ignore[arg-type]

    def answered(self, index: int) -> None:
        """The engine gives the mask of that frame."""
        asked = frame(index)
        self.showing.crop(asked)
        mask = np.zeros((32, 32), np.uint8)
        mask[8:24, 8:24] = 1
        answer = failed(asked, CROP, asked.captured_ns + NS_PER_MS, self.lane.spec.model_id, "")
        self.showing.judge(replace(answer, mask=mask, scores=(0.9, 0.9), view=8.0))

    def refused(self, index: int) -> LaneResult:
        asked = frame(index)
        self.showing.crop(asked)
        return self.showing.judge(failed(asked, CROP, asked.captured_ns, "fake-1", "HANG"))

    def left(self, index: int) -> Segmentation:
        return self.showing.segmentation(Arrived(frame(index), 0, SAID), Verdict.LATE, "", 16 * NS_PER_MS)


def test_an_older_mask_is_drawn_only_while_its_engine_is_there() -> None:
    loop = Loop()
    for index in range(8):
        loop.answered(index)
    assert loop.left(8).shown
    assert loop.showing.has(7)
    loop.lane.spec = replace(SPEC, version="2")
    changed = loop.left(8)
    assert (changed.shown, changed.mask, changed.withheld) == (False, None, "no mask yet")
    assert not loop.showing.has(7), "a repeated picture is for the new engine"
    loop.answered(9)
    assert loop.left(9).model_id == "fake-2"


def test_what_an_engine_ended_with_is_said_until_the_next_one_answers() -> None:
    loop = Loop()
    loop.answered(0)
    loop.refused(1)
    loop.lane.spec = replace(SPEC)
    assert loop.left(2).state is State.AI_INVALID
    assert loop.left(2).withheld == "HANG"
