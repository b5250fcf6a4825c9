"""``edge3vt calibrate`` as a user calls it: a set that is fit becomes a table, one that is not is told why."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.table import PREPROCESSING, CalibrationTable, refuse_foreign
from edge3vt.cli.engines import build_engine, named_model, named_table
from edge3vt.cli.main import main
from edge3vt.cli.pictures import named_set, pictures_of
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.documents import read_json, read_toml
from edge3vt.core.errors import ArtifactError
from edge3vt.core.shipped import find
from edge3vt.data.dataset import read_dataset, write_items
from edge3vt.data.writer import DatasetWriter
from edge3vt.engine.recipe import EngineRecipe
from edge3vt.phantom.cine import Scene
from edge3vt.picture.images import write_image
from edge3vt.picture.text import rendered
from tests import nets

SIZE = 64
COUNT = 4


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(nets.student(SIZE))
    return path


@pytest.fixture(scope="module")
def rendered_scenes() -> list[Any]:
    return [Scene(7_000_000 + index, 320, 240).at(0.2) for index in range(COUNT)]


@pytest.fixture
def dataset(tmp_path: Path, rendered_scenes: list[Any]) -> Path:
    folder = tmp_path / "sets" / "some"
    with DatasetWriter(folder, "some", CLASS_NAMES, resume=False) as writer:
        for index, picture in enumerate(rendered_scenes):
            facts: dict[str, float | str] = {"weeks": 20.0 + 4 * index, "region": "0,0,320,240"}
            shown = {"patient": f"who{index}", "source": "test", "mm_per_px": picture.mm_per_px, "facts": facts}
            writer.add(f"i{index}", picture.pixels, picture.mask, split="train", **shown)
    return folder


Call = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)

    def called(*arguments: object) -> tuple[int, dict[str, Any], str]:
        with pytest.raises(SystemExit) as stopped:
            main(["calibrate", *(str(a) for a in arguments), "--json"])
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), json.loads(out or "{}"), err

    return called


def asked(folder: Path, text: str) -> Path:
    path = folder / "set.toml"
    path.write_text(f'schema = 1\nname = "mine"\n{text}\n', encoding="utf-8")
    return path


FROM_SETS = f'source = "dataset"\npath = "sets/some"\ncount = {COUNT}\ntrack_share = 0.4'


def test_a_set_becomes_a_table_that_knows_what_it_belongs_to(
    call: Call, model: Path, dataset: Path, tmp_path: Path
) -> None:
    path = asked(tmp_path, FROM_SETS)
    code, document, err = call(model, path, "-o", "t.json", "--method", "mse")
    assert (code, document["passed"], document["set"], document["frames"]) == (0, True, "mine", COUNT)
    table = read_json(CalibrationTable, tmp_path / "t.json")
    assert (table.method, table.set_name, table.frames) == ("mse", "mine", COUNT)
    assert table.set_sha256 == named_set(str(path)).sha256
    assert table.preprocessing == PREPROCESSING
    assert document["tensors"] == len(table.ranges)
    refuse_foreign(table, model.read_bytes())
    fed = sha256()
    for pixels in pictures_of(str(path), nets.spec(SIZE)):
        fed.update(pixels.data)
    assert table.frames_sha256 == fed.hexdigest()  # what was audited, and what an engine is verified on, alike

    cover = document["audit"]["coverage"]
    assert (cover["pictures"], cover["labelled"], cover["closer"] > 0) == (COUNT, COUNT, True)
    assert next(each["rule"] for each in document["audit"]["findings"]) == "few-pictures"
    assert "warning few-pictures: 4 pictures, expected 300 or more; raise count, or record more" in err.splitlines()
    assert call(model, path, "-o", "t.json")[0] == 2
    assert call(model, path, "-o", "t.json", "--overwrite")[0] == 0
    assert read_json(CalibrationTable, tmp_path / "t.json").method == "minmax"


def test_a_data_set_folder_needs_no_document(call: Call, model: Path, dataset: Path, tmp_path: Path) -> None:
    whole = read_dataset(dataset)
    write_items(whole, [replace(item, split="test") if item.id == "i3" else item for item in whole.items])
    code, document, _ = call(model, "sets/some", "-o", "t.json")
    assert (code, document["set"], document["frames"]) == (0, "some", COUNT - 1)
    assert read_json(CalibrationTable, tmp_path / "t.json").set_sha256 == named_set("sets/some", "train").sha256


def test_weights_are_to_be_exported_first(call: Call, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "weights.safetensors").touch()
    for name in ("mine", "mine/weights.safetensors"):
        code, _, err = call(name, "sets/some", "-o", "t.json")
        assert (code, f"{name}: expected an ONNX file; write a training's: edge3vt export {name}" in err) == (2, True)


def found(document: dict[str, Any], severity: str) -> list[tuple[str, list[str]]]:
    findings = document["audit"]["findings"]
    return [(each["rule"], each["pictures"]) for each in findings if each["severity"] == severity]


def test_a_patient_of_the_test_split_is_refused(call: Call, model: Path, dataset: Path, tmp_path: Path) -> None:
    whole = read_dataset(dataset)
    items = [replace(item, split="test") if item.id == "i2" else item for item in whole.items]
    write_items(whole, items)
    code, document, err = call(model, asked(tmp_path, FROM_SETS), "-o", "t.json")
    assert (code, document["passed"], document["table"]) == (1, False, None)
    assert found(document, "error") == [("test-patient", ["i2"])]
    assert "error test-patient: 1 of 4 pictures show patients whom the test split holds (i2); " in err
    assert not (tmp_path / "t.json").exists()

    write_items(whole, [replace(item, patient="who2") if item.id == "i1" else item for item in items])
    text = FROM_SETS.replace(f"count = {COUNT}", 'count = 3\nsplit = "train"')
    code, document, _ = call(model, asked(tmp_path, text), "-o", "t.json")
    assert (code, found(document, "error")) == (1, [("test-patient", ["i1"])])


def test_an_uncropped_picture_is_refused_and_a_copy_is_told(
    call: Call, model: Path, rendered_scenes: list[Any], tmp_path: Path
) -> None:
    pixels = [np.pad(picture.pixels, ((60, 0), (0, 0))) for picture in rendered_scenes]
    for index, each in enumerate([*pixels, pixels[1] // 8 * 7]):
        write_image(tmp_path / "frames" / f"{index}.png", each)
    path = asked(tmp_path, 'source = "folder"\npath = "frames"\ncount = 5')
    code, document, _ = call(model, path, "-o", "t.json")
    assert (code, found(document, "error")) == (0, [])
    assert ("near-duplicates", ["4.png"]) in found(document, "warning")
    assert ("unlabelled", []) in found(document, "warning")

    text = rendered("DOE JANE 1987", 20, (255, 255, 255))[:50, :250, 0]
    pixels[3][5 : 5 + text.shape[0], 40 : 40 + text.shape[1]] = text
    write_image(tmp_path / "frames" / "3.png", pixels[3])
    code, document, _ = call(model, path, "-o", "u.json")
    assert (code, found(document, "error")) == (1, [("uncropped", ["3.png"])])
    assert not (tmp_path / "u.json").exists()


def test_a_quantised_model_is_refused(call: Call, model: Path, dataset: Path, tmp_path: Path) -> None:
    path = asked(tmp_path, FROM_SETS)
    assert call(model, path, "-o", "t.json")[0] == 0
    quantised = tmp_path / "int8.onnx"
    quantised.write_bytes(insert(model.read_bytes(), read_json(CalibrationTable, tmp_path / "t.json")))
    code, _, err = call(quantised, path, "-o", "u.json")
    assert (code, "is quantised already; calibrate the FP32 model" in err) == (2, True)


RECIPE = read_toml(EngineRecipe, find("recipe", "cpu-int8"))


def test_the_shipped_table_belongs_to_the_shipped_student_and_the_shipped_set() -> None:
    table = named_table(RECIPE)
    refuse_foreign(table, named_model(RECIPE.model).data)
    assert (table.set_name, table.set_sha256) == ("phantom", named_set("phantom").sha256)
    assert table.frames == named_set("phantom").count


def test_no_engine_is_built_with_a_table_of_its_golden_set(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="the golden set phantom is the set that the calibration table was"):
        build_engine(replace(RECIPE, golden="phantom"), tmp_path / "engine", overwrite=False)
    assert not list(tmp_path.iterdir())
