"""train, distill and export as a user calls them, and what they refuse with one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.test_bad_input import refused
from tests.cli.test_verbs import called
from tests.learn.squares import MILD, make_squares

HEAD = """schema = 1
name = "tiny"
network = "student-s"
size = 64
data = ["stills"]
training = "trained on squares"
"""
SCHEDULE = "[schedule]\nsteps = 10\nevery = 5\nbatch = 4\nwarmup = 2\n"
AUGMENTATION = "[augmentation]\n" + "".join(f"{name} = {value}\n" for name, value in MILD.items())
TEACHER = '[teacher]\nfull = "teacher"\nlooks = 1\nside = 64\n[distillation]\nkl = 1.0\n'


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workplace")
    make_squares(folder / "stills", 16)
    (folder / "plain.toml").write_text(HEAD + SCHEDULE + AUGMENTATION)
    (folder / "taught.toml").write_text(HEAD + SCHEDULE + AUGMENTATION + TEACHER)
    return folder


@pytest.fixture(autouse=True)
def here(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)


def test_a_teacher_a_student_and_its_onnx(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    code, text = called(capsys, "train", "plain.toml", "-o", "teacher", "--seed", 5, "--json")
    assert code == 0
    record = json.loads((workplace / "teacher" / "record.json").read_text())
    assert record["recipe"]["seed"] == 5
    assert json.loads(text)["validation"]["mean"] == record["validation"]["mean"]
    code, _ = called(
        capsys, "distill", "taught.toml", "-o", "student", "--set", "patients=6", "--init", "teacher", "--json"
    )
    assert code == 0
    record = json.loads((workplace / "student" / "record.json").read_text())
    assert record["pictures"]["labelled"] == 6
    code, text = called(capsys, "export", "student", "student.onnx", "--size", 96, "--json")
    assert code == 0
    assert json.loads(text)["spec"]["height"] == 96
    code, text = called(capsys, "evaluate", "student.onnx", "stills", "--split", "validation", "-o", "found", "--json")
    assert code == 0
    shutil.rmtree(workplace / "found")


def test_what_is_refused(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    assert "has a [teacher]; use edge3vt distill" in refused(capsys, "train", "taught.toml")
    assert "has no [teacher]" in refused(capsys, "distill", "plain.toml")
    assert "no training is named 'plane'" in refused(capsys, "train", "plane")
    assert "--minutes 0" in refused(capsys, "train", "plain.toml", "--minutes", 0)
    assert "no checkpoint to resume" in refused(capsys, "train", "plain.toml", "-o", "empty", "--resume")
    assert "no such weights" in refused(capsys, "train", "plain.toml", "-o", "empty", "--init", "nowhere")
    assert "no data set" in refused(capsys, "train", "plain.toml", "-o", "empty", "--data", "nowhere")
    assert "unknown key 'patient'; did you mean" in refused(capsys, "train", "plain.toml", "--set", "patient=6")
    assert "no such weights" in refused(capsys, "export", "nowhere", "x.onnx")
    (workplace / "odd.toml").write_text(HEAD.replace("64", "60") + SCHEDULE)
    assert "size 60: expected a multiple of 32" in refused(capsys, "train", "odd.toml")
    (workplace / "unknown.toml").write_text(HEAD.replace("student-s", "student-x") + SCHEDULE)
    assert "did you mean" in refused(capsys, "train", "unknown.toml", "-o", "empty")
    (workplace / "blank.toml").write_text(HEAD + SCHEDULE + '[teacher]\nfull = "teacher"\n')
    assert "every weight in [distillation] is 0" in refused(capsys, "distill", "blank.toml")


def test_a_training_is_not_overwritten_unasked(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    called(capsys, "train", "plain.toml", "-o", "kept")
    before = (workplace / "kept" / "weights.safetensors").read_bytes()
    assert "holds a training; add --resume" in refused(capsys, "train", "plain.toml", "-o", "kept")
    assert (workplace / "kept" / "weights.safetensors").read_bytes() == before
    code, _ = called(capsys, "train", "plain.toml", "-o", "kept", "--overwrite", "--seed", 9)
    assert code == 0
    assert (workplace / "kept" / "weights.safetensors").read_bytes() != before


def test_only_students_are_exported(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    (workplace / "unet.toml").write_text(
        HEAD.replace("student-s", "unet-half") + SCHEDULE.replace("10", "1") + AUGMENTATION
    )
    called(capsys, "train", "unet.toml", "-o", "unet")
    assert "holds unet-half, only students are exported" in refused(capsys, "export", "unet", "x.onnx")
    assert not (workplace / "x.onnx").exists()
