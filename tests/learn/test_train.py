"""A recipe becomes weights: it learns, resumes to the same end, obeys its budget, and stops with one clear line."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edge3vt.core.errors import ArtifactError, BackendMissingError, ConfigError, DataError
from edge3vt.data.dataset import MANIFEST
from edge3vt.learn import checkpoint, loop
from edge3vt.learn.distillation import Distillation
from edge3vt.learn.loop import LOG
from edge3vt.learn.pictures import read_pictures
from edge3vt.learn.recipe import Recipe, Schedule, Teacher
from edge3vt.learn.train import CURVES, RECORD, WEIGHTS, begin_anew, launched, run_recipe
from edge3vt.learn.validation import Looks
from edge3vt.learn.weights import load_weights
from tests.learn.squares import make_squares, recipe


@contextmanager
def bar(label: str) -> Iterator[Any]:
    yield lambda done, total: None


def run(asked: Recipe, out: Path, *, resume: bool = False, minutes: float | None = None) -> dict[str, Any]:
    record = run_recipe(asked, out, bar, resume=resume, minutes=minutes)
    return {} if record is None else asdict(record)


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_squares(tmp_path_factory.mktemp("sets") / "stills", 16)


@pytest.fixture(scope="module")
def teacher(stills: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher")
    run(recipe(stills, schedule=Schedule(steps=60, every=20, patience=9, warmup=5, batch=8)), out)
    return out


def test_it_learns_and_leaves_weights_record_log_and_curves(teacher: Path) -> None:
    record = json.loads((teacher / RECORD).read_text())
    assert record["validation"]["mean"] > 0.6
    assert record["steps"] == 84
    assert record["cooled_from"] == 60
    assert record["pictures"] == {"labelled": 12, "validation": 4, "all": 12}
    assert load_weights(teacher / WEIGHTS).spec.classes == ("background", "large", "small")
    assert not load_weights(teacher / WEIGHTS).spec.has_view, "no picture says what is not the view"
    assert (teacher / CURVES).read_bytes()[:4] == b"\x89PNG"
    lines = [json.loads(line) for line in (teacher / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines if "validation" in line] == [20, 40, 60, 80]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(stills: Path, tmp_path: Path) -> None:
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    for out, seed in ((first, 1), (again, 1), (other, 2)):
        run(recipe(stills, seed=seed), out)
    assert (first / WEIGHTS).read_bytes() == (again / WEIGHTS).read_bytes()
    assert (first / WEIGHTS).read_bytes() != (other / WEIGHTS).read_bytes()


def test_resumed_after_a_kill_it_ends_the_same(stills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = recipe(stills)
    run(asked, tmp_path / "whole")
    monkeypatch.setattr(loop, "CHECKPOINT_S", 0.0)
    real, count = loop.losses, 0

    def killed(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 8:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(loop, "losses", killed)
    with pytest.raises(KeyboardInterrupt):
        run(asked, tmp_path / "killed")
    monkeypatch.setattr(loop, "losses", real)
    run(asked, tmp_path / "killed", resume=True)
    assert (tmp_path / "whole" / WEIGHTS).read_bytes() == (tmp_path / "killed" / WEIGHTS).read_bytes()
    steps = [json.loads(line)["step"] for line in (tmp_path / "killed" / LOG).read_text().splitlines()]
    assert steps == sorted(set(steps)), "no step is logged twice"


def test_a_plateau_ends_it_and_a_budget_of_minutes_too(stills: Path, tmp_path: Path) -> None:
    still = Schedule(steps=500, every=4, patience=2, gain=1.0, warmup=2, batch=2, cooldown=0.5)
    assert run(recipe(stills, schedule=still), tmp_path / "plateau")["steps"] == 12
    long = Schedule(steps=100_000, every=100_000, batch=2, cooldown=0.5)
    record = run(recipe(stills, schedule=long), tmp_path / "budget", minutes=0.05)
    assert 2 <= record["seconds"] <= 6
    assert 1.2 < record["steps"] / record["cooled_from"] < 2


def test_a_student_learns_from_soft_labels_and_unlabelled_cines(stills: Path, teacher: Path, tmp_path: Path) -> None:
    cines = make_squares(tmp_path / "cines", cines=3)
    everything = Distillation(pseudo=0.5, kl=1.0, cwd=1.0, dist=1.0, temporal=1.0, boundary=1.0, small=0.5)
    asked = recipe(
        stills,
        unlabelled=(str(cines),),
        teacher=Teacher(full=str(teacher), crop=str(teacher), looks=2, side=64),
        distillation=everything,
    )
    record = run(asked, tmp_path / "student")
    assert record["pictures"]["all"] == 12 + 9
    made = sorted(path.name for path in (tmp_path / "student" / "soft").iterdir())
    assert made == ["cines", "stills"]
    (line,) = [json.loads(text) for text in (tmp_path / "student" / LOG).read_text().splitlines()][-1:]
    assert line["validation"] > 0.1
    again = replace(asked, teacher=Teacher(soft=str(tmp_path / "student" / "soft"), side=64))
    assert run(again, tmp_path / "again")["files"] == record["files"], "soft labels on disk are the teacher"


def test_a_loss_that_is_not_finite_leaves_the_last_good_state(
    stills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_S", 0.0)
    real = loop.segmentation_loss
    monkeypatch.setattr(
        loop, "segmentation_loss", lambda *a: real(*a) * (float("nan") if torch.initial_seed() & 0xFF == 5 else 1.0)
    )
    with pytest.raises(DataError, match=r"step 5: the loss is nan; lower the learning rate; .*checkpoint"):
        run(recipe(stills), tmp_path)
    monkeypatch.setattr(loop, "segmentation_loss", real)
    assert run(recipe(stills), tmp_path, resume=True)["steps"] == 18


def test_a_full_disk_leaves_the_last_good_state(stills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_S", 0.0)
    real, count = checkpoint.write_tensors, 0
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            real(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    with pytest.raises(DataError, match=r"cannot be written .*File too large"):
        run(recipe(stills), tmp_path)
    assert not list(tmp_path.glob(".*.part*")), "half a file does not stay"
    monkeypatch.setattr(checkpoint, "write_tensors", real)
    assert run(recipe(stills), tmp_path, resume=True)["steps"] == 18


def test_a_missing_or_foreign_checkpoint_is_refused(stills: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no checkpoint to resume"):
        run(recipe(stills), tmp_path / "nothing", resume=True)
    run(recipe(stills), tmp_path)
    with pytest.raises(ArtifactError, match="a checkpoint of another recipe"):
        run(recipe(stills, seed=2), tmp_path, resume=True)
    (tmp_path / checkpoint.NAME).write_bytes(b"no tensors here")
    with pytest.raises(ArtifactError, match="not weights in safetensors"):
        run(recipe(stills), tmp_path, resume=True)


def test_a_split_dealt_anew_is_not_resumed(tmp_path: Path) -> None:
    asked = recipe(make_squares(tmp_path / "set", 8), schedule=Schedule(steps=1, every=9, batch=2))
    run(asked, tmp_path / "out")
    manifest = tmp_path / "set" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"validation"', '"test"', 1))
    with pytest.raises(ArtifactError, match="is in another state than when this training began"):
        run(asked, tmp_path / "out", resume=True)


def test_no_patient_is_trained_on_who_judges(stills: Path, tmp_path: Path) -> None:
    cines = make_squares(tmp_path / "cines", cines=1)
    manifest = cines / MANIFEST
    judge = read_pictures([stills], "validation")[0].patients[0]
    manifest.write_text(manifest.read_text().replace('"cines-p0"', f'"{judge}"'))
    soft = Teacher(soft=str(tmp_path / "soft"), side=64)
    asked = recipe(stills, unlabelled=(str(cines),), teacher=soft, distillation=Distillation(kl=1.0))
    with pytest.raises(DataError, match=f"the patient {judge} of the split 'validation' is also trained on"):
        run(asked, tmp_path / "out")
    with pytest.raises(DataError, match="is also trained on"):
        run(recipe(stills, negatives=(str(cines),)), tmp_path / "out")


def test_a_validation_without_what_is_scored_is_refused(
    stills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Looks, "scored", (7,))
    with pytest.raises(DataError, match="'validation' holds a structure that is scored"):
        run(recipe(stills), tmp_path)


def test_more_processes_than_gpus_or_pairs_are_refused(stills: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BackendMissingError, match="started 2 processes, but there are 1 GPUs; lower --nproc-per-node"):
        launched(recipe(stills))
    with pytest.raises(
        ConfigError, match=r"a batch of 6 cannot be shared by 2 processes in pairs; set schedule\.batch to"
    ):
        launched(recipe(stills, schedule=Schedule(batch=6)))


def test_a_folder_is_cleared_of_a_training_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(*names: str) -> None:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("x")

    held("soft/stills/a.npz", "thesis.tex")
    begin_anew(tmp_path, overwrite=False)
    held(checkpoint.NAME)
    with pytest.raises(ConfigError, match="holds a training; add --resume"):
        begin_anew(tmp_path, overwrite=False)
    monkeypatch.setenv("RANK", "1")
    begin_anew(tmp_path, overwrite=True)
    assert (tmp_path / checkpoint.NAME).exists(), "the first process clears, and no other"
    monkeypatch.setenv("RANK", "0")
    begin_anew(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": -1}, "seed -1: expected 0 to"),
        ({"workers": -1}, "workers cannot be below 0"),
        ({"patients": 0}, "nor patients below 1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(stills: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        recipe(stills, **changes)


def test_keys_that_nothing_would_read_are_refused() -> None:
    with pytest.raises(ConfigError, match="early_size and early_steps belong together"):
        Schedule(early_steps=5)
    with pytest.raises(ConfigError, match="network is the class of full, but there is no full"):
        Teacher(soft="soft", network="package:Net")


def test_classes_that_do_not_fit_are_refused(stills: Path, tmp_path: Path) -> None:
    wrong = recipe(stills, teacher=Teacher(full="student-s384", side=64), distillation=Distillation(kl=1.0))
    with pytest.raises(ArtifactError, match="teaches background, pulmonary_artery"):
        run(wrong, tmp_path)


def test_frozen_statistics_stay_those_of_the_weights_it_began_with(stills: Path, teacher: Path, tmp_path: Path) -> None:
    run(recipe(stills, init=str(teacher), frozen_statistics=True), tmp_path / "frozen")
    run(recipe(stills, init=str(teacher)), tmp_path / "free")
    began, frozen, free = (
        load_weights(p / WEIGHTS).model.state_dict() for p in (teacher, tmp_path / "frozen", tmp_path / "free")
    )
    names = [name for name in began if name.endswith("running_mean")]
    assert all(torch.equal(began[name], frozen[name]) for name in names)
    assert not any(torch.equal(began[name], free[name]) for name in names)
    assert not torch.equal(began["head.weight"], frozen["head.weight"])
