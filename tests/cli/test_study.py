"""``edge3vt study`` as its organiser calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge3vt.cli.main import main
from edge3vt.clinic import figures
from edge3vt.clinic.study import read_key, read_study, reading_path
from edge3vt.data.dataset import Dataset
from edge3vt.picture.images import write_image
from edge3vt.viewer import reading
from tests.clinic.planning import make_set, plan, read_all

EXPERTS = ("--expert", "eva", "--expert", "finn")


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["study", *(str(a) for a in arguments)])
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code, out, err = called(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_set(tmp_path_factory.mktemp("painted") / "set", patients=5, each=1)


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Path:
    folder = tmp_path_factory.mktemp("ai")
    for item in dataset.items:
        write_image(folder / f"{item.id}.png", dataset.mask(item))
    return folder


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Path:
    folder = tmp_path_factory.mktemp("planned") / "study"
    plan(folder, dataset, pictures=5, planted=0.0)
    return folder


def test_the_precision_alone(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = called(capsys, "plan", "--pictures", 101, "--reader", "ann", "--reader", "ben")
    assert code == 0
    assert "101 pictures and 2 readers" in text
    assert "to within 0.34 SD" in text
    code, text, _ = called(capsys, "plan", "--json")
    assert json.loads(text)["precision"]["limits"] == pytest.approx(0.3378, abs=1e-4)


def test_a_study_from_plan_to_report(
    capsys: pytest.CaptureFixture[str],
    dataset: Dataset,
    masks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, out = tmp_path / "study", tmp_path / "out"
    asked = ("plan", dataset.folder, folder, "--reader", "ann", *EXPERTS, "--adjudicator", "gil", "--pictures", 5)
    named = ("--structure", "aortic_arch", "--ai", masks, "--split", "all", "--seed", 2)
    code, text, err = called(capsys, *asked, *named)
    assert code == 0, err
    assert f"{folder}: 5 pictures of 5 patients, 4 sessions" in text
    assert "keep" in text
    assert "exists already" in refused(capsys, *asked, *named)
    study = read_study(folder)
    assert study.structures == ("aortic_arch",)
    assert read_key(folder, study).ai.startswith("masks of ai")

    code, text, _ = called(capsys, "collect", folder)
    assert code == 2
    assert "missing: ann, session 1: 5 of 5 cases" in text
    assert "0 of 20 readings are done" in text
    assert "or report what there is with --incomplete" in refused(capsys, "report", folder, "-o", out)

    read_all(folder, dataset, {"ann": 0.2})
    code, text, _ = called(capsys, "collect", folder, "--json")
    assert code == 0
    told: dict[str, Any] = json.loads(text)
    assert (told["verb"], told["passed"], told["collection"]["problems"]) == ("study collect", True, [])

    shutil.copytree(folder, tmp_path / "copy")
    path = reading_path(folder, "ann", 1, study.cases[0].id)
    path.write_text("{")
    code, text, _ = called(capsys, "collect", folder, "--json")
    assert code == 2
    assert [problem["kind"] for problem in json.loads(text)["collection"]["problems"]] == ["damaged", "missing"]
    path.unlink()
    code, text, _ = called(capsys, "collect", folder, "--from", tmp_path / "copy")
    assert code == 0
    assert "1 were taken in now" in text

    monkeypatch.setattr(figures, "DPI", 30)
    monkeypatch.setattr("edge3vt.cli.study.measures_of", lambda study: lambda mask, scale: {})
    reading_path(folder, "ann", 2, study.cases[0].id).unlink()
    code, text, err = called(capsys, "report", folder, "-o", out, "--incomplete", "--json")
    assert code == 0, err
    summary = json.loads(text)["summary"]
    assert summary["lacking"] == [f"missing: ann, session 2: 1 of 5 cases ({study.cases[0].id})"]
    assert (out / "report.html").is_file()
    assert "--overwrite" in refused(capsys, "report", folder, "-o", out, "--incomplete")


def test_reading_in_the_browser_and_for_labelme(
    capsys: pytest.CaptureFixture[str], planned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desks = []
    monkeypatch.setattr(reading, "serve", lambda desk, **options: desks.append((desk.session.number, options["port"])))
    code, text, _ = called(capsys, "read", planned, "--reader", "ann", "--port", 8123)
    assert code == 0
    assert desks == [(1, 8123)]
    assert "ann, session 1: 0 of 5 cases are done" in text
    code, text, _ = called(capsys, "read", planned, "--reader", "eva", "--labelme", tmp_path / "eva", "--json")
    assert code == 0
    assert json.loads(text)["cases"] == 5
    assert len(list((tmp_path / "eva").glob("*.png"))) == 5
    assert "is no reader" in refused(capsys, "read", planned, "--reader", "zoe")
    assert "not done; finish it first" in refused(capsys, "read", planned, "--reader", "ann", "--session", 2)


def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], dataset: Dataset, masks: Path, tmp_path: Path
) -> None:
    source, study = dataset.folder, tmp_path / "study"
    assert "give SET and STUDY" in refused(capsys, "plan", source)
    assert "1 experts, expected two" in refused(capsys, "plan", source, study, "--expert", "eva")
    named = ("--reader", "ann", *EXPERTS, "--split", "all", "--pictures", 5)
    assert "no class of" in refused(capsys, "plan", source, study, *named, "--structure", "lung")
    assert "take whole or track" in refused(capsys, "plan", source, study, *named, "--crop", "truth")
    assert "no reader" in refused(capsys, "plan", source, study, *EXPERTS)
    few = ("--pictures", 2)
    assert "too few for limits" in refused(capsys, "plan", source, study, *named, *few)
    small = tmp_path / "small"
    shutil.copytree(masks, small)
    write_image(small / f"{dataset.items[0].id}.png", dataset.mask(dataset.items[0])[:50])
    text = refused(capsys, "plan", source, study, *named, "--ai", small)
    assert "a mask of 112x50 px, expected one of its picture's 112x112 px" in text
    assert not study.exists()
    for verb in (("collect",), ("report", "-o", tmp_path / "out"), ("read", "--reader", "ann")):
        assert "no study" in refused(capsys, verb[0], study, *verb[1:])


def test_a_model_draws_the_contours(capsys: pytest.CaptureFixture[str], dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    named = ("--reader", "ann", *EXPERTS, "--split", "all", "--pictures", 3)
    code, _, err = called(capsys, "plan", dataset.folder, folder, *named)
    assert code == 0, err
    assert read_key(folder, read_study(folder)).ai.endswith(", whole")
    assert len(list((folder / "secret" / "ai").glob("*.png"))) == 3
