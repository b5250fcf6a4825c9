"""The ledger's counts and rates."""

from __future__ import annotations

import dataclasses
import gc
import inspect
import re
import sys
import timeit

import numpy as np
import pytest

from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict
from edge3vt.stream import deadline, gate, runner, watch
from edge3vt.stream.telemetry import MAX_REASONS, Ledger, known_reason, lines

PIXELS = np.zeros((8, 8), np.uint8)
PATIENT = "MUSTERFRAU^ERIKA"


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


def test_percentiles_are_within_one_percent_and_memory_does_not_grow() -> None:
    ledger = Ledger(16.7)
    for i in range(600):
        timing = Timing(total_ns=(i + 1) * 1_000_000)
        ledger.emitted(dataclasses.replace(seg(i, Verdict.ON_TIME), timing=timing))
    total = ledger.summary().total_ms
    assert total is not None
    assert total.p99 == pytest.approx(594, rel=0.01)
    assert total.max == 600
    held = deep_size(ledger)
    for i in range(600, 3000):
        ledger.emitted(seg(i, Verdict.SKIPPED, withheld=f"view seen in {i} of 3 frames"))
        ledger.lost(f"reason {i}")
        ledger.restarted(f"CODE{i}")
        ledger._notices.add(f"STATE{i}")
    assert deep_size(ledger) - held < 20_000
    assert len(ledger.summary().notices) == MAX_REASONS + 1
    assert sum(ledger.summary().notices.values()) == 2400


def test_a_ledger_that_keeps_every_frame_would_be_seen() -> None:
    ledger, kept = Ledger(16.7), []
    held = deep_size([ledger, kept])
    for i in range(2400):
        ledger.emitted(seg(i, Verdict.ON_TIME))
        kept.append(1_000_000 + i)
    assert deep_size([ledger, kept]) - held > 20_000


def deep_size(root: object) -> int:
    """Bytes of what is reached from ``root``."""
    seen: set[int] = set()
    todo = [root]
    total = 0
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        total += sys.getsizeof(item)
        todo += gc.get_referents(item)
    return total


def test_what_an_engine_says_is_counted_but_not_repeated() -> None:
    ledger = Ledger(16.7)
    said = dataclasses.replace(seg(0, Verdict.SKIPPED, withheld=PATIENT), state=State.AI_INVALID, reason=PATIENT)
    ledger.emitted(said)
    ledger.lost(f"cannot read {PATIENT}")
    ledger.restarted(PATIENT)
    summary = ledger.summary()
    assert summary.withheld_by_reason == {"engine failed": 1}
    assert summary.skipped_by_reason == {"other": 2}
    assert summary.restarts == {"other": 1}
    assert PATIENT not in f"{summary} {lines(summary, 'x')} {ledger.tallies()} {ledger.counts()}"
    assert PATIENT in said.withheld  # the search would find it


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ("superior vena cava too small", "superior vena cava too small"),
        ("mask 120 ms too old", "other"),
        ("mask too old", "mask too old"),
        ("source gap of 3 frames", "source gap of frames"),
        ("superior vena cava of Muster", "other"),
        ("", "other"),
    ],
)
def test_reasons_are_our_own_words(said: str, counted: str) -> None:
    assert known_reason(said) == counted


def test_every_reason_that_the_stream_gives_is_known() -> None:
    for module in (gate, deadline, watch, runner):
        source = inspect.getsource(module)
        said = re.findall(r'(?:return|skipped =|withheld =|why =|lost\()[^\n"]*"([a-zA-Z][^"{}:]+ [^"{}:]+)"', source)
        assert said
        assert {reason for reason in said if known_reason(reason) == "other"} == set()


def test_states_and_their_beginnings_are_counted() -> None:
    ledger = Ledger(16.7)
    states = [State.LIVE, State.NO_SIGNAL, State.NO_SIGNAL, State.LIVE, State.NO_SIGNAL, State.FROZEN, State.AI_LATE]
    for i, state in enumerate(states):
        ledger.emitted(dataclasses.replace(seg(i, Verdict.ON_TIME), state=state))
    summary = ledger.summary()
    assert summary.states == {"LIVE": 2, "NO SIGNAL": 3, "FROZEN?": 1, "AI LATE": 1}
    assert summary.notices == {"NO SIGNAL": 2, "FROZEN?": 1, "AI LATE": 1}
    assert "NO SIGNAL began 2 times" in lines(summary, "x")


def test_a_picture_that_leaves_once_more_is_no_frame() -> None:
    ledger = Ledger(16.7)
    ledger.emitted(seg(0, Verdict.ON_TIME))
    ledger.noticed(State.NO_SIGNAL)
    ledger.noticed(State.NO_SIGNAL)
    ledger.emitted(seg(1, Verdict.ON_TIME))
    assert (ledger.summary().frames, ledger.summary().notices) == (2, {"NO SIGNAL": 1})


@pytest.mark.timing
def test_a_frame_costs_less_than_30_us() -> None:
    ledger, said = Ledger(16.7), seg(0, Verdict.ON_TIME, shown=True)
    assert min(timeit.repeat(lambda: ledger.emitted(said), number=1000, repeat=5)) / 1000 < 30e-6
