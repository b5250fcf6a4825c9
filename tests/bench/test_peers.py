from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge3vt.bench import peers, standing
from edge3vt.bench.form import resized
from edge3vt.bench.standing import Peers
from edge3vt.core.documents import read_json
from edge3vt.core.errors import ConfigError
from edge3vt.engine.model import read_model

STUDENT = (Path(__file__).parents[2] / "edge3vt/assets/student-s384/student.onnx").read_bytes()
PROGRAMS = {
    "same.py": "def open_loop(model, size):\n    return lambda picture: sum(range(500_000))\n",
    "broken.py": "1 / 0\n",
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of the student at 64 px in FP32 beside two programs: one slow, one that does not open."""
    pytest.importorskip("openvino")
    data = resized(STUDENT, 64)
    recipe = SimpleNamespace(runtime="openvino", model="student-s384")
    monkeypatch.setattr(
        peers, "open_verified", lambda engine: (SimpleNamespace(recipe=recipe, spec=read_model(data).spec), data)
    )
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(peers, "PROGRAMS", tmp_path)
    monkeypatch.setattr(peers, "PEERS", {name.partition(".")[0]: (name, "a test's") for name in PROGRAMS})
    monkeypatch.setattr(peers, "ROUNDS", 12)
    monkeypatch.setattr(peers, "benchmark_app", lambda model, seconds: (None, "left out"))
    limits = {("engine", "p50"): 1e9, ("same", "p50"): 0.001, ("broken", "p50"): 0.001}
    monkeypatch.setattr(standing, "LIMITS", {64: limits})
    return tmp_path / "peers.json"


def test_a_run_writes_what_it_saw_and_skips_what_does_not_open(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cores = os.sched_getaffinity(0)
    assert peers.main([str(small), "--seconds", "2", "--size", "64"]) == 1
    assert os.sched_getaffinity(0) == cores
    record = read_json(Peers, small)
    found = {row.name: row for row in record.rows}
    assert found["broken"].skipped == "ended with 1: ZeroDivisionError: division by zero"
    assert found["ours"].against_ours == 1.0
    assert set(found["ours"].stages_ms) == {"prepare", "infer", "mask", "compose"}
    assert found["same"].latency is not None
    assert found["same"].latency.samples >= 12
    assert {limit.name: limit.passed for limit in record.limits} == {
        "p50 of ours over p50 of the engine alone": True,
        "p50 of same over p50 of ours": True,
        "p50 of broken over p50 of ours": False,
    }
    assert "MISSED p50 of broken over p50 of ours: not measured" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="exists already"):
        peers.main([str(small)])


def test_a_run_of_no_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="more than 0"):
        peers.main([str(tmp_path / "peers.json"), "--seconds", "0"])
