from __future__ import annotations

import numpy as np
import pytest

from edge3vt.bench.result import GONE
from edge3vt.bench.tape import Reel, Tape, flights, series, start_of, stream_block
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict

MS = 1_000_000
PIXELS = np.zeros((8, 8), np.uint8)
PERIOD = 10 * MS


def seg(
    index: int, total_ms: float = 8.0, *, verdict: Verdict = Verdict.ON_TIME, late: bool = False, withheld: str = ""
) -> Segmentation:
    """1 ms of age and of each stage; what is left of the total is the runner's."""
    frame, own = Frame(index, index * PERIOD, PIXELS), verdict is Verdict.ON_TIME
    return Segmentation(
        frame=frame,
        mask=PIXELS,
        mask_ns=frame.captured_ns if own else frame.captured_ns - PERIOD,
        crop=Crop(0, 0, 8, 8),
        verdict=verdict,
        reason="" if own else "engine busy",
        emitted_late=late,
        state=State.LIVE,
        scores=(),
        shown=not withheld,
        withheld=withheld,
        model_id="m-1",
        timing=Timing(MS, MS, 2 * MS, MS, MS, round(total_ms * MS)),
    )


def reel(*segs: Segmentation, given: int, warm_up_ms: float = 0.0, paced: bool = True, woke_ms: float = 0.5) -> Reel:
    """Of a source that gave so many frames, each woken late by woke_ms."""
    tape = Tape()
    for one in segs:
        tape.add(one, MS // 10)
    captured = np.arange(given, dtype=np.int64) * PERIOD
    woke = round(woke_ms * MS) if paced else 0
    return Reel(tape, captured, captured + woke, 300 * MS, paced, round(warm_up_ms * MS))


LATE = seg(3, 20.0, verdict=Verdict.SKIPPED, late=True, withheld="view seen in 3 of 5")
RUN = reel(seg(0), seg(1, 9.0), seg(2), LATE, seg(6), seg(7), given=8)


def test_every_frame_of_the_source_is_counted_once() -> None:
    block = stream_block([RUN], {"HANG": 1}, (5, 1), (8, 8))
    assert (block.frames, block.emitted, block.never_emitted, block.emitted_late) == (8, 6, 2, 1)
    assert (block.on_time, block.late, block.skipped) == (5, 0, 3)
    assert block.on_time + block.late + block.skipped == block.frames
    assert (block.misses, block.miss_rate, block.longest_streak) == (3, 3 / 8, 3)
    assert block.own_mask_rate == 5 / 6
    assert block.skipped_by_reason == {"engine busy": 1, "loop behind the source": 2}
    assert block.withheld_by_reason == {"view not seen long enough": 1}
    assert (block.written, block.dropped, block.restarts) == (5, 1, {"HANG": 1})


def test_the_runners_own_is_what_no_stage_and_no_late_waking_explains() -> None:
    block = stream_block([RUN], {}, (0, 0), (8, 8))
    assert block.runner_ms.samples == 5
    assert block.runner_ms.max_ms == pytest.approx(9 - 5 - 0.5)
    flat = stream_block([reel(seg(0), seg(1), given=2, paced=False)], {}, (0, 0), (8, 8))
    assert flat.runner_ms.max_ms == pytest.approx(3)
    assert flat.wake_ms.samples == 0
    assert block.wake_ms.max_ms == pytest.approx(0.5)
    assert block.stages_ms["infer"].samples == 5, "of frames with a mask of their own"
    assert block.stages_ms["delivered"].max_ms == pytest.approx(20.1)
    assert block.stages_ms["total"].samples == block.stages_ms["sink"].samples == 6


def test_misses_fly_from_capture_until_they_left_or_were_pushed_out() -> None:
    found = flights([RUN])
    assert [(f.index, f.lost) for f in found] == [(3, False), (4, True), (5, True)]
    assert found[0].left_ns - found[0].captured_ns == 20 * MS
    assert found[1].left_ns == 7 * PERIOD + MS // 2, "the fourth after it, or the last there was"


def test_warming_up_counts_for_nothing() -> None:
    warm = reel(seg(0, 99.0, late=True, verdict=Verdict.LATE), seg(1), seg(2), seg(4), given=5, warm_up_ms=10)
    block = stream_block([warm], {}, (0, 0), (8, 8))
    assert (block.frames, block.emitted, block.never_emitted, block.emitted_late) == (4, 3, 1, 0)
    assert block.skipped_by_reason == {"loop behind the source": 1}
    assert [flight.index for flight in flights([warm])] == [2]
    assert len(series([warm]).total_us) == 4


def test_frames_given_after_the_last_that_left_were_not_lost() -> None:
    """The run ended while they were on their way."""
    assert stream_block([reel(seg(0), seg(1), given=9)], {}, (0, 0), (8, 8)).never_emitted == 0


def test_a_frame_that_leaves_again_is_no_frame_of_the_source() -> None:
    again = reel(seg(0), seg(0, 900.0, verdict=Verdict.SKIPPED), seg(1), given=2)
    assert stream_block([again], {}, (0, 0), (8, 8)).emitted == 2


def test_the_series_has_a_row_a_frame_and_says_what_is_gone() -> None:
    told = series([RUN, reel(seg(0), given=1)])
    assert told.per_start == (8, 1)
    assert told.step_ms[:3] == (0, 10, 10)
    assert told.at_ms[:8] == (0, 10, 20, 30, 40, 50, 60, 70)
    assert told.total_us == (8000, 9000, 8000, 20000, GONE, GONE, 8000, 8000, 8000)
    assert told.infer_us == (2000, 2000, 2000, GONE, GONE, GONE, 2000, 2000, 2000)
    assert told.runner_us[1] == 3500


def test_several_starts_are_one_stream() -> None:
    both = stream_block([RUN, RUN], {}, (0, 0), (8, 8))
    assert (both.frames, both.misses, both.longest_streak) == (16, 6, 3)
    assert [flight.index for flight in flights([RUN, RUN])] == [3, 4, 5, 11, 12, 13]


def test_how_a_start_began() -> None:
    slow = start_of(reel(seg(0, 15.0, verdict=Verdict.SKIPPED), seg(2, 9.0), given=3))
    assert (slow.opening_ms, slow.first_total_ms, slow.first_infer_ms, slow.masked_after_ms) == (300, 15, 2, 29)
    never = start_of(reel(seg(0, 15.0, verdict=Verdict.SKIPPED), given=1))
    assert (never.first_total_ms, never.masked_after_ms) == (15, None)
    assert start_of(reel(given=0)).first_total_ms is None


def test_nothing_at_all() -> None:
    block = stream_block([reel(given=0)], {}, (0, 0), (8, 8))
    assert (block.frames, block.miss_rate, block.own_mask_rate) == (0, None, None)
