"""The table of drills and its record; what a drill measures is tested beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.bench import drills
from edge3vt.bench.drills import DRILLS, Setup, chosen, drill, main, telling, thorough
from edge3vt.bench.findings import Finding, lines, read_record
from edge3vt.core.errors import ConfigError
from edge3vt.stream.lane import ThreadLane

GOOD = Finding("a", "P1", "of the good", 1, 2, "ms")
BAD = Finding("a", "P2", "of the bad", 3, 2, "ms")
LEAST = Finding("a", "P3", "of the least", 3, 2, least=True)
SKIPPED = Finding("b", "P4", "of nothing", skipped="no camera")


def test_a_finding_is_held_to_its_limit() -> None:
    assert [f.verdict for f in (GOOD, BAD, LEAST, SKIPPED)] == ["pass", "FAIL", "pass", "skipped"]
    assert Finding("a", "P1", "x", None, 5).verdict == "FAIL", "what was not measured is not passed"
    assert Finding("a", "P1", "x", 2, 2).verdict == Finding("a", "P1", "x", 2, 2, least=True).verdict == "pass"
    told = lines([BAD, LEAST, SKIPPED, Finding("a", "P1", "x", None, 5)])
    assert told[0].split() == ["FAIL", "P2", "a", "of", "the", "bad:", "3", "ms,", "at", "most", "2", "ms"]
    assert "at least 2" in told[1]
    assert told[2].endswith("of nothing: no camera")
    assert "nothing was measured" in told[3]


def test_one_finding_stands_for_a_fault() -> None:
    assert telling([GOOD, BAD, LEAST]) is BAD
    assert telling([GOOD, LEAST]) is LEAST


def test_drills_are_chosen_by_name() -> None:
    assert chosen([]) == list(DRILLS)
    assert chosen(["still", "engine-hang"]) == ["engine-hang", "still"]
    with pytest.raises(ConfigError, match="did you mean 'engine-hang'"):
        chosen(["engine-hangs"])


def test_a_drill_that_gets_out_of_the_loop_fails_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(setup: Setup) -> list[Finding]:
        raise RuntimeError("the loop died")

    monkeypatch.setattr(drills, "DRILLS", {"a": breaking, "b": lambda setup: [GOOD]})
    first, second = drill(["a", "b"], Setup(ThreadLane, tmp_path))
    assert first[1][0].verdict == "FAIL"
    assert "RuntimeError: the loop died" in first[1][0].what
    assert second == ("b", [GOOD])
    assert list(tmp_path.iterdir()) == [], "every drill's folder goes"


def test_what_records_needs_an_engine(tmp_path: Path) -> None:
    found = [findings[0] for _, findings in drill(["sigterm", "killed"], Setup(ThreadLane, tmp_path))]
    assert [f.verdict for f in found] == ["skipped", "skipped"]
    assert "--engine" in found[0].skipped


def test_thorough_is_what_the_promises_ask(tmp_path: Path) -> None:
    setup = thorough(Setup(ThreadLane, tmp_path))
    assert (setup.cycles, setup.ends, setup.frames, setup.soak_s, setup.slope_mb_h) == (100, 100, 1_000_000, 1800, 1)
    assert setup.seconds * 60 >= 5000, "p99.9 has samples beyond it"


def test_one_command_writes_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drills, "DRILLS", {"a": lambda setup: [GOOD, LEAST], "b": lambda setup: [SKIPPED]})
    out = tmp_path / "drills.json"
    assert main([str(out), "--thorough"]) == 0
    record = read_record(out)
    assert record.passed
    assert record.findings == (GOOD, LEAST, SKIPPED)
    assert record.command == "python -m edge3vt.bench.drills OUT --thorough"
    monkeypatch.setitem(drills.DRILLS, "c", lambda setup: [BAD])
    assert main([str(out), "--only", "c"]) == 1
    assert not read_record(out).passed
