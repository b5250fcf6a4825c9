"""The oracle against pictures that the real composer drew, and against planted faults in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.bench.oracle import HEIGHT, SPEC, WIDTH, Originals, look, wrong
from edge3vt.core.clock import NS_PER_MS, ManualClock
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.engine.fake import FakeSession
from edge3vt.picture.crop import acquire
from edge3vt.picture.draw import Composer
from edge3vt.stream.lane import LaneResult, Worker
from edge3vt.stream.sources.test import Pattern, PatternSource

PERIOD_MS = 1000 / 60


@pytest.fixture(scope="module")
def clip() -> tuple[Originals, list[Frame], list[LaneResult]]:
    clock = ManualClock()
    kept = Originals(PatternSource(Pattern(width=WIDTH, height=HEIGHT, seconds=0.4, code="ms"), clock))
    frames = list(kept)
    worker = Worker(FakeSession(SPEC, clock), clock)
    return kept, frames, [worker.result(frame, acquire(frame, SPEC.width)) for frame in frames]


def segmentation(frame: Frame, result: LaneResult, state: State = State.LIVE, *, shown: bool = True) -> Segmentation:
    return Segmentation(
        frame=frame,
        mask=result.mask,
        mask_ns=result.captured_ns,
        crop=result.crop,
        verdict=Verdict.LATE,
        reason="",
        emitted_late=False,
        state=state,
        scores=result.scores,
        shown=shown,
        withheld="" if shown else "AI is off",
        model_id=SPEC.model_id,
        code="HANG" if state is State.AI_OFF else "",
    )


@pytest.mark.parametrize(
    ("lag", "state"),
    [(0, State.LIVE), (1, State.LIVE), (2, State.LIVE), (3, State.AI_LATE), (5, State.AI_LATE)],
)
def test_both_codes_are_read_from_what_the_composer_drew(
    clip: tuple[Originals, list[Frame], list[LaneResult]], lag: int, state: State
) -> None:
    kept, frames, results = clip
    compose = Composer(SPEC)
    for i in range(8, len(frames)):
        picture = compose(segmentation(frames[i], results[i - lag], state))
        sight = look(picture, 7, kept.of(picture))
        assert sight.code == frames[i].captured_ns // NS_PER_MS
        assert sight.origin == frames[i - lag].captured_ns // NS_PER_MS
        assert (sight.drawn, sight.said, sight.altered) == (True, state, 0)
        assert wrong(sight, PERIOD_MS) == ""
        if i > 12:  # the composer has seen the source's period
            assert sight.dashed == (lag > 2)


def test_no_overlay_is_no_overlay_and_says_why(clip: tuple[Originals, list[Frame], list[LaneResult]]) -> None:
    kept, frames, results = clip
    picture = Composer(SPEC)(segmentation(frames[9], results[9], State.AI_OFF, shown=False))
    sight = look(picture, 0, kept.of(picture))
    assert (sight.drawn, sight.origin, sight.said, sight.altered) == (False, None, State.AI_OFF, 0)
    assert wrong(sight, PERIOD_MS) == ""


def test_an_old_mask_without_its_mark_is_caught(clip: tuple[Originals, list[Frame], list[LaneResult]]) -> None:
    _, frames, results = clip
    lie = replace(segmentation(frames[20], results[16]), mask_ns=frames[20].captured_ns)
    sight = look(Composer(SPEC)(lie), 0)
    assert sight.age_ms == pytest.approx(4 * PERIOD_MS, abs=1)
    assert wrong(sight, PERIOD_MS) == "an old mask without its mark"
    older = replace(segmentation(frames[20], results[10], State.AI_LATE), mask_ns=frames[16].captured_ns)
    assert wrong(look(Composer(SPEC)(older), 0), PERIOD_MS) == "a mask older than 100 ms"
    later = replace(segmentation(frames[20], results[22]), mask_ns=frames[20].captured_ns)
    assert wrong(look(Composer(SPEC)(later), 0), PERIOD_MS) == "a mask of a later frame"


def test_drawn_garbage_is_caught(clip: tuple[Originals, list[Frame], list[LaneResult]]) -> None:
    kept, frames, results = clip
    mask = np.zeros_like(results[9].mask)
    mask[300:400, 100:500] = 1
    picture = Composer(SPEC)(segmentation(frames[9], replace(results[9], mask=mask)))
    sight = look(picture, 0, kept.of(picture))
    assert wrong(sight, PERIOD_MS) == "drawn garbage"
    assert (sight.altered or 0) > 1000


@pytest.mark.parametrize("shown", [True, False])
def test_one_altered_pixel_is_seen(clip: tuple[Originals, list[Frame], list[LaneResult]], shown: bool) -> None:
    kept, frames, results = clip
    picture = Composer(SPEC)(segmentation(frames[9], results[9], shown=shown))
    picture[200, 300, 1] ^= 1
    assert look(picture, 0, kept.of(picture)).altered == 1


def test_a_picture_of_a_source_that_nobody_kept_has_no_source(
    clip: tuple[Originals, list[Frame], list[LaneResult]],
) -> None:
    kept, frames, results = clip
    short = Originals(frames, kept=2)
    list(short)
    picture = Composer(SPEC)(segmentation(frames[0], results[0]))
    assert short.of(picture) is None
    assert short.given == kept.given
    assert look(picture, 0, short.of(picture)).altered is None


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("code", ["", "CRASHLOOP"])
def test_every_state_is_read(clip: tuple[Originals, list[Frame], list[LaneResult]], state: State, code: str) -> None:
    _, frames, results = clip
    seg = replace(segmentation(frames[9], results[8], state, shown=False), code=code)
    assert look(Composer(SPEC)(seg), 0).said is state
