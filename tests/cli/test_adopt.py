"""A network of somebody else's, from its file to the overlay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge3vt.cli.main import main
from edge3vt.core.shipped import find
from edge3vt.engine.model import read_model
from tests.engine.foreign_nets import net

CLASSES = "background, vessel,bone"
RECIPE = """
schema = 1
name = "mine"
model = "{model}"
precision = "int8"
runtime = "onnxruntime"
table = "{table}"
golden = "{golden}"
"""


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(net(ends=[("Softmax", {"axis": 1})]))
    return path


def test_an_adopted_network_goes_the_whole_way(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, foreign: Path
) -> None:
    model, table, engine = tmp_path / "mine.onnx", tmp_path / "table.json", tmp_path / "engine"
    normalised = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")
    code, out, _ = called(capsys, "adopt", foreign, model, "--classes", CLASSES, *normalised, "--size", 96, "--json")
    assert code == 0
    document = json.loads(out)
    assert (document["activation"], document["spec"]["stride"], document["output"]) == ("softmax", 2, "output")
    assert document["spec"]["classes"] == ["background", "vessel", "bone"]
    assert document["spec"]["name"] == "net"
    assert document["difference"] < 1e-4
    assert read_model(model).spec.training == "trained elsewhere"

    sets = []
    for name, count in (("phantom", 3), ("golden", 2)):
        text = find("set", name).read_text()
        sets.append(tmp_path / f"{name}.toml")
        sets[-1].write_text("\n".join(f"count = {count}" if "count" in row else row for row in text.splitlines()))
    assert called(capsys, "calibrate", model, sets[0], "-o", table)[0] == 0
    recipe = tmp_path / "mine.toml"
    recipe.write_text(RECIPE.format(model=model, table=table, golden=sets[1]))
    code, _, err = called(capsys, "build", recipe, "-o", engine)
    assert code == 0, err
    assert called(capsys, "verify", engine)[0] == 0
    source = "phantom://6100000?seconds=1&scenes=1&width=320&height=240&rate=20"
    code, out, _ = called(capsys, "run", source, "--offline", "--engine", engine, "--json")
    assert code == 0
    stream = json.loads(out)["stream"]
    assert stream["frames"] == 20
    assert 14 <= stream["shown"] <= 18  # not the rules of the view, only three of four; a leap of the sweep begins anew


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--classes", "background,a"),
            "net.onnx: output output is (1, 3, 128, 128): 3 channels, 2 classes",
        ),
        (("--classes", "a,b,c"), "class 0 is 'a', expected 'background'"),
        (("--classes", CLASSES, "--mean", "0,x"), "--mean 0,x: expected numbers with commas between"),
        (("--classes", CLASSES, "--channels", "1"), "3 channels, 1 expected"),
        (("--classes", CLASSES, "--output", "nothing"), "no tensor 'nothing' in the network"),
        ((), "Missing option '--classes'"),
    ],
)
def test_words_that_do_not_fit_end_in_one_line_and_no_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, foreign: Path, words: tuple[str, ...], message: str
) -> None:
    code, out, err = called(capsys, "adopt", foreign, tmp_path / "out.onnx", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not (tmp_path / "out.onnx").exists()


def test_files_are_neither_replaced_nor_invented(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, foreign: Path
) -> None:
    out = tmp_path / "out.onnx"
    assert called(capsys, "adopt", tmp_path / "none.onnx", out, "--classes", CLASSES)[0] == 2
    assert called(capsys, "adopt", foreign, out, "--classes", CLASSES)[0] == 0
    code, _, err = called(capsys, "adopt", foreign, out, "--classes", CLASSES)
    assert code == 2
    assert "out.onnx: exists; add --overwrite" in err
    assert called(capsys, "adopt", foreign, out, "--classes", CLASSES, "--overwrite", "--size", 64)[0] == 0
    assert read_model(out).spec.width == 64
