"""The source's drills, short; with a fault planted where they must fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.bench import source_drills
from edge3vt.bench.findings import Finding
from edge3vt.bench.source_drills import corrupt, hanging, rate_jumps, sizes, still, unplugged
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import State
from edge3vt.stream.lane import ThreadLane
from edge3vt.stream.sources import remote
from edge3vt.stream.watch import Seen, Watch
from tests.bench.test_engine_drills import named, untimed


@pytest.fixture(autouse=True)
def sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_drills, "LIVE_S", 0.7)


def broken(found: list[Finding]) -> list[str]:
    return [finding.what for finding in untimed(found)]


def test_a_source_that_goes_and_comes(tmp_path: Path) -> None:
    found = unplugged(ThreadLane, 2, tmp_path, gaps_s=(0.4, 0.3))
    assert [f.what for f in untimed(found) if f.unit != "ms"] == []
    assert all((f.figure or 1e9) < 1000 for f in found if f.unit == "ms")


def test_a_loss_that_is_not_said_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watch, "silence", lambda watch, now_ns: None)
    found = unplugged(ThreadLane, 1, tmp_path, gaps_s=(0.4,))
    assert named(found, "loss said").verdict == "FAIL"


def test_a_source_that_stays_away_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_drills, "LIVE_S", 1.2)  # only a source that ran for a second waits the first pause
    monkeypatch.setattr(remote, "Appeared", lambda: remote.Heard())
    monkeypatch.setattr("edge3vt.stream.sources.keeper.FIRST_PAUSE_NS", 1 << 60)
    found = unplugged(ThreadLane, 1, tmp_path, gaps_s=(0.4,))
    assert named(found, "live after the return").verdict == "FAIL"


def test_a_read_that_hangs_is_ended_and_read_again() -> None:
    found = hanging(ThreadLane, 3.6, after_s=0.8)
    assert [f.what for f in untimed(found) if f.unit != "ms"] == []


def test_rates_that_jump() -> None:
    assert broken(rate_jumps(ThreadLane, 3.2)) == []


def test_sizes_that_change() -> None:
    found = sizes(ThreadLane, 1.8)
    assert [what for what in broken(found) if "own mask" not in what] == []


def test_a_format_that_nobody_notices_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Watch.step

    def unnoticed(watch: Watch, frame: Frame, now_ns: int) -> Seen:
        said = real(watch, frame, now_ns)
        return Seen(None, said.repeat_of, 0)

    monkeypatch.setattr(Watch, "step", unnoticed)
    failed = broken(sizes(ThreadLane, 1.2))
    assert "FORMAT CHANGED said after, longest of 2" in failed


def test_corrupt_buffers_are_counted_and_not_shown() -> None:
    assert broken(corrupt(ThreadLane, 1.8)) == []


def test_black_and_frozen_pictures() -> None:
    assert broken(still(ThreadLane, 3.2)) == []


def test_frozen_pictures_that_nobody_notices_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Watch.step

    def unnoticed(watch: Watch, frame: Frame, now_ns: int) -> Seen:
        said = real(watch, frame, now_ns)
        hidden = said.state in (State.FROZEN, State.BLACK)
        return Seen(None, None, said.epoch) if hidden else said

    monkeypatch.setattr(Watch, "step", unnoticed)
    failed = broken(still(ThreadLane, 2.0))
    assert "FROZEN? said after" in failed
