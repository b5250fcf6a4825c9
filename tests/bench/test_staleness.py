"""P2 in compressed time, and that each of its checks can fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.bench import staleness
from edge3vt.bench.findings import read_record
from edge3vt.bench.staleness import findings, main, mask_of, origin_of, simulate
from edge3vt.stream import showing
from edge3vt.stream.lane import LaneResult

PLANTED = 4_000


def test_no_old_mask_is_shown_unmarked() -> None:
    counts = simulate(20_000)
    assert [f for f in findings(counts) if f.verdict != "pass"] == []
    assert counts.frames > 19_600, "what is lost behind the mailbox is little"
    assert counts.marked > 400


@pytest.mark.slow
def test_a_million_frames() -> None:
    assert all(f.verdict == "pass" for f in findings(simulate(1_000_000)))


def test_masks_hold_their_number() -> None:
    assert [origin_of(mask_of(n)) for n in (0, 1, 4711, 2**32 - 1)] == [0, 1, 4711, 2**32 - 1]


def test_a_loop_that_marks_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "NORMAL_PERIODS", 1e9)
    assert simulate(PLANTED).unmarked > 10


def test_a_loop_that_shows_the_oldest_masks_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "OLDEST_SHOWN_NS", 1 << 60)
    assert simulate(PLANTED).too_old > 10


def test_an_age_that_lies_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result claims a later capture than its mask's."""
    true = staleness._result

    def lying(frame, crop, done_ns, mask) -> LaneResult:  # type: ignore[no-untyped-def]
        return replace(true(frame, crop, done_ns, mask), captured_ns=frame.captured_ns + 80_000_000)

    monkeypatch.setattr(staleness, "_result", lying)
    counts = simulate(PLANTED)
    assert counts.unmarked > 10
    assert counts.too_old > 10


def test_a_mask_that_crosses_an_epoch_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine mixes frames up: the mask that it gives is of some frames before."""
    monkeypatch.setattr(staleness, "mask_of", lambda index: mask_of(max(index - 3, 0)))
    counts = simulate(PLANTED)
    assert counts.crossed > 0
    assert counts.unmarked > 10


def test_garbage_that_is_believed_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "sound", lambda result, classes: result)
    assert simulate(PLANTED).too_old > 0, "a mask of no frame"


def test_a_run_in_which_nothing_broke_proves_nothing() -> None:
    failed = [f.what for f in findings(simulate(50)) if f.verdict == "FAIL"]
    assert failed == ["hangs, crashes, garbage, gaps, epochs and marked masks each"]


def test_one_command_writes_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "staleness.json"
    assert main(["8000", str(out)]) == 0
    record = read_record(out)
    assert record.passed
    assert record.command == "python -m edge3vt.bench.staleness 8000 OUT --seed 1"
    assert record.machine.cores >= 1
    assert len(record.findings) == len(capsys.readouterr().out.splitlines())
    assert np.isfinite([f.figure for f in record.findings if f.figure is not None]).all()
