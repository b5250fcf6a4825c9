"""Bad input: one line that names it, exit code 2, and no half-written output."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge3vt.cli.engines import build_engine
from edge3vt.cli.main import main
from edge3vt.core.documents import read_toml
from edge3vt.core.shipped import find
from edge3vt.engine.recipe import EngineRecipe


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped student as an FP32 engine: quick to build."""
    out = tmp_path_factory.mktemp("engines") / "fp32"
    build_engine(read_toml(EngineRecipe, find("recipe", "cpu-fp32")), out, overwrite=False)
    return out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> str:
    """The one line that ``edge3vt`` says when it refuses ``arguments``."""
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    said = capsys.readouterr()
    assert stopped.value.code == code, said.err
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("edge3vt: ")
    return said.err


def pydicom_file(name: str) -> Path:
    from pydicom.data import get_testdata_file

    return Path(str(get_testdata_file(name, download=False)))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("missing.dcm", None, "check the path"),
        ("missing.mp4", None, "check the path"),
        ("empty.mp4", b"", "empty (0 bytes)"),
        ("empty.dcm", b"", "empty (0 bytes)"),
        ("text.mp4", b"this is no video, however it is named\n" * 40, "no readable video"),
        ("text.dcm", b"neither is this a clip\n" * 40, "not a DICOM file"),
        ("clip.xyz", b"what is this", "no source reads '.xyz'"),
    ],
)
def test_unreadable_sources(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, engine: Path, name: str, content: bytes | None, expected: str
) -> None:
    path, out = tmp_path / name, tmp_path / "out.mp4"
    if content is not None:
        path.write_bytes(content)
    said = refused(capsys, "run", path, out, "--engine", engine)
    assert str(path) in said
    assert expected in said
    assert [p.name for p in tmp_path.iterdir()] == ([name] if content is not None else [])


def test_truncated_dicom_and_dicom_without_pixels(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, engine: Path
) -> None:
    whole = pydicom_file("examples_ybr_color.dcm").read_bytes()
    (tmp_path / "short.dcm").write_bytes(whole[: len(whole) // 2])
    shutil.copy(pydicom_file("rtplan.dcm"), tmp_path / "plan.dcm")
    for name in ("short.dcm", "plan.dcm"):
        assert name in refused(capsys, "run", tmp_path / name, tmp_path / "o.mp4", "--engine", engine)
    assert not (tmp_path / "o.mp4").exists()


@pytest.mark.parametrize("damage", ["empty", "flipped", "manifest", "missing"])
def test_damaged_engines(capsys: pytest.CaptureFixture[str], tmp_path: Path, engine: Path, damage: str) -> None:
    broken = tmp_path / "engine"
    shutil.copytree(engine, broken)
    file = broken / "engine.onnx"
    data = bytearray(file.read_bytes())
    match damage:
        case "empty":
            file.write_bytes(b"")
        case "flipped":
            data[len(data) // 2] ^= 4
            file.write_bytes(data)
        case "manifest":
            manifest = broken / "manifest.json"
            manifest.write_text(manifest.read_text().replace('"threads": 1', '"threads": 2'))
        case _:
            file.unlink()
    said = refused(capsys, "run", pydicom_file("examples_ybr_color.dcm"), "--engine", broken)
    assert str(broken) in said
    assert "edge3vt build" in said


def test_a_recipe_with_an_unknown_key_suggests_the_right_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(find("recipe", "cpu-fp32").read_text().replace("threads = 1", "thread = 1"))
    said = refused(capsys, "build", recipe, "-o", tmp_path / "engine")
    assert "unknown key 'thread'" in said
    assert "did you mean 'threads'?" in said
    assert not (tmp_path / "engine").exists()


@pytest.mark.parametrize("budget", ["0", "-3", "abc", "nan"])
def test_impossible_budgets(capsys: pytest.CaptureFixture[str], engine: Path, budget: str) -> None:
    said = refused(capsys, "run", "phantom://1", "--engine", engine, "--budget-ms", budget)
    assert "budget" in said


def test_existing_and_unwritable_outputs(capsys: pytest.CaptureFixture[str], tmp_path: Path, engine: Path) -> None:
    clip, out = pydicom_file("examples_ybr_color.dcm"), tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    assert "--overwrite" in refused(capsys, "run", clip, out, "--engine", engine)
    assert out.read_bytes() == b"precious"
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be written" in refused(capsys, "run", clip, tmp_path / "file" / "out.mp4", "--engine", engine)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "out.mp4"]


@pytest.mark.parametrize(
    ("uri", "expected"), [("dicim://clip.dcm", "did you mean 'dicom'?"), ("gopher://x", "known: ")]
)
def test_unknown_schemes(capsys: pytest.CaptureFixture[str], engine: Path, uri: str, expected: str) -> None:
    assert expected in refused(capsys, "run", uri, "--engine", engine)


def test_unknown_sink_and_phantom_settings(capsys: pytest.CaptureFixture[str], engine: Path) -> None:
    clip = pydicom_file("examples_ybr_color.dcm")
    assert "no sink writes '.mov'" in refused(capsys, "run", clip, "out.mov", "--engine", engine)
    assert "unknown phantom setting 'second'" in refused(capsys, "run", "phantom://1?second=3", "--engine", engine)
    assert "expected a number" in refused(capsys, "run", "phantom://seven", "--engine", engine)


def test_class_maps_that_do_not_fit(capsys: pytest.CaptureFixture[str], tmp_path: Path, engine: Path) -> None:
    clip, path = pydicom_file("examples_ybr_color.dcm"), tmp_path / "classes.toml"
    for count, expected in ((9, "9 classes, but the engine has 6"), (80, "80 classes, expected 2 to 64")):
        names = ", ".join(['"background"', *(f'"c{i}"' for i in range(1, count))])
        path.write_text(f"schema = 1\nclasses = [{names}]\n")
        said = refused(capsys, "run", clip, "--engine", engine, "--classes", path)
        assert str(path) in said
        assert expected in said


def test_usage_errors_are_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert "edge3vt --help" in refused(capsys, "rnu")
    assert "edge3vt run --help" in refused(capsys, "run", "x.dcm", "--enginee", "y")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("rtsp://me:[secret]@host[/path", "rtsp://host[/path: no address that can be read"),
        ("rtps://me:secret@host/path", "did you mean 'rtsp'?"),
        ("x" * 5000, "no path (File name too long)"),
    ],
)
def test_addresses_that_are_none(capsys: pytest.CaptureFixture[str], engine: Path, uri: str, expected: str) -> None:
    said = refused(capsys, "run", uri, "--engine", engine)
    assert expected in said
    assert "secret" not in said
    assert len(said) < 1100
