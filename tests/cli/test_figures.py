"""What a run tells while it lasts: codes in the log, restarts in the ledger, a trace, an input that drifts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.cli.figures import Asked, Figures
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, ManualClock
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict
from edge3vt.stream.journal import Journal
from edge3vt.stream.lane import failed
from edge3vt.stream.telemetry import Ledger


def seg(index: int, state: State = State.LIVE, code: str = "") -> Segmentation:
    pixels = np.random.default_rng(index).integers(180, 255, (384, 384), np.uint8)
    frame = Frame(index, index * NS_PER_S, pixels, mm_per_px=0.3)
    timing = Timing(total_ns=5 * NS_PER_MS)
    return Segmentation(
        frame, None, None, None, Verdict.SKIPPED, "", False, state, (), False, "no mask yet", "m", timing, code
    )


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def figures(
    stack: ExitStack,
    said: list[str],
    asked: Asked | None = None,
    model: str = "another",
    restarts: Counter[str] | None = None,
) -> tuple[Figures, Ledger, ManualClock]:
    clock, ledger, counted = ManualClock(), Ledger(16.7), restarts if restarts is not None else Counter[str]()
    journal = Journal(clock, said.append)
    told = Figures(stack, clock, journal, ledger, [], asked or Asked(), model=model, restarts=lambda: counted)
    return told, ledger, clock


def test_a_change_of_state_is_said_once_and_by_its_code(stack: ExitStack) -> None:
    said: list[str] = []
    told, _, clock = figures(stack, said)
    for index, (state, code) in enumerate(
        [(State.LIVE, ""), (State.FROZEN, ""), (State.FROZEN, ""), (State.AI_OFF, "HANG"), (State.LIVE, "")]
    ):
        clock.advance_ms(11_000)
        told.delivered(seg(index, state, code))
    assert [line.split()[1] for line in said] == ["FROZEN", "HANG", "LIVE"]


def test_restarts_are_counted_where_the_summary_finds_them(stack: ExitStack) -> None:
    restarts = Counter[str]()
    said: list[str] = []
    told, ledger, _ = figures(stack, said, restarts=restarts)
    told.delivered(seg(0))
    restarts["HANG"] += 2
    told.delivered(seg(1))
    told.delivered(seg(2))
    assert ledger.summary().restarts == {"HANG": 2}
    assert any("RESTART" in line for line in said)


def test_the_trace_holds_engine_and_sinks(stack: ExitStack, tmp_path: Path) -> None:
    told, _, clock = figures(stack, [], Asked(trace=tmp_path / "trace.json"))
    asked = seg(3)
    told.result(failed(asked.frame, Crop(0, 0, 64, 64), asked.frame.captured_ns + NS_PER_MS, "m", "late"))
    clock.advance_ms(3010)
    told.delivered(asked)
    stack.close()
    names = {event.get("name") for event in json.loads((tmp_path / "trace.json").read_text())}
    assert {"infer", "sink"} <= names


def test_drift_is_advice_on_the_status_line_and_a_figure(stack: ExitStack) -> None:
    told, _, clock = figures(stack, [], model="student-s384")
    assert told.notices() == ()
    for index in range(40):
        clock.advance_ms(1000)
        told.delivered(seg(index))
    (notice,) = told.notices()
    assert notice.startswith("UNLIKE TRAINING: ")
    assert {name: value for name, _, value in told.gauges()}["input_drift_ratio"] > 1


def test_what_saturates_is_told_as_a_running_mean(stack: ExitStack) -> None:
    told, _, _ = figures(stack, [])
    asked = seg(0)
    done = failed(asked.frame, Crop(0, 0, 64, 64), NS_PER_MS, "m", "")
    assert "input_saturated_ratio" not in {name for name, _, _ in told.gauges()}, "nothing is known yet"
    for _ in range(200):
        told.result(replace(done, saturated=(0.5, 0.25)))
    told.result(replace(done, error="late", saturated=(1.0, 1.0)))
    found = {name: value for name, _, value in told.gauges()}
    assert found["input_saturated_ratio"] == pytest.approx(0.5)
    assert found["output_saturated_ratio"] == pytest.approx(0.25)


@pytest.mark.parametrize(("model", "drifts"), [("student-s384", True), ("another", False)])
def test_drift_is_told_for_the_model_that_has_a_card(stack: ExitStack, model: str, drifts: bool) -> None:
    said: list[str] = []
    told, _, clock = figures(stack, said, model=model)
    for index in range(40):
        clock.advance_ms(1000)
        told.delivered(seg(index))
    assert sum("DRIFT" in line for line in said) == drifts, "pictures of bright noise are no phantoms"
