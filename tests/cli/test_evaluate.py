"""``edge3vt evaluate`` as a user calls it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge3vt.bench.record import read_record
from edge3vt.calibrate.qdq import insert
from edge3vt.cli.engines import ASSETS, named_model, named_table, pictures_of
from edge3vt.cli.main import main
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.documents import read_toml
from edge3vt.core.shipped import find
from edge3vt.data.dataset import Dataset, read_dataset
from edge3vt.data.writer import DatasetWriter
from edge3vt.engine.build import build
from edge3vt.engine.recipe import EngineRecipe
from edge3vt.phantom.cine import Scene
from edge3vt.picture.images import read_image, write_image
from tests.bench.painted import PaintedSession
from tests.data.cohort import changed, make_set

MODEL = "student-s384"


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *(str(a) for a in arguments)])
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    code, out, err = called(capsys, *arguments, "--json")
    assert code == 0, err
    told: dict[str, Any] = json.loads(out)
    assert (told["verb"], told["schema"], told["passed"]) == ("evaluate", 1, True)
    return told


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code, out, err = called(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantoms, the last of them not the view."""
    folder = tmp_path_factory.mktemp("phantoms") / "set"
    with DatasetWriter(folder, "phantoms", CLASS_NAMES, resume=False) as writer:
        for seed in range(3):
            scene = Scene(3_300_000 + seed, 256, 256, kind="other" if seed == 2 else "view", weeks=30.0)
            at = scene.at(0.5)
            region = ",".join(str(side) for side in (at.region.x0, at.region.y0, at.region.x1, at.region.y1))
            writer.add(
                f"i{seed}",
                at.pixels,
                at.mask,
                patient=f"p{seed}",
                source="test",
                mm_per_px=at.mm_per_px,
                split="test",
                facts={"region": region, "weeks": 30.0},
            )
    return folder


@pytest.fixture
def phantoms(made: Path) -> Dataset:
    return read_dataset(made)


def test_a_model_is_measured_and_models_are_compared(
    capsys: pytest.CaptureFixture[str], phantoms: Dataset, tmp_path: Path
) -> None:
    whole, track, table = tmp_path / "whole", tmp_path / "track", tmp_path / "table"
    told = document(capsys, MODEL, phantoms.folder, "-o", whole, "--seed", 4)
    assert told["summary"]["dice"] > 0.6
    assert told["model"]["name"] == MODEL
    record, _ = read_record(whole)
    assert (record.seed, record.mode, record.size, len(record.cases)) == (4, "whole", 384, 3)
    assert record.summary.structures["trachea"].empty == 1
    assert sorted(path.stem for path in (whole / "worst").iterdir()) == sorted(record.worst) == ["i0", "i1"]
    assert read_image(whole / "worst" / "i0.png").ndim == 3

    told = document(capsys, MODEL, phantoms.folder, "-o", track, "--crop", "track", "--locator", MODEL)
    assert told["model"]["name"] == f"{MODEL} track"
    assert told["model"]["gmac"] == pytest.approx(2 * record.model.gmac, abs=1e-5)
    assert told["model"]["params_m"] == pytest.approx(2 * record.model.params_m, abs=1e-5)
    told = document(capsys, MODEL, phantoms.folder, "--crop", "track")
    assert told["model"]["gmac"] == pytest.approx(2 * record.model.gmac, abs=1e-5)
    assert told["model"]["params_m"] == record.model.params_m
    assert told["record"] is None

    told = document(capsys, "--compare", whole, "--compare", track / "record.json", "-o", table)
    assert [row["name"] for row in told["rows"]] == [MODEL, f"{MODEL} track"]
    assert [pair["measure"] for pair in told["paired"]] == ["dice", "iou"]
    written = json.loads((table / "comparison.json").read_text())
    assert written["rows"] == told["rows"]
    assert (table / "comparison.md").read_text().startswith("# Accuracy\n\n3 pictures of 3 patients")
    assert (table / "comparison.html").read_text().count("<img ") == 4

    code, out, _ = called(capsys, "--compare", whole, "--compare", track, "--baseline", f"{MODEL} track")
    assert code == 0
    assert f"| {MODEL} less {MODEL} track | Dice |" in out
    assert "--overwrite" in refused(capsys, MODEL, phantoms.folder, "-o", whole)
    assert "--overwrite" in refused(capsys, "--compare", whole, "-o", table)


def test_an_earlier_record_is_replaced_with_its_pictures(
    capsys: pytest.CaptureFixture[str], phantoms: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    document(capsys, MODEL, phantoms.folder, "-o", out)
    told = document(capsys, MODEL, phantoms.folder, "-o", out, "--limit", 1, "--overwrite", "--name", "first")
    assert (told["summary"]["cases"], told["model"]["name"]) == (1, "first")
    assert [path.stem for path in (out / "worst").iterdir()] == ["i0"]
    code, text, _ = called(capsys, MODEL, phantoms.folder, "--limit", 1)
    assert code == 0
    assert text.splitlines()[1] == "set, test: 1 pictures of 1 patients, against the set's masks"


def test_exact_truth(capsys: pytest.CaptureFixture[str], phantoms: Dataset) -> None:
    assert "leave it out" in refused(capsys, MODEL, phantoms.folder, "--truth", "exact", "--limit", 1)
    mask = phantoms.mask(phantoms.items[0])
    write_image(phantoms.folder / "truth" / "i0.png", np.where(mask == 4, 0, mask).astype(np.uint8))
    told = document(capsys, MODEL, phantoms.folder, "--truth", "exact", "--limit", 1)
    assert told["summary"]["structures"]["trachea"]["cases"] == 0


def test_an_engine_is_a_model_too(capsys: pytest.CaptureFixture[str], phantoms: Dataset, tmp_path: Path) -> None:
    engine, recipe = tmp_path / "engine", read_toml(EngineRecipe, find("recipe", "cpu-int8-onnxruntime"))
    recipe = replace(recipe, verify=replace(recipe.verify, min_dice=0.5))  # two frames are few
    model = named_model(MODEL)
    golden = islice(pictures_of(recipe.golden, model.spec), 2)
    build(recipe, model.data, insert(model.data, named_table(recipe), "cpu"), golden, engine)
    onnx = document(capsys, ASSETS / MODEL / "student.onnx", phantoms.folder)
    int8 = document(capsys, engine, phantoms.folder)
    assert (int8["model"]["name"], int8["model"]["precision"]) == (f"{MODEL} int8", "int8")
    assert int8["model"]["gmac"] == onnx["model"]["gmac"]
    assert int8["summary"]["dice"] == pytest.approx(onnx["summary"]["dice"], abs=0.02)


def test_weights_are_opened_by_the_room_that_has_torch(
    capsys: pytest.CaptureFixture[str], phantoms: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, session = tmp_path / "w.safetensors", PaintedSession(lost=(1, 2, 3, 4, 5))
    weights.write_bytes(b"weights")
    room = ModuleType("session")
    session.params_m, session.gmac = 1.5, 2.5  # type: ignore[attr-defined]
    room.open_weights = lambda path, size: session  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "edge3vt.learn.session", room)
    told = document(capsys, weights, phantoms.folder, "--crop", "track")
    assert (told["model"]["params_m"], told["model"]["gmac"]) == (1.5, 5.0)
    assert told["summary"]["missed"] == 1
    monkeypatch.setitem(sys.modules, "edge3vt.learn.session", None)
    code, _, err = called(capsys, weights, phantoms.folder)
    assert code == 3
    assert "pip install 'edge3vt[train]'" in err


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], phantoms: Dataset, tmp_path: Path) -> None:
    folder, other = phantoms.folder, make_set(tmp_path / "other").folder
    assert "take a model and a set of the same classes" in refused(capsys, MODEL, other)
    assert "no picture in the split 'train'" in refused(capsys, MODEL, folder, "--split", "train")
    assert "add that, or leave it out" in refused(capsys, MODEL, folder, "--locator", MODEL)
    assert "expected MODEL and SET" in refused(capsys, MODEL)
    assert "--compare takes records" in refused(capsys, MODEL, folder, "--compare", folder)
    assert "--baseline is of a comparison" in refused(capsys, MODEL, folder, "--baseline", "x")
    assert "no such file" in refused(capsys, "--compare", tmp_path / "none.json")
    assert "no data set" in refused(capsys, MODEL, tmp_path / "none")
    assert "cannot be read" in refused(capsys, tmp_path / "none.onnx", folder)


def test_what_is_not_labelled_is_refused(capsys: pytest.CaptureFixture[str], phantoms: Dataset, tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set")
    for item in dataset.items:
        dataset = changed(dataset, item.id, mask_sha256=None, classes=())
    assert "6 of 6 pictures of the split 'test' are not labelled" in refused(capsys, MODEL, dataset.folder)
