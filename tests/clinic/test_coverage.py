"""Intervals hold what was planted as often as they say, and formulas that are wrong do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer

from edge3vt.clinic import coverage
from edge3vt.clinic.cohort import Truth, simulate
from edge3vt.clinic.coverage import DESIGNS, Coverage, main, trial
from edge3vt.core.documents import read_json

ROOT = Path(__file__).parents[2]
SMALL = Truth(16, 12, 4, 0.05, 0.06, 0.04, 0.04, 0.08)
STUDIES = 60
LOW = 0.85  # 51 of 60: fewer come by chance once in 700 times, if 95 % are right


@pytest.fixture(scope="module")
def tried() -> coverage.Trial:
    return trial("small", SMALL, STUDIES, 11)


def test_sixty_studies_hold_the_bias_and_the_limits(tried: coverage.Trial) -> None:
    assert [share.what for share in tried.shares] == ["bias", "lower limit", "upper limit", "slope"]
    for share in tried.shares:
        assert share.held >= LOW, share
    assert abs(tried.bias_error) < 0.02


def test_wrong_formulas_are_caught(tried: coverage.Trial) -> None:
    faults = {share.what: share for share in tried.faults}
    assert faults["readers ignored"].held < LOW
    assert faults["SD for SE"].held > coverage.MOST
    assert faults["SD for SE"].width > 2 * tried.shares[0].width


def test_a_simulated_study_is_crossed_and_has_its_planted_scatter() -> None:
    readings = simulate(DESIGNS["readers"], np.random.default_rng(0))
    assert len(set(zip(readings.readers, readings.pictures, strict=True))) == 404
    assert len(set(readings.patients)) == 76
    many = [simulate(SMALL, np.random.default_rng(i)) for i in range(200)]
    found = np.concatenate([one.found - one.true for one in many])
    assert found.mean() == pytest.approx(SMALL.bias, abs=0.01)
    assert found.std() == pytest.approx(SMALL.sd, rel=0.05)


def test_the_command_writes_a_record_and_gates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "DESIGNS", {"small": SMALL})
    for least, code in ((0.0, 0), (1.01, 1)):
        monkeypatch.setattr(coverage, "LEAST", least)
        monkeypatch.setattr(coverage, "MOST", max(least, 1.0))
        with pytest.raises(typer.Exit) as stopped:
            main(tmp_path / "c.json", studies=2, seed=1)
        assert stopped.value.exit_code == code
    record = read_json(Coverage, tmp_path / "c.json")
    assert record.trials[0].studies == 2


def test_the_record_that_is_committed_is_sound() -> None:
    record = read_json(Coverage, ROOT / "benchmarks" / "results" / "study" / "coverage.json")
    assert [one.design for one in record.trials] == list(DESIGNS)
    for one in record.trials:
        assert one.studies == coverage.STUDIES
        assert one.truth == DESIGNS[one.design]
        assert one.shares[0].sound
        assert one.faults[0].held > coverage.MOST
    assert record.trials[0].faults[1].held < coverage.LEAST  # readers ignored


@pytest.mark.slow
def test_processes_change_nothing() -> None:
    assert trial("small", SMALL, 4, 3, workers=2) == trial("small", SMALL, 4, 3)
