"""``edge3vt data audit``, ``split``, ``show`` and ``export`` as a user calls them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge3vt.cli import dataset as module
from edge3vt.cli.data import app
from edge3vt.cli.main import main
from edge3vt.data.dataset import Dataset, Item, read_dataset
from edge3vt.data.writer import DatasetWriter
from edge3vt.picture.images import read_image
from tests.data.cohort import CLASSES, changed, make_set, repainted, structures, tissue

VERBS = [command.name or "" for command in app.registered_commands]


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def document(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> dict[str, Any]:
    found, out, err = called(capsys, *arguments, "--json")
    assert found == code, err
    told: dict[str, Any] = json.loads(out)
    assert told["verb"] == " ".join(str(a) for a in arguments[:2])
    assert (told["schema"], told["passed"]) == (1, code == 0)
    return told


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code, out, err = called(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err


@pytest.fixture
def sound(tmp_path: Path) -> Dataset:
    return make_set(tmp_path / "set")


@pytest.fixture
def unsplit(tmp_path: Path) -> Dataset:
    with DatasetWriter(tmp_path / "unsplit", "new", CLASSES, resume=False) as writer:
        for patient in range(10):
            for index in range(2):
                seed = 2 * patient + index
                writer.add(f"i{seed}", tissue(seed), structures(seed), patient=f"p{patient}", source="test")
    return read_dataset(tmp_path / "unsplit")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    code, text, _ = called(capsys, "data", verb, "--help")
    assert code == 0
    assert f"Example: edge3vt data {verb}" in " ".join(text.split())
    assert "--json" in text


def test_a_sound_set_passes_with_a_page(capsys: pytest.CaptureFixture[str], sound: Dataset, tmp_path: Path) -> None:
    page = tmp_path / "audit.html"
    told = document(capsys, "data", "audit", sound.folder, "-o", page)
    assert told["audit"]["findings"] == []
    assert [tally["items"] for tally in told["audit"]["tallies"]] == [6, 6, 6]
    assert "<h1>Audit of sound</h1>" in page.read_text(encoding="utf-8")
    assert "--overwrite" in refused(capsys, "data", "audit", sound.folder, "-o", page)


def test_a_leaky_set_fails_and_the_leak_is_named(capsys: pytest.CaptureFixture[str], sound: Dataset) -> None:
    dataset = changed(repainted(sound, "p1-0", picture=tissue(0)), "p3-1", split="test")
    code, out, _ = called(capsys, "data", "audit", dataset.folder)
    assert code == 1
    lines = out.splitlines()
    assert "error patient-leak: p3-0, p3-1: the patient p3 is in train and test" in lines
    assert any(line.startswith("error near-duplicate-leak: p0-0, p1-0: near-duplicates of the pat") for line in lines)
    assert lines[-1].endswith("FAILED, 2 errors, 0 warnings")
    code, out, _ = called(
        capsys, "data", "audit", dataset.folder, "--accept", "patient-leak", "--accept", "near-duplicate-leak"
    )
    assert code == 0
    assert out.splitlines()[-1].endswith("passed, 0 errors, 2 warnings")


def test_many_findings_of_a_rule_are_cut_short(
    capsys: pytest.CaptureFixture[str], unsplit: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHOWN", 3)
    dataset = unsplit
    for item in dataset.items[:5]:
        dataset = changed(dataset, item.id, classes=("nerve",))
    code, out, _ = called(capsys, "data", "audit", dataset.folder, "--workers", "1")
    assert code == 1
    assert sum(line.startswith("error classes-wrong: i") for line in out.splitlines()) == 3
    assert "error classes-wrong: 2 more; --json has them all" in out.splitlines()
    assert "warning unsplit: 20 of 20 items have no split" in out.splitlines()
    assert "  what to do: edge3vt data split; --keep leaves those that have one" in out.splitlines()


def test_split_by_patient(capsys: pytest.CaptureFixture[str], unsplit: Dataset) -> None:
    folder = unsplit.folder
    told = document(capsys, "data", "split", folder, "--shares", "0.6,0.2,0.2", "--seed", "3")
    assert {split: count["patients"] for split, count in told["splits"].items()} == {
        "train": 6,
        "validation": 2,
        "test": 2,
    }
    items = read_dataset(folder).items
    assert len({(item.patient, item.split) for item in items}) == 10
    assert "keep it with --keep, or replace it" in refused(capsys, "data", "split", folder)
    assert read_dataset(folder).items == items
    document(capsys, "data", "split", folder, "--keep")
    assert read_dataset(folder).items == items
    document(capsys, "data", "split", folder, "--overwrite", "--shares", "0.5,0.5,0")
    assert {item.split for item in read_dataset(folder).items} == {"train", "validation"}


def test_a_fold_of_a_set_without_patients(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "row", "row", CLASSES, resume=False) as writer:
        for n in range(60):
            writer.add(f"i{n * 7 % 60}", tissue(n), None, patient=f"p{n}", source=f"images/{n}.png")
    folder = tmp_path / "row"
    told = document(capsys, "data", "split", folder, "--fold", "2/4", "--gap", "1")
    assert (told["fold"], told["gap"], told["left_out"]) == ("2/4", 1, 7)
    assert {split: count["items"] for split, count in told["splits"].items()} == {
        "train": 34,
        "validation": 4,
        "test": 15,
    }
    numbers = sorted(int(i.source[7:-4]) for i in read_dataset(folder).of("test"))
    assert numbers == [*range(5, 10), *range(25, 30), *range(45, 50)]
    assert "replace it with --overwrite" in refused(capsys, "data", "split", folder, "--fold", "1/4")
    assert (
        "left out where they meet, or near-duplicates: 18 items"
        in called(capsys, "data", "split", folder, "--fold", "1/4", "--overwrite")[1]
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--fold", "1"], "expected I/N with I from 1 to N"),
        (["--fold", "6/5"], "fold 6 of 5"),
        (["--fold", "1/5", "--seed", "0"], "so --seed would do nothing"),
        (["--fold", "1/5", "--keep", "--together-like"], "so --keep and --together-like would do nothing"),
        (["--fold", "1/5", "--shares", "1,0,0"], "so --shares would do nothing"),
        (["--gap", "3"], "--gap is of folds"),
    ],
)
def test_options_that_make_no_fold_are_refused(
    capsys: pytest.CaptureFixture[str], unsplit: Dataset, arguments: list[str], reason: str
) -> None:
    assert reason in refused(capsys, "data", "split", unsplit.folder, *arguments)
    assert read_dataset(unsplit.folder).items == unsplit.items


def test_copies_under_two_names_are_split_together_when_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Patients p0, p1 ... hold the same picture two by two, as where every file counts as a patient."""
    dataset = make_set(tmp_path / "set", patients=12, each=1)
    for patient in range(0, 12, 2):
        dataset = repainted(dataset, f"p{patient + 1}-0", picture=tissue(patient))
    folder = dataset.folder
    document(capsys, "data", "split", folder, "--overwrite")
    code, out, _ = called(capsys, "data", "audit", folder)
    assert (code, "error near-duplicate-leak" in out) == (1, True)
    told = document(capsys, "data", "split", folder, "--overwrite", "--together-like")
    assert told["together"] == 12
    where = {item.patient: item.split for item in read_dataset(folder).items}
    assert all(where[f"p{patient}"] == where[f"p{patient + 1}"] for patient in range(0, 12, 2))
    assert set(where.values()) == {"train", "validation", "test"}
    assert "near-duplicate-leak" not in called(capsys, "data", "audit", folder)[1]


@pytest.mark.parametrize("shares", ["a,b,c", "0.5", "0.9,0.2,0.1"])
def test_shares_that_are_none_are_refused(capsys: pytest.CaptureFixture[str], unsplit: Dataset, shares: str) -> None:
    assert "0.7,0.15,0.15" in refused(capsys, "data", "split", unsplit.folder, "--shares", shares)
    assert not any(item.split for item in read_dataset(unsplit.folder).items)


def test_show_writes_a_sheet_of_a_sample_or_of_items(
    capsys: pytest.CaptureFixture[str], sound: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "sheet.png"
    told = document(capsys, "data", "show", sound.folder, "-o", out, "--count", "4", "--columns", "2")
    assert len(told["items"]) == 4
    assert read_image(out).ndim == 3
    assert "--overwrite" in refused(capsys, "data", "show", sound.folder, "-o", out)
    told = document(capsys, "data", "show", sound.folder, "p1-0", "p0-1", "-o", out, "--overwrite")
    assert told["items"] == ["p1-0", "p0-1"]
    other = tmp_path / "other.png"
    assert "no item is named 'p1-9'" in refused(capsys, "data", "show", sound.folder, "p1-9", "-o", other)
    assert "ends in .png" in refused(capsys, "data", "show", sound.folder, "-o", tmp_path / "sheet.jpg")
    assert not other.exists()


def test_export_in_every_format(capsys: pytest.CaptureFixture[str], sound: Dataset, tmp_path: Path) -> None:
    dataset = changed(sound, "p0-0", mask_sha256=None, classes=())
    for name, format, left in (("l", "labelme", 0), ("Dataset007_n", "nnunet", 1), ("p", "pictures", 0)):
        out = tmp_path / name
        told = document(capsys, "data", "export", dataset.folder, out, "--format", format)
        assert (told["items"], told["left_out"]) == (18 - left, left)
        assert "--overwrite" in refused(capsys, "data", "export", dataset.folder, out, "--format", format)
        document(capsys, "data", "export", dataset.folder, out, "--format", format, "--overwrite")
    assert (tmp_path / "Dataset007_n/imagesTr").is_dir()
    assert "Dataset101_x" in refused(capsys, "data", "export", dataset.folder, tmp_path / "x", "--format", "nnunet")


@pytest.mark.parametrize(
    ("format", "kept", "split_of"),
    [
        ("pictures", lambda item: True, lambda split: split),
        ("labelme", lambda item: True, lambda split: None),
        (
            "nnunet",
            lambda item: item.split == "test" or item.mask_sha256 is not None,
            lambda split: "test" if split == "test" else "train",
        ),
    ],
)
def test_a_partly_labelled_set_comes_back_from_its_export(
    capsys: pytest.CaptureFixture[str],
    sound: Dataset,
    tmp_path: Path,
    format: str,
    kept: Callable[[Item], bool],
    split_of: Callable[[str | None], str | None],
) -> None:
    dataset = sound
    for id in ("p0-0", "p1-1", "p2-0"):
        dataset = changed(dataset, id, mask_sha256=None, classes=())
    dataset = changed(dataset, "p3-0", split=None)
    out, back = tmp_path / "Dataset001_x", tmp_path / "back"
    told = document(capsys, "data", "export", dataset.folder, out, "--format", format)
    left = [item for item in dataset.items if not kept(item)]
    assert told["left_out"] == len(left) == (2 if format == "nnunet" else 0)
    document(capsys, "data", "import", out, back, "--patient-from", "file")
    again = read_dataset(back)
    assert again.classes == dataset.classes

    def held(of: Dataset) -> Counter[tuple[str, str | None, tuple[str, ...], str | None]]:
        return Counter(
            (item.picture_sha256, item.mask_sha256, item.classes, split_of(item.split))
            for item in of.items
            if kept(item)
        )

    assert held(again) == held(dataset)
    assert len(again.items) == len(dataset.items) - len(left)


@pytest.mark.parametrize("verb", [["audit"], ["split"], ["show"], ["export", "out", "--format", "labelme"]])
def test_what_is_no_data_set_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *others = verb
    assert "no data set" in refused(capsys, "data", name, tmp_path / "none", *others)
    assert list(tmp_path.iterdir()) == []
