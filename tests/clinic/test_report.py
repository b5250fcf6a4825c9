"""The page, its figures and its table."""

from __future__ import annotations

import csv
import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge3vt.clinic import figures as drawing
from edge3vt.clinic.analysis import summarise
from edge3vt.clinic.figures import drawn, figures, title
from edge3vt.clinic.report import lines, page, table, write
from edge3vt.clinic.results import Result
from edge3vt.clinic.summary import Summary
from edge3vt.core.documents import read_json
from edge3vt.core.errors import BackendMissingError
from tests.clinic.test_analysis import made_up


@pytest.fixture(scope="module")
def made() -> tuple[Summary, list[Result]]:
    study, key, found = made_up(12)
    study = replace(study, structures=("a",))  # fewer figures, which take their time
    found = [replace(one, scores={"a": one.scores["a"]}, measures={}) for one in found]
    return summarise(study, key, found, {}, ["missing: r1 <b>"]), found


def test_everything_is_written_and_the_page_needs_nothing_else(
    made: tuple[Summary, list[Result]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary, found = made
    monkeypatch.setattr(drawing, "DPI", 40)
    files = write(summary, found, tmp_path / "out")
    names = sorted(path.stem for path in files if path.suffix == ".png")
    assert names == ["a_area", "accuracy", "time"]
    assert all(path.is_file() for path in files)
    html = files[-1].read_text()
    assert set(re.findall(r'(?:src|href)="(.{10})', html)) == {"data:image"}
    assert "<script" not in html
    assert "missing: r1 &lt;b&gt;" in html
    assert html.count("<img ") == 3
    assert read_json(Summary, tmp_path / "out" / "summary.json") == summary
    svg = (tmp_path / "out" / "figures" / "a_area.svg").read_text()
    assert "Reader alone" in svg
    assert "reading / reference" in svg


def test_a_figure_is_the_same_each_time(made: tuple[Summary, list[Result]]) -> None:
    one, two = (drawn(figures(*made)["accuracy"], "svg") for _ in range(2))
    assert one == two


def test_the_table_has_a_row_a_structure_and_measure_and_no_patients_names(made: tuple[Summary, list[Result]]) -> None:
    summary, found = made
    rows = list(csv.DictReader(io.StringIO(table(found))))
    assert len(rows) == len(found)
    assert rows[0].keys() >= {"arm", "reader", "case", "dice", "found", "true"}
    assert summary.cases == len({row["case"] for row in rows})
    assert {row["what"] for row in rows} == {"a_area_px"}


def test_the_sentences(made: tuple[Summary, list[Result]]) -> None:
    text = "\n".join(lines(made[0]))
    assert "12 pictures of 6 patients, 3 readers" in text
    assert "NOT WHOLE: 1 problems" in text
    assert "Reader with AI less reader alone: Dice +0.0" in text
    assert "planted wrong contours were followed in 3 of 9 drawings (33 %" in text
    assert "0 of 9 drawings came as near" in text


def test_a_page_without_time_and_following_is_whole(made: tuple[Summary, list[Result]]) -> None:
    bare = replace(made[0], time=None, following=None, lacking=())
    html = page(bare, dict.fromkeys(("accuracy", "a_area"), b"<svg/>"))
    assert "Time a case" not in html
    assert "Planted wrong contours" not in html
    assert "What the readings lack" not in html


def test_names_for_people() -> None:
    assert title("pa_ao") == "PA/Ao"
    assert title("aortic_arch_area") == "Aortic arch area"


def test_without_matplotlib_it_says_what_to_install(
    made: tuple[Summary, list[Result]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(BackendMissingError, match=r"pip install 'edge3vt\[clinic\]'"):
        figures(*made)
