"""``edge3vt bench`` as a user calls it, on an engine that costs nothing."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge3vt.bench.harness import Bench
from edge3vt.bench.result import read_result, write_result
from edge3vt.cli import bench
from edge3vt.cli.main import main
from edge3vt.core.segmentation import Segmentation
from tests.bench.measured import MACHINE, engine, result

QUICK = """
schema = 1
about = "quick"
arrivals = { kind = "paced", rate_hz = 50 }
source = "phantom://7?seconds=0.2&scenes=1&width=160&height=120&rate=40"
lane = "thread"
seconds = 0.5
warm_up_s = 0.1
engine_s = 0
budget_ms = 60
"""


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bench, "ready_engine", lambda name: tmp_path)
    monkeypatch.setattr(bench, "engine_at", lambda folder: engine())
    path = tmp_path / "quick.toml"
    path.write_text(QUICK)
    return path


def called(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["bench", *map(str, arguments)])
    return int(stopped.value.code or 0), *capfd.readouterr()


def test_a_run_within_its_budget_passes_and_is_written(
    capfd: pytest.CaptureFixture[str], scenario: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    asked = ("run", scenario, "-o", out, "--budget", "p50=5000ms,wake.max=5000ms", "--max-miss-rate", "100%")
    code, text, _ = called(capfd, *asked, "--json")
    assert code == 0
    document = json.loads(text)
    assert (document["verb"], document["passed"], document["schema"]) == ("bench run", True, 1)
    assert document["written"] == str(out)
    assert "series" not in document["result"], "every frame's times are for the file"
    assert [verdict["figure"] for verdict in document["result"]["verdicts"]] == ["total.p50", "wake.max", "miss_rate"]
    assert read_result(out).stream.frames == document["result"]["stream"]["frames"] > 5
    code, _, told = called(capfd, *asked)
    assert code == 2
    assert "--overwrite" in told


def test_a_budget_that_is_missed_is_exit_1_with_a_line_each(
    capfd: pytest.CaptureFixture[str], scenario: Path, tmp_path: Path
) -> None:
    asked = ("run", scenario, "-o", tmp_path / "out.json", "--budget", "p50=0.001ms", "--budget", "p99=9000ms")
    code, text, _ = called(capfd, *asked)
    assert code == 1
    failed = [line for line in text.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 2
    assert failed[0].startswith("FAIL  total.p50")
    assert "needs 500 samples" in failed[1], "too few frames pass nothing"


def test_the_machines_stalls_count_when_asked_for(
    capfd: pytest.CaptureFixture[str], scenario: Path, tmp_path: Path
) -> None:
    asked = ("run", scenario, "-o", tmp_path / "out.json", "--max-miss-rate", "100%", "--all-misses")
    code, text, _ = called(capfd, *asked)
    assert code == 0
    assert "pass  all_miss_rate" in text


def test_an_interrupt_keeps_what_was_measured(
    capfd: pytest.CaptureFixture[str], scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"

    told: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def interrupt(seg: Segmentation) -> None:
        if seg.frame.index >= 20 and not told:
            told.append(seg.frame.index)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(bench, "Bench", partial(Bench, extra=[interrupt]))
    code, text, _ = called(capfd, "run", scenario, "--seconds", "60", "-o", out)
    assert code == 1
    assert "STOPPED" in text
    found = read_result(out)
    assert found.stopped
    assert 1 <= found.stream.frames < 1000, "of 3000 that were asked for"
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "pacd-60"), "paced-60"),
        (("run", "SCENARIO", "--budget", "p98=3ms"), "p98"),
        (("run", "SCENARIO", "--max-miss-rate", "0.1"), "as in 0.1%"),
        (("run", "SCENARIO", "--all-misses"), "--max-miss-rate"),
        (("run", "SCENARIO", "--set", "arrivals.kind=sometimes"), "sometimes"),
        (("run", "SCENARIO", "--set", "source=test://speckle"), "from memory"),
        (("run", "SCENARIO", "--seconds", "0"), "seconds"),
        (("run", "SCENARIO", "--export-times", "times.json"), "--export-times"),
        (("run", "SCENARIO", "-o", "quick.toml/out.json"), "cannot be written"),
        (("compare", "none.json", "none.json"), "no such file"),
        (("compare", ".", "."), "holds no results"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    capfd: pytest.CaptureFixture[str],
    scenario: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text, told = called(capfd, *(str(scenario) if word == "SCENARIO" else word for word in arguments))
    assert (code, text) == (2, "")
    assert len(told.splitlines()) == 1
    assert words in told


def test_clocks_that_cannot_be_held_down_are_exit_3(
    capfd: pytest.CaptureFixture[str], scenario: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if list(Path("/sys/devices/system/cpu/cpufreq").glob("policy*")):
        pytest.skip("this machine's clocks can be set, or not, by rights that a test does not try")
    code, _, told = called(capfd, "run", scenario, "-o", tmp_path / "out.json", "--set", "clock_share=0.5")
    assert code == 3
    assert "cpufreq" in told
    assert not (tmp_path / "out.json").exists()


def test_the_engines_runs_come_with_trtexecs_keys(
    capfd: pytest.CaptureFixture[str], scenario: Path, tmp_path: Path
) -> None:
    times = tmp_path / "times.json"
    asked = ("run", scenario, "-o", tmp_path / "out.json", "--export-times", times, "--set", "engine_s=0.1")
    assert called(capfd, *asked)[0] == 0
    rows = json.loads(times.read_text())
    assert len(rows) >= 20
    assert {"startComputeMs", "computeMs", "latencyMs"} < set(rows[0])


def test_comparing_folders_of_runs(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for side, factor in (("a", 1.0), ("b", 1.1), ("c", 1.0)):
        for number in range(4):
            totals = 6000 * factor * np.exp(0.01 * rng.normal() + 0.02 * rng.normal(0, 1, 600))
            (tmp_path / side).mkdir(exist_ok=True)
            write_result(result(totals), tmp_path / side / f"{number}.json")
    code, text, _ = called(capfd, "compare", tmp_path / "a", tmp_path / "b")
    assert code == 1
    assert text.startswith("total p50: slower: ")
    code, text, _ = called(capfd, "compare", tmp_path / "a", tmp_path / "c", "--json")
    assert code == 0
    assert json.loads(text)["contrast"]["differences"][0]["call"] == "no difference found"
    elsewhere = replace(result(np.full(600, 6000)), machine=replace(MACHINE, cpu="Another CPU"))
    write_result(elsewhere, tmp_path / "other.json")
    code, _, told = called(capfd, "compare", tmp_path / "a", tmp_path / "other.json")
    assert code == 2
    assert "another machine" in told


@pytest.mark.parametrize("verb", ["run", "compare"])
def test_help_has_an_example(capfd: pytest.CaptureFixture[str], verb: str) -> None:
    code, text, _ = called(capfd, verb, "--help")
    assert code == 0
    assert f"Example: edge3vt bench {verb}" in text
    assert "--json" in text
