from __future__ import annotations

import json

import pytest

from edge3vt.bench import drills
from edge3vt.bench.findings import Finding
from edge3vt.bench.staleness import findings, simulate
from edge3vt.cli.main import main
from edge3vt.stream import showing

PASSED = Finding("a", "P1", "all is well", 1, 2)
FAILED = Finding("a", "P4", "hang said after", 300, 250, "ms")
SKIPPED = Finding("b", "P7", "recording", skipped="no engine; name one with --engine")


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["drill", *arguments])
    return int(stopped.value.code or 0), capsys.readouterr().out


def test_a_line_a_fault_and_what_was_skipped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {"a": lambda setup: [PASSED], "b": lambda setup: [SKIPPED]}
    monkeypatch.setattr(drills, "DRILLS", table)
    code, text = called(capsys)
    assert code == 0
    first, second, last = text.splitlines()
    assert first.startswith("pass")
    assert "name one with --engine" in second
    assert last == "2 drills, 2 figures: 0 failed, 1 skipped"
    monkeypatch.setitem(table, "a", lambda setup: [PASSED, FAILED])
    code, text = called(capsys, "--json")
    assert code == 1
    document = json.loads(text)
    assert (document["verb"], document["passed"]) == ("drill", False)
    assert document["record"]["findings"][1]["figure"] == 300
    assert document["record"]["machine"]["cores"] >= 1


def test_an_unknown_drill_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert called(capsys, "--only", "flood")[0] == 2


def test_a_loop_that_shows_old_masks_does_not_pass(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(drills.DRILLS, "staleness", lambda setup: findings(simulate(12_000)))
    assert called(capsys, "--only", "staleness")[0] == 0
    monkeypatch.setattr(showing, "OLDEST_SHOWN_NS", 1 << 60)
    code, text = called(capsys, "--only", "staleness")
    assert code == 1
    assert text.startswith("FAIL")
