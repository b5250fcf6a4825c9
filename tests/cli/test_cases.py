"""Cases by themselves: what they depend on, and what becomes of a run whose worker is ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from edge3vt.cli import cases
from edge3vt.cli.cases import Case, Plan, classes_of, tidy, write_case, write_cases
from edge3vt.core.errors import DataError
from edge3vt.data.dataset import read_dataset
from edge3vt.data.writer import DatasetWriter

PLAN = Plan(width=128, height=112)


def test_a_case_depends_on_its_seed_and_plan_alone(tmp_path: Path) -> None:
    first = [write_case(Case(tmp_path / "a", seed, PLAN))[1] for seed in (7, 8)]
    second = [write_case(Case(tmp_path / "b", seed, PLAN))[1] for seed in (8, 7)]
    assert first == second[::-1]
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_the_side_on_which_the_arch_passes_the_trachea_is_told_with_the_view_only(tmp_path: Path) -> None:
    facts = [write_case(Case(tmp_path / "set", seed, PLAN))[1][0].facts for seed in range(24)]
    seen = set()
    for told in facts:
        side = "right" if str(told["variant"]).startswith("right_arch") else "left"
        assert told.get("arch_passes_trachea") == (None if told["variant"] == "none" else side)
        seen.add(told.get("arch_passes_trachea"))
    assert seen == {"left", "right", None}


def test_an_ended_worker_is_an_error_and_the_run_can_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "usable_cores", lambda: 2)
    jobs = [Case(tmp_path / "set", seed, PLAN) for seed in range(12)]
    with pytest.raises(DataError, match="it goes on"):
        _ended_after_one(jobs, writer(tmp_path))
    assert not (tmp_path / "set" / "dataset.json").exists()
    monkeypatch.setattr(cases, "usable_cores", lambda: 1)
    with writer(tmp_path) as again:
        assert len(again) >= 1
        assert {case.seed for case in write_cases(jobs, again)} == set(range(12))
    assert len(read_dataset(tmp_path / "set").items) == 12


def _ended_after_one(jobs: list[Case], half: DatasetWriter) -> None:
    with half:
        steps = write_cases(jobs, half)
        next(steps)
        for child in multiprocessing.active_children():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
        list(steps)


def writer(folder: Path) -> DatasetWriter:
    return DatasetWriter(folder / "set", "phantoms", classes_of(PLAN), resume=True)


def test_tidy_removes_what_belongs_to_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "contours").mkdir(parents=True)
    (folder / "contours" / "x.json").write_text("{}")
    (folder / "notes.txt").write_text("mine")
    tidy(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    tidy(folder)
    assert not folder.exists()
    tidy(folder)


def test_tidy_keeps_what_a_set_holds(tmp_path: Path) -> None:
    jobs = [Case(tmp_path / "set", 3, PLAN)]
    with writer(tmp_path) as whole:
        list(write_cases(jobs, whole))
    (tmp_path / "set" / "truth").mkdir()
    (tmp_path / "set" / "contours" / ".A000000003-0.json.part").write_text("{")
    tidy(tmp_path / "set")
    assert [path.name for path in (tmp_path / "set" / "contours").iterdir()] == ["A000000003-0.json"]
    assert not (tmp_path / "set" / "truth").exists()
