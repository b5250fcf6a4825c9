"""The engine that ``run`` and ``demo`` take unasked: built where there is none that serves, and only there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge3vt.calibrate.observe import observe
from edge3vt.cli.engines import ASSETS, named_weights, ready_engine
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import write_json
from edge3vt.engine import open as opening
from edge3vt.engine.manifest import Target, read
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
