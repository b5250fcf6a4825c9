"""The engine that ``run`` and ``demo`` take unasked: built where there is none that serves, and only there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge3vt.calibrate.observe import observe
from edge3vt.cli.engines import ASSETS, TruthJudge, build_engine, named_weights, ready_engine
from edge3vt.cli.main import main
from edge3vt.cli.pictures import named_set, shots_of
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import read_toml, write_json
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Frame
from edge3vt.core.segmentation import Mask
from edge3vt.engine import open as opening
from edge3vt.engine.fake import FakeSession
from edge3vt.engine.manifest import Target, read
from edge3vt.engine.recipe import EngineRecipe
from edge3vt.picture.images import write_image
from tests import nets
from tests.cli.test_cart import RECIPE, SET, SIZE


def test_it_is_built_once_and_again_when_it_does_not_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model, spec = nets.student(SIZE), nets.spec(SIZE)
    Path("small.onnx").write_bytes(model)
    Path("small.toml").write_text(RECIPE)
    Path("golden.toml").write_text(SET)
    write_json(observe(model, spec, nets.pictures(8, SIZE), set_name="some"), Path("table.json"))

    def release() -> tuple[int, str]:
        folder = ready_engine("small.toml")
        assert [path.name for path in folder.parent.iterdir()] == ["small"]
        return read(folder).release, capsys.readouterr().err

    assert release() == (1, "building the engine small for this machine\n")
    assert release() == (1, "")

    write_json(observe(model, spec, nets.pictures(9, SIZE), set_name="more"), Path("table.json"))
    again, said = release()
    assert again == 2
    assert "of another model, table, recipe, runtime version or machine" in said

    folder = Path("engines/build/small")
    (folder / "manifest.sig").rename(folder / "manifest.sha256")  # as engines were before they were signed
    again, said = release()
    assert again == 1
    assert "an engine of an older edge3vt, not signed" in said

    folder.rename(folder.with_name(".small.old"))  # a build was killed between two renames
    folder.with_name(".small.part").mkdir()
    assert release() == (1, "")

    here = opening.target("onnxruntime")
    for module in ("edge3vt.cli.engines", "edge3vt.engine.build", "edge3vt.engine.open"):
        monkeypatch.setattr(f"{module}.target", lambda _: Target(here.runtime_version, here.facts | {"system": "x"}))
    monkeypatch.setattr("edge3vt.engine.build.probe", lambda _: None)  # its child is on the machine as it is
    assert release()[0] == 2


def test_the_shipped_weights_are_the_first_link_of_the_chain() -> None:
    for asset in ASSETS.iterdir():
        assert named_weights(asset.name) == sha256_file(asset / "student.safetensors")
        record = json.loads((asset / "record.json").read_text(encoding="utf-8"))
        assert record["files"]["student.onnx"] == sha256_file(asset / "student.onnx")
    assert named_weights("small.onnx") is None


CHOICE = RECIPE.replace("[verify]", "[candidates]\n{}\nrate_hz = 1000\n\n[verify]")


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader has two models, a table of the first, and three golden phantoms."""
    monkeypatch.chdir(tmp_path)
    model = nets.student(SIZE)
    Path("small.onnx").write_bytes(model)
    Path("wide.onnx").write_bytes(nets.student(2 * SIZE))
    Path("golden.toml").write_text(SET)
    write_json(observe(model, nets.spec(SIZE), nets.pictures(8, SIZE), set_name="some"), Path("table.json"))
    monkeypatch.setattr("edge3vt.engine.build.probe", lambda _: None)  # test_build.py asks it
    return tmp_path


def test_a_build_that_chooses_says_why_and_is_not_made_again_while_it_serves(
    workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("small.toml").write_text(CHOICE.format('precisions = ["fp32", "int8"]'))
    with pytest.raises(SystemExit) as stopped:
        main(["build", "small.toml"])
    said = capsys.readouterr()
    assert stopped.value.code == 0, said.err
    assert "building and verifying fp32\nbuilding and verifying int8\n" in said.err
    made, *candidates, why = said.out.splitlines()
    folder = Path("engines/build/small")
    manifest = read(folder)
    assert manifest.choice is not None
    assert made.startswith(f"{folder}: {manifest.choice.kept} engine for onnxruntime")
    assert [line.partition(": ")[0] for line in candidates] == ["fp32", "int8"]
    assert why.startswith(f"{manifest.choice.kept} kept: ")
    assert manifest.recipe.candidates is None
    assert ready_engine("small.toml") == folder
    assert read(folder).release == 1
    Path("small.toml").write_text(CHOICE.format('precisions = ["fp32", "int8"]').replace("9.0", "8.0"))
    ready_engine("small.toml")
    assert read(folder).release == 2


def test_models_of_several_sizes_are_held_to_the_truth(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = CHOICE.format('models = ["small.onnx", "wide.onnx"]\nmax_dice_loss = 0.1').replace("int8", "fp32")
    Path("small.toml").write_text(text.replace('table = "table.json"\n', ""))
    recipe = read_toml(EngineRecipe, Path("small.toml"))
    monkeypatch.setattr(TruthJudge, "__call__", lambda self, session: 0.5 if session.spec.width == SIZE else 0.3)
    manifest = build_engine(recipe, Path("engine"), overwrite=False)
    assert manifest.choice is not None
    assert [candidate.name for candidate in manifest.choice.candidates] == ["small.onnx", "wide.onnx"]
    assert [candidate.dice for candidate in manifest.choice.candidates] == [0.5, 0.3]
    assert manifest.choice.candidates[1].reasons == ("Dice to the truth is 0.300, at least 0.400 was asked for",)
    assert (manifest.choice.kept, manifest.spec.width) == ("small.onnx", SIZE)


@pytest.mark.parametrize(("found", "expected"), [("truth", 1.0), ("blank", 0.0)])
def test_the_judge_of_models_is_the_truth(
    workshop: Path, monkeypatch: pytest.MonkeyPatch, found: str, expected: float
) -> None:
    judge = TruthJudge("golden.toml")
    truths = {shot.frame.pixels.tobytes(): shot.truth for shot in shots_of(named_set("golden.toml"))}

    def mask(self: object, frame: Frame, truth: None) -> Mask:
        true = truths[frame.pixels.tobytes()]
        assert true is not None
        return true() if found == "truth" else np.zeros_like(true())

    monkeypatch.setattr("edge3vt.cli.engines.Sight.mask", mask)
    assert judge(FakeSession(nets.spec(SIZE))) == expected


def test_golden_pictures_without_a_truth_judge_no_models(workshop: Path) -> None:
    write_image(workshop / "few" / "a.png", nets.pictures(1, SIZE)[0])
    Path("folder.toml").write_text('schema = 1\nname = "few"\nsource = "folder"\npath = "few"\ncount = 1\n')
    with pytest.raises(ConfigError, match=r"folder\.toml: a\.png has no truth"):
        TruthJudge("folder.toml")
