"""``edge3vt data`` as a user calls it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from edge3vt.cli.data import app
from edge3vt.cli.main import main
from edge3vt.data.dataset import read_dataset
from edge3vt.picture.images import write_image
from tests.cli.test_bad_input import refused
from tests.cli.test_verbs import called
from tests.data.mutate import label_me, labels, native, noise, written
from tests.data.test_imports import laid_out

VERBS = [command.name or "" for command in app.registered_commands]
MAP = 'schema = 1\nblanked = true\nclasses = ["background", "nerve", "vessel"]\n[labels]\n1 = "nerve"\n2 = "vessel"\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three pictures with masks and their class map."""
    for n in range(3):
        write_image(tmp_path / "in" / "images" / f"{n}.png", noise(seed=n))
        write_image(tmp_path / "in" / "masks" / f"{n}.png", labels())
    (tmp_path / "map.toml").write_text(MAP)
    return tmp_path / "in"


def arguments(source: Path, *more: object) -> tuple[object, ...]:
    folder = source.parent
    return ("data", "import", source, folder / "set", "--classes", folder / "map.toml", "--patient-from", "file", *more)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    code, text = called(capsys, "data", verb, "--help")
    assert code == 0
    assert f"Example: edge3vt data {verb}" in text
    assert "--json" in text


def test_an_import_tells_its_counts_as_one_document(capsys: pytest.CaptureFixture[str], source: Path) -> None:
    code, text = called(capsys, *arguments(source, "--json"))
    assert code == 0
    document = json.loads(text)
    assert (document["verb"], document["schema"], document["passed"]) == ("data import", 1, True)
    assert (document["format"], document["items"], document["patients"]) == ("pictures", 3, 3)
    assert document["classes"] == {"nerve": 3, "vessel": 3}
    assert document["refused"] == []
    key = Path(document["patient_key"])
    assert key == source.parent / "set.patient-key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(read_dataset(source.parent / "set").items) == 3
    assert called(capsys, *arguments(source))[0] == 2  # it is there already
    assert called(capsys, *arguments(source, "--overwrite"))[0] == 0


def test_a_refused_file_is_named_and_fails_the_gate(capsys: pytest.CaptureFixture[str], source: Path) -> None:
    (source / "images" / "1.png").write_bytes(b"broken")
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments(source)])
    said = capsys.readouterr()
    assert stopped.value.code == 1
    assert said.err.startswith(f"refused: {source / 'images' / '1.png'}: neither a PNG")
    assert said.err.count("\n") == 1
    assert "2 pictures, 2 labelled, 2 patients" in said.out
    assert "1 refused" in said.out


def test_counts_and_what_was_passed_over_add_up(capsys: pytest.CaptureFixture[str], source: Path) -> None:
    (source / "images" / "1.png").write_bytes(b"broken")
    (source / "images" / "x.tif").touch()
    with pytest.raises(SystemExit):
        main([str(a) for a in arguments(source)])
    said = capsys.readouterr()
    assert "3 files (pictures): 2 read, 1 refused" in said.out
    assert "passed over: 1 .tif" in said.err
    with pytest.raises(SystemExit):
        main([str(a) for a in arguments(source, "--overwrite", "--json")])
    document = json.loads(capsys.readouterr().out)
    assert (document["files"], document["read"], document["passed_over"]) == (3, 2, {".tif": 1})


def test_names_that_a_terminal_would_obey_are_escaped(capsys: pytest.CaptureFixture[str], source: Path) -> None:
    odd = source / "images" / "\x1b[2J\udcff\n.png"
    odd.write_bytes(b"broken")
    for more in ((), ("--overwrite", "--json")):
        with pytest.raises(SystemExit):
            main([str(a) for a in arguments(source, *more)])
        said = capsys.readouterr()
        assert "\\x1b[2J\\udcff" in said.err
        assert "\x1b" not in said.err + said.out
        (said.err + said.out).encode()
        assert said.err.count("\n") == 1


def test_names_of_files_are_kept_where_asked(capsys: pytest.CaptureFixture[str], source: Path) -> None:
    for more, kept in (((), False), (("--keep-names", "--overwrite"), True)):
        assert called(capsys, *arguments(source, *more))[0] == 0
        items = read_dataset(source.parent / "set").items
        assert all((item.source.startswith("images/")) == kept for item in items)


def test_a_bar_is_drawn_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for terminal in (False, True):
        if terminal:
            monkeypatch.setenv("FORCE_COLOR", "1")
        with pytest.raises(SystemExit):
            main([str(a) for a in arguments(source, "--overwrite")])
        assert ("importing pictures" in capsys.readouterr().err) == terminal


def test_the_same_key_gives_the_same_names(capsys: pytest.CaptureFixture[str], source: Path) -> None:
    key = source.parent / "clinic.key"
    names = []
    for _ in range(2):
        assert called(capsys, *arguments(source, "--patient-key", key, "--overwrite"))[0] == 0
        names.append({item.patient for item in read_dataset(source.parent / "set").items})
    assert names[0] == names[1]
    assert not (source.parent / "set.patient-key").exists()


def test_dicom_is_imported_without_a_class_map(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    clip = written(native(np.stack([noise(seed=n) for n in range(6)])))
    laid_out(tmp_path / "in", {"clip.dcm": clip})
    code, text = called(capsys, "data", "import", tmp_path / "in", tmp_path / "set", "--every", "2", "--json")
    assert code == 0
    assert {key: json.loads(text)[key] for key in ("format", "items", "cines", "patients")} == {
        "format": "dicom",
        "items": 3,
        "cines": 1,
        "patients": 1,
    }
    assert read_dataset(tmp_path / "set").classes[-1] == "spine"


def test_one_patient_in_all_headers_is_pointed_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    laid_out(tmp_path / "in", {f"{n}.dcm": written(native(noise(seed=n)[None])) for n in range(6)})
    laid_out(tmp_path / "in", {"last.dcm": written(native(noise(seed=9)[None], PatientID="another"))})
    importing = ("data", "import", tmp_path / "in", tmp_path / "set")
    said = called(capsys, *importing)[1]
    assert "6 of 7 files with a patient in the header name the same one; if that is a placeholder" in said
    told = called(capsys, *importing, "--overwrite", "--ignore-header", "--patient-from", "file")[1]
    assert "7 patients" in told
    assert "placeholder" not in told


def test_a_stopped_import_says_how_to_go_on(capsys: pytest.CaptureFixture[str], source: Path) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge3vt.data.writer.DatasetWriter.take", stop)
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in arguments(source)])
    assert stopped.value.code == 130
    assert "repeat the command, and it goes on" in capsys.readouterr().err
    assert called(capsys, *arguments(source))[0] == 0


def test_a_region_and_what_lies_outside(capsys: pytest.CaptureFixture[str], source: Path) -> None:
    assert called(capsys, *arguments(source, "--region", "0,0,20,30"))[0] == 0
    dataset = read_dataset(source.parent / "set")
    assert not dataset.picture(dataset.items[0])[30:].any()
    assert called(capsys, *arguments(source, "--region", "0,0,20,30", "--keep-outside", "--overwrite"))[0] == 0
    dataset = read_dataset(source.parent / "set")
    assert dataset.picture(dataset.items[0])[30:].any()
    assert dataset.items[0].facts == {"region": "0,0,20,30"}


@pytest.mark.parametrize("format", ["labelme", "nnunet", "pictures"])
def test_an_export_is_imported_back_as_it_was(capsys: pytest.CaptureFixture[str], source: Path, format: str) -> None:
    if format != "nnunet":  # it has no place for pictures without a mask
        write_image(source / "unlabelled" / "bare.png", noise(seed=9))
    assert called(capsys, *arguments(source))[0] == 0
    before = read_dataset(source.parent / "set")
    assert {item.mask_sha256 is None for item in before.items} == {False, format != "nnunet"}
    exported, again = source.parent / "Dataset101_out", source.parent / "again"
    importlib.import_module(f"edge3vt.data.exporters.{format}").export(before, exported)
    code, text = called(capsys, "data", "import", exported, again, "--patient-from", "file", "--json")
    assert code == 0
    assert json.loads(text)["format"] == format
    after = read_dataset(again)
    assert after.classes == before.classes
    assert {(item.picture_sha256, item.mask_sha256) for item in after.items} == {
        (item.picture_sha256, item.mask_sha256) for item in before.items
    }
    assert len(after.items) == len(before.items)


def test_what_cannot_be_imported_is_one_line_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], source: Path
) -> None:
    folder = source.parent
    before = sorted(folder.rglob("*"))
    for more, expected in (
        (("--region", "1,2,3"), "--region '1,2,3': expected four whole numbers"),
        (("--region", "5,5,5,9"), "it is empty"),
        (("--workers", "0"), "--workers 0: expected 1 or more"),
        (("--every", "0"), "every 0: expected 1 or more"),
        (("--format", "dicom"), "holds no DICOM files"),
        (("--patient-from", "pattern:("), "no regular expression"),
        (("--classes", folder / "none.toml"), "no such file"),
        (("--formt", "dicom"), "see edge3vt data import --help"),
    ):
        assert expected in refused(capsys, *arguments(source, *more))
    assert "add --classes MAP.toml" in refused(capsys, "data", "import", source, folder / "set")
    assert "is not there" in refused(capsys, "data", "import", folder / "none", folder / "set")
    assert "see edge3vt data --help" in refused(capsys, "data", "imprt")
    said = refused(capsys, "data", "import", source, folder / "set", "--classes", folder / "map.toml")
    assert "--patient-from file, folder, folder:N or pattern:REGEX" in said
    assert sorted(folder.rglob("*")) == before


def test_a_folder_of_something_else_is_not_written_into(capsys: pytest.CaptureFixture[str], source: Path) -> None:
    (source.parent / "set" / "pictures").mkdir(parents=True)
    (source.parent / "set" / "pictures" / "mine.png").write_bytes(b"precious")
    for more in ((), ("--overwrite",)):
        assert "holds other files" in refused(capsys, *arguments(source, *more))
    assert (source.parent / "set" / "pictures" / "mine.png").read_bytes() == b"precious"
    assert not (source.parent / "set.patient-key").exists()


def test_one_labelme_document_is_a_source_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    laid_out(tmp_path, label_me())
    code, _ = called(
        capsys, "data", "import", tmp_path / "a.json", tmp_path / "set", "--patient-from", "file", "--keep-outside"
    )
    assert code == 0
    assert read_dataset(tmp_path / "set").classes == ("background", "nerve", "vessel")
