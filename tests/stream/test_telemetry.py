"""The ledger's counts and rates."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict
from edge3vt.stream.telemetry import Ledger, lines

PIXELS = np.zeros((8, 8), np.uint8)


def seg(index: int, verdict: Verdict, *, late: bool = False, shown: bool = False, withheld: str = "") -> Segmentation:
    frame = Frame(index, index * 16_000_000, PIXELS)
    own = verdict is Verdict.ON_TIME
    return Segmentation(
        frame=frame,
        mask=PIXELS if own else None,
        mask_ns=frame.captured_ns if own else None,
        crop=Crop(0, 0, 8, 8),
        verdict=verdict,
        reason="" if own else "engine busy",
        emitted_late=late,
        state=State.LIVE,
        scores=(),
        shown=shown,
        withheld=withheld,
        model_id="m-1",
        timing=Timing(age_ns=100_000, infer_ns=2_000_000, total_ns=(20 if late else 5) * 1_000_000),
    )


def test_rates_are_as_the_design_defines_them() -> None:
    ledger = Ledger(16.7)
    for i in range(6):
        ledger.emitted(seg(i, Verdict.ON_TIME, shown=True))
    ledger.emitted(seg(6, Verdict.LATE, late=True))
    ledger.emitted(seg(7, Verdict.SKIPPED))
    ledger.lost("loop behind the source")
    ledger.lost("loop behind the source")
    summary = ledger.summary()
    assert (summary.frames, summary.emitted, summary.shown) == (10, 8, 6)
    assert (summary.on_time, summary.late, summary.skipped) == (6, 1, 3)
    assert summary.on_time + summary.late + summary.skipped == summary.frames
    assert summary.miss_rate == pytest.approx(3 / 10)
    assert summary.own_mask_rate == pytest.approx(6 / 8)
    assert summary.longest_streak == 2
    assert summary.skipped_by_reason == {"engine busy": 2, "loop behind the source": 2}


def test_few_frames_give_no_percentile_they_cannot_carry() -> None:
    ledger = Ledger(16.7)
    for i in range(30):
        ledger.emitted(seg(i, Verdict.ON_TIME))
    total = ledger.summary().total_ms
    assert total is not None
    assert total.p50 == 5.0
    assert total.p95 is None
    assert total.max == 5.0
    assert any("percentile(99%) = n/a" in line for line in lines(ledger.summary(), "x"))


def test_offline_there_is_no_deadline_to_miss() -> None:
    ledger = Ledger(None)
    ledger.emitted(seg(0, Verdict.ON_TIME))
    summary = ledger.summary()
    assert summary.miss_rate is None
    assert summary.total_ms is None


def test_withheld_reasons_are_counted_without_their_numbers() -> None:
    ledger = Ledger(16.7)
    for n in (1, 2):
        ledger.emitted(seg(n, Verdict.ON_TIME, withheld=f"view seen in {n} of 3 frames"))
    assert ledger.summary().withheld_by_reason == {"view not seen long enough": 2}
