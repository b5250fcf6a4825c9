"""``edge3vt build`` with changes to a recipe: what is built is what was asked for, under a name of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge3vt.calibrate.observe import observe
from edge3vt.core.documents import write_json
from edge3vt.engine.manifest import read
from tests import nets
from tests.cli.test_bad_input import refused
from tests.cli.test_cart import RECIPE, SET, SIZE
from tests.cli.test_verbs import called


@pytest.fixture(autouse=True)
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model = nets.student(SIZE)
    (tmp_path / "small.onnx").write_bytes(model)
    (tmp_path / "small.toml").write_text(RECIPE)
    (tmp_path / "golden.toml").write_text(SET)
    write_json(observe(model, nets.spec(SIZE), nets.pictures(8, SIZE), set_name="some"), tmp_path / "table.json")
    return tmp_path


def test_a_changed_recipe_is_an_engine_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    changes = ("--set", "name=mine", "--set", "verify.min_agreement=0.7", "--set", "threads=2")
    code, text = called(capsys, "build", "small.toml", *changes, "--json")
    assert (code, json.loads(text)["engine"]) == (0, "engines/build/mine")
    recipe = read(Path("engines/build/mine")).recipe
    assert (recipe.name, recipe.threads, recipe.verify.min_agreement) == ("mine", 2, 0.7)
    assert (recipe.model, recipe.verify.max_mean_error) == ("small.onnx", 0.2)  # what was not changed stands
    code, text = called(capsys, "build", "small.toml", *changes, "--overwrite", "--json")
    assert (code, json.loads(text)["manifest"]["release"]) == (0, 2)


def test_a_changed_limit_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "build", "small.toml", "--set", "name=mine", "--set", "verify.max_mean_error=0.0001", code=1)
    assert "mean error is" in said
    assert "at most 0.0001 was asked for" in said
    assert not Path("engines/build/mine").exists()


def test_what_is_refused(capsys: pytest.CaptureFixture[str], workshop: Path) -> None:
    before = sorted(workshop.iterdir())
    for changes in (["model=x.onnx"], ["name=small", "threads=2"]):
        words = [word for change in changes for word in ("--set", change)]
        said = refused(capsys, "build", "small.toml", *words)
        assert "small with changes is another engine; add a name of its own: --set name=NAME" in said
    said = refused(capsys, "build", "small.toml", "--set", "name=mine", "--set", "modell=x.onnx")
    assert "unknown key 'modell'; did you mean 'model'?" in said
    said = refused(capsys, "build", "small.onnx")
    assert "small.onnx: is a model, expected a recipe" in said
    assert "edge3vt build cpu-int8 --set name=NAME --set model=small.onnx --set table=TABLE.json" in said
    assert sorted(workshop.iterdir()) == before
