from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from edge3vt.bench.neighbours import Street, held_down
from edge3vt.bench.scenario import Neighbours
from edge3vt.bench.surroundings import ticks
from edge3vt.core.clock import NS_PER_MS, SystemClock
from edge3vt.core.errors import BackendMissingError, EngineError
from edge3vt.engine.fake import FakeSession
from tests.bench.measured import SPEC, engine, pictures

CLOCK = SystemClock()


def wait(ms: float) -> None:
    CLOCK.sleep_until_ns(CLOCK.now_ns() + round(ms * NS_PER_MS))


def test_busy_processes_and_a_second_stream_are_at_work_until_they_leave() -> None:
    street = Street(Neighbours(busy=1, streams=1), engine().open_session, pictures(), 60.0, 16.7)
    pids = [process.pid for process in street._processes]
    cores = sorted(os.sched_getaffinity(0))
    before = ticks(cores)
    wait(500)
    assert ticks(cores).own - before.own >= 5, "a neighbour computes"
    (second,) = street.leave()
    assert second.frames > 5
    assert second.total_ms.samples > 5
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert street.leave() == ()


def test_nobody_is_nobody() -> None:
    assert Street(Neighbours(), engine().open_session, pictures(), 60.0, 16.7).leave() == ()


def test_a_second_stream_whose_engine_does_not_open_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    broken = partial(FakeSession, SPEC, CLOCK, start="exit")
    with pytest.raises(EngineError, match="second stream"):
        Street(Neighbours(streams=1), broken, pictures(), 60.0, 16.7)


def policy(root: Path, number: int) -> Path:
    folder = root / f"sys/devices/system/cpu/cpufreq/policy{number}"
    folder.mkdir(parents=True)
    (folder / "cpuinfo_max_freq").write_text("3200000\n")
    (folder / "scaling_max_freq").write_text("3000000\n")
    return folder / "scaling_max_freq"


def test_clocks_are_held_down_and_let_go_whatever_happens(tmp_path: Path) -> None:
    policies = [policy(tmp_path, number) for number in range(2)]
    during: list[str] = []

    def fail() -> None:
        during.extend(path.read_text() for path in policies)
        raise RuntimeError

    with pytest.raises(RuntimeError), held_down(0.5, tmp_path):
        fail()
    assert during == ["1600000\n"] * 2
    assert [path.read_text() for path in policies] == ["3000000\n"] * 2
    with held_down(None, tmp_path):
        assert policies[0].read_text() == "3000000\n"


def test_a_machine_that_cannot_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendMissingError, match="no cpufreq"), held_down(0.5, tmp_path):
        pass
    policy(tmp_path, 0)

    def forbidden(self: Path, text: str, encoding: str) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "write_text", forbidden)
    with pytest.raises(BackendMissingError, match="sudo"), held_down(0.5, tmp_path):
        pass
