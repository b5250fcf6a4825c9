"""``edge3vt engines`` as a user calls it: the maker's machine and a cart, each with keys of its own."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge3vt.calibrate.observe import observe
from edge3vt.cli import cart
from edge3vt.cli.main import main
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import write_json
from edge3vt.engine import keyring
from edge3vt.engine import open as opening
from edge3vt.engine.manifest import Target
from edge3vt.engine.open import open_engine
from tests import nets

SIZE = 64
RECIPE = """schema = 1
name = "small"
model = "small.onnx"
precision = "int8"
runtime = "onnxruntime"
table = "table.json"
golden = "golden.toml"

[verify]
min_agreement = 0.8
min_dice = 0.0
max_mean_error = 0.2
max_peak_error = 0.5
max_view_difference = 9.0
"""
SET = 'schema = 1\nname = "few"\nsource = "phantom"\nseed = 7_700_000\ncount = 3\n'
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def called(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in arguments])
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return called


@pytest.fixture
def told(call: Call) -> Callable[..., dict[str, Any]]:
    def document(*arguments: object) -> dict[str, Any]:
        code, out, err = call("engines", *arguments, "--json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        assert (found["schema"], found["verb"], found["passed"]) == (1, f"engines {arguments[0]}", True)
        return found

    return document


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The maker's folder: a small model, its table, a recipe, and releases 1 and 2 of its engine as bundles."""
    folder = tmp_path_factory.mktemp("maker")
    model = nets.student(SIZE)
    (folder / "small.onnx").write_bytes(model)
    write_json(observe(model, nets.spec(SIZE), nets.pictures(8, SIZE), set_name="some"), folder / "table.json")
    (folder / "small.toml").write_text(RECIPE)
    (folder / "golden.toml").write_text(SET)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv(keyring.VARIABLE, str(folder / "keys"))
        for release in (1, 2):
            for words in (
                ["build", "small.toml", *(["--overwrite"] * (release > 1))],
                ["engines", "export", "engines/build/small", "-o", f"{release}.tar"],
                ["engines", "key", "-o", "maker.pub", "--overwrite"],
            ):
                with pytest.raises(SystemExit) as stopped:
                    main(words)
                assert not stopped.value.code
    return folder


@pytest.fixture
def cart_folder(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cart that has the bundles on a stick, the maker's key, and the golden set that ships."""
    for name in ("1.tar", "2.tar", "maker.pub", "golden.toml"):
        shutil.copy(workshop / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(keyring.VARIABLE, str(tmp_path / "keys"))
    return tmp_path


def refused(call: Call, *arguments: object) -> str:
    code, out, err = call("engines", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err


@pytest.mark.parametrize(
    "command", [command.name or command.callback.__name__ for command in cart.app.registered_commands]
)  # type: ignore[union-attr]
def test_every_command_has_help_with_an_example(call: Call, command: str) -> None:
    code, text, _ = call("engines", command, "--help")
    assert code == 0
    assert f"Example: edge3vt engines {command}" in text
    assert "--json" in text


def test_to_the_cart_and_a_step_back(call: Call, told: Callable[..., dict[str, Any]], cart_folder: Path) -> None:
    home = Path("engines/slots/small")
    assert "not pinned here" in refused(call, "import", "1.tar")
    assert not home.exists()
    maker = told("trust", "maker.pub")["key"]

    assert told("import", "1.tar")["slots"]["previous"] is None
    open_engine(home).close()
    first = (home / "a" / "engine.onnx").read_bytes()
    assert not (cart_folder / "keys" / keyring.OWN).exists()  # a cart that only runs signs nothing
    assert told("import", "1.tar")["slots"]["previous"] is None  # again: nothing to do

    moved = told("import", "2.tar")
    assert (moved["slots"]["active"]["folder"], moved["slots"]["previous"]["folder"]) == ("b", "a")
    assert moved["manifest"]["release"] == 2
    assert (home / "a" / "engine.onnx").read_bytes() == first
    assert "release 1 of small, but release 2 is here" in refused(call, "import", "1.tar")
    listed = told("list")["engines"]
    assert [(e["slot"], e["release"], e["refused"]) for e in listed] == [("active", 2, None), ("last good", 1, None)]

    assert told("rollback", home)["manifest"]["release"] == 1
    open_engine(home).close()
    assert told("rollback", home)["manifest"]["release"] == 2
    assert keyring.floor(maker, "small") == 1
    code, out, _ = call("verify", home / "b")
    assert code == 2  # the cart has no model to hold it against; that is the maker's work
    assert not out


def test_an_import_that_does_not_prove_itself_changes_nothing(
    call: Call, told: Callable[..., dict[str, Any]], cart_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told("trust", "maker.pub")
    told("import", "1.tar")
    there = opening.target("onnxruntime")
    elsewhere = Target("9.9.9", there.facts)
    monkeypatch.setattr(opening, "target", lambda _: elsewhere)
    said = refused(call, "import", "2.tar")
    assert f"built for onnxruntime version {there.runtime_version}, here is 9.9.9" in said
    assert "edge3vt engines import 2.tar --build" in said
    monkeypatch.undo()
    monkeypatch.chdir(cart_folder)
    monkeypatch.setenv(keyring.VARIABLE, str(cart_folder / "keys"))
    assert [(e["slot"], e["release"]) for e in told("list")["engines"]] == [("active", 1)]


def test_a_cart_of_another_kind_builds_its_own(
    call: Call, told: Callable[..., dict[str, Any]], cart_folder: Path, workshop: Path
) -> None:
    told("trust", "maker.pub")
    made = told("import", "2.tar", "--build")["manifest"]
    own, _ = keyring.own_key()
    assert made["key"] == own
    assert made["chain"]["onnx"] == sha256_bytes((workshop / "small.onnx").read_bytes())
    open_engine(Path("engines/slots/small")).close()
    assert "older than release 2" in refused(call, "import", "1.tar", "--build")


def test_a_cart_of_another_kind_is_told_which_pictures_it_lacks(
    call: Call, told: Callable[..., dict[str, Any]], cart_folder: Path
) -> None:
    told("trust", "maker.pub")
    (cart_folder / "golden.toml").unlink()
    said = refused(call, "import", "2.tar", "--build")
    assert "golden.toml: no such set" in said
    assert "small is verified on it; bring it to this machine" in said
    assert not (cart_folder / "engines" / "slots" / "small").exists()


def test_what_a_bundle_holds(call: Call, told: Callable[..., dict[str, Any]], cart_folder: Path) -> None:
    told("trust", "maker.pub")
    shown = told("show", "2.tar")
    with tarfile.open("2.tar") as archive:
        names = archive.getnames()
        bill = json.load(archive.extractfile("sbom.cdx.json"))  # type: ignore[arg-type]
        wheels = archive.extractfile("wheels.txt").read().decode()  # type: ignore[union-attr]
        card = archive.extractfile("card.md").read().decode()  # type: ignore[union-attr]
    assert names[:2] == ["bundle.json", "bundle.sig"]
    assert set(names[2:]) == set(shown["files"])
    assert {"engine.onnx", "golden.npz", "manifest.json", "manifest.sig", "model.onnx", "table.json"} < set(names)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["hashes"][0]["content"] == shown["manifest"]["chain"]["engine"]
    named = {component["name"] for component in bill["components"]}
    assert {"edge3vt", "onnxruntime", "numpy", "cryptography"} <= named
    assert not named & {"torch", "openvino", "pytest"}
    assert "onnxruntime==" in wheels
    assert "Not a medical device" in card
    code, out, _ = call("engines", "show", "2.tar")
    assert code == 0
    assert shown["manifest"]["chain"]["table"] in out


def test_outputs_are_not_replaced_unasked(call: Call, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)
    monkeypatch.setenv(keyring.VARIABLE, str(workshop / "keys"))
    before = (workshop / "2.tar").read_bytes()
    assert "--overwrite" in refused(call, "export", "engines/build/small", "-o", "2.tar")
    assert "--overwrite" in refused(call, "key", "-o", "maker.pub")
    assert (workshop / "2.tar").read_bytes() == before


def test_an_export_of_another_model_or_table_is_refused(
    call: Call, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(workshop, tmp_path / "w")
    monkeypatch.chdir(tmp_path / "w")
    monkeypatch.setenv(keyring.VARIABLE, str(tmp_path / "w" / "keys"))
    table = Path("table.json").read_text()
    Path("table.json").write_text(table.replace('"set_name": "some"', '"set_name": "other"'))
    assert "is not the calibration table" in refused(call, "export", "engines/build/small", "-o", "3.tar")
    Path("table.json").write_text(table)
    Path("small.onnx").write_bytes(nets.student(SIZE, seed=1))
    assert "made from the model" in refused(call, "export", "engines/build/small", "-o", "3.tar")
    assert not Path("3.tar").exists()


def test_prune_names_first_and_removes_what_does_not_open(
    told: Callable[..., dict[str, Any]], workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(workshop / "engines", tmp_path / "engines")
    shutil.copytree(workshop / "keys", tmp_path / "keys")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(keyring.VARIABLE, str(tmp_path / "keys"))
    builds = tmp_path / "engines" / "build"
    shutil.copytree(builds / "small", builds / "broken")
    (builds / "broken" / "engine.onnx").write_bytes(b"x")
    (builds / "notes").mkdir()
    (builds / ".small.part").mkdir()
    found = told("prune")
    assert list(found["engines"]) == ["engines/build/broken"]
    assert found["left_beside"] == ["engines/build/small"]
    assert (builds / "broken").exists()
    told("prune", "--yes")
    assert sorted(path.name for path in builds.iterdir()) == ["notes", "small"]


def test_rollback_needs_an_earlier_engine(call: Call, told: Callable[..., dict[str, Any]], cart_folder: Path) -> None:
    assert "holds no slots" in refused(call, "rollback", "engines/slots/small")
    told("trust", "maker.pub")
    told("import", "1.tar")
    assert "there is no earlier engine" in refused(call, "rollback", "engines/slots/small")
    told("import", "2.tar")
    (Path("engines/slots/small/a/golden.npz")).write_bytes(b"x")
    assert "golden.npz" in refused(call, "rollback", "engines/slots/small")
    assert told("list")["engines"][0]["release"] == 2
