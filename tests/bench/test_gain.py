from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge3vt.bench.gain import gain, main
from edge3vt.bench.record import Record, write_record
from edge3vt.core.errors import ConfigError
from tests.bench.painted import PaintedSession, painted_set
from tests.bench.test_record import judged


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Record]:
    """A student that misses a structure, and one that misses none."""
    dataset = painted_set(tmp_path_factory.mktemp("painted") / "set", patients=9)
    return judged(dataset, PaintedSession(lost=(4,)), name="student"), judged(dataset, name="student-distilled")


def left(folder: Path, place: str, labelled: int, *records: Record) -> None:
    """What trainings and evaluations leave, of each record under its seed."""
    (folder / place / "trainings").mkdir(parents=True, exist_ok=True)
    for record in records:
        name = f"{record.model.name}-{record.seed}.json"
        write_record(record, folder / "one")
        (folder / "one" / "record.json").rename(folder / place / name)
        (folder / place / "trainings" / name).write_text(json.dumps({"pictures": {"labelled": labelled}}))


def seeded(record: Record, seed: int) -> Record:
    return replace(record, seed=seed, model=replace(record.model, sha256=f"{seed:064d}"))


def test_the_gain_by_labels_is_that_of_the_same_seeds(tmp_path: Path, records: tuple[Record, Record]) -> None:
    poor, good = records
    left(tmp_path, "phantom", 1105, seeded(poor, 1), seeded(good, 1))
    again = seeded(replace(good, model=replace(good.model, name="student")), 3)  # a seed that was not taught
    left(tmp_path, "labels-100", 100, seeded(poor, 1), seeded(poor, 2), again, seeded(good, 1), seeded(good, 2))
    few, many = gain(tmp_path).points
    assert (few.labelled, few.seeds, many.labelled, many.seeds) == (100, (1, 2), 1105, (1,))
    assert (few.alone, few.taught, few.gain) == (0.75, 1, 0.25)
    assert many.interval == (0.25, 0.25)


def test_the_figure_and_its_numbers_are_written(tmp_path: Path, records: tuple[Record, Record], capsys) -> None:
    left(tmp_path, "phantom", 1105, *(seeded(record, 1) for record in records))
    main([str(tmp_path), str(tmp_path / "out")])
    assert json.loads((tmp_path / "out" / "gain.json").read_text())["points"][0]["gain"] == 0.25
    assert (tmp_path / "out" / "gain.png").read_bytes().startswith(b"\x89PNG")
    assert "1105 labels: +25.0 points of Dice (+25.0 to +25.0)" in capsys.readouterr().out


def test_what_cannot_be_compared_is_refused(tmp_path: Path, records: tuple[Record, Record]) -> None:
    poor, good = records
    with pytest.raises(ConfigError, match="no records of student and student-distilled"):
        gain(tmp_path)
    left(tmp_path, "phantom", 1105, seeded(poor, 1), seeded(good, 2))
    with pytest.raises(ConfigError, match="no seed is in both"):
        gain(tmp_path)
    left(tmp_path, "phantom", 400, seeded(good, 1))
    with pytest.raises(ConfigError, match=r"found \[400, 1105\]"):
        gain(tmp_path)
