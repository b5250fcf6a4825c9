"""What the loop does at its edges: gradients that are not finite, half precision, logs that a kill cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import nn

from edge3vt.core.errors import DataError
from edge3vt.data.augment import Augmentation
from edge3vt.learn import checkpoint, loop
from edge3vt.learn.batches import Pool
from edge3vt.learn.checkpoint import Progress
from edge3vt.learn.distillation import Distillation
from edge3vt.learn.loop import LOG, train
from edge3vt.learn.networks import Lone, build
from edge3vt.learn.pictures import Pictures, read_pictures
from edge3vt.learn.recipe import Recipe, Schedule, Teacher
from edge3vt.learn.validation import Looks, looks
from tests.learn.squares import CLASSES, MILD, make_squares, recipe

SCHEDULE = Schedule(steps=8, every=4, patience=9, warmup=1, batch=4, cooldown=0.5)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pictures, Looks]:
    folder = make_squares(tmp_path_factory.mktemp("sets") / "stills")
    judged = read_pictures([folder], "validation")[0]
    return read_pictures([folder], "train")[0], looks(judged, CLASSES, 64, Augmentation(**MILD))


def half_precision(scale: float) -> Fabric:
    """As Fabric does it on a GPU; on a CPU it would take bfloat16 instead."""
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=3)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu", scaler))
    fabric.launch()
    return fabric


def scaler_of(fabric: Fabric) -> torch.amp.GradScaler:
    precision = fabric.strategy.precision
    assert isinstance(precision, MixedPrecision)
    assert precision.scaler is not None
    return precision.scaler


def single() -> Fabric:
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    fabric.launch()
    return fabric


def trained(
    fabric: Fabric,
    pictures: tuple[Pictures, Looks],
    folder: Path,
    *,
    resume: bool = False,
    stride: int = 4,
    **changes: Any,
) -> tuple[dict[str, torch.Tensor], Progress]:
    """One convolution after a training of a few steps: half precision is slow on a CPU."""
    folder.mkdir(exist_ok=True)
    asked: Recipe = recipe(Path("stills"), **({"schedule": SCHEDULE} | changes))
    torch.manual_seed(0)
    model = Lone(nn.Conv2d(1, 3, stride, stride), normalise=True)
    pools = [Pool(pictures[0], 1.0, asked.augmentation)]
    progress = train(fabric, asked, model, pools, pictures[1], folder, resume=resume)
    return model.state_dict(), progress


def test_half_precision_leaves_out_steps_that_overflow(pictures: tuple[Pictures, Looks], tmp_path: Path) -> None:
    fabric = half_precision(2.0**40)
    weights, progress = trained(fabric, pictures, tmp_path)
    assert progress.step == 12
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())
    assert scaler_of(fabric).get_scale() < 2.0**40


def test_half_precision_resumes_at_its_scale(
    pictures: tuple[Pictures, Looks], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = trained(half_precision(16.0), pictures, tmp_path / "whole")
    monkeypatch.setattr(loop, "CHECKPOINT_S", 0.0)
    real = loop.losses

    def killed(fabric: Fabric, asked: Recipe, *rest: Any) -> Any:
        if torch.initial_seed() & 0xFF == 7:
            raise KeyboardInterrupt
        return real(fabric, asked, *rest)

    monkeypatch.setattr(loop, "losses", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(half_precision(16.0), pictures, tmp_path / "killed")
    monkeypatch.setattr(loop, "losses", real)
    fabric = half_precision(2.0)
    again, progress = trained(fabric, pictures, tmp_path / "killed", resume=True)
    assert progress.step == 12
    assert scaler_of(fabric).get_scale() == 16.0 * 2 ** (12 // 3)
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_lost(
    pictures: tuple[Pictures, Looks], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loop.segmentation_loss

    def poisoned(*arguments: Any) -> torch.Tensor:
        loss = real(*arguments)
        if torch.initial_seed() & 0xFF == 5:
            loss.register_hook(lambda gradient: gradient * float("nan"))
        return loss

    monkeypatch.setattr(loop, "segmentation_loss", poisoned)
    with pytest.raises(DataError, match="step 5: the gradient's norm is nan; lower the learning rate; there is no"):
        trained(single(), pictures, tmp_path / "short")
    monkeypatch.setattr(loop, "CHECKPOINT_S", 0.0)
    (tmp_path / "kept").mkdir()
    with pytest.raises(DataError, match="is the last good state"):
        trained(single(), pictures, tmp_path / "kept")
    monkeypatch.setattr(loop, "segmentation_loss", real)
    weights, _ = trained(single(), pictures, tmp_path / "kept", resume=True)
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())


def test_half_a_line_of_a_killed_log_is_dropped(pictures: tuple[Pictures, Looks], tmp_path: Path) -> None:
    trained(single(), pictures, tmp_path)
    whole = (tmp_path / LOG).read_text()
    (tmp_path / LOG).write_text(whole + '{"step": 12, "seco')
    trained(single(), pictures, tmp_path, resume=True)
    assert (tmp_path / LOG).read_text() == whole


def test_a_log_that_cannot_be_written_is_one_line(
    pictures: tuple[Pictures, Looks], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG", "gone/log.jsonl")
    with pytest.raises(DataError, match=r"gone/log\.jsonl: cannot be written \(No such file"):
        trained(single(), pictures, tmp_path)


def test_a_student_at_full_resolution_learns_from_soft_labels_too(
    pictures: tuple[Pictures, Looks], tmp_path: Path
) -> None:
    hard = np.stack([(np.asarray(pictures[0].masks[:, ::8, ::8]) == c) * np.uint8(255) for c in range(3)], axis=1)
    soft = replace(pictures[0], soft=hard, spoke=np.zeros((len(pictures[0]), 4), np.int64))
    teacher = {"teacher": Teacher(soft="soft", side=64), "distillation": Distillation(kl=1.0)}
    short = Schedule(steps=1, every=9, warmup=1, batch=2, cooldown=1.0, early_size=32, early_steps=1)
    _, progress = trained(single(), (soft, pictures[1]), tmp_path, stride=1, schedule=short, **teacher)
    assert progress.step == 2


def test_a_data_set_that_changed_meanwhile_is_not_resumed(tmp_path: Path) -> None:
    model = build("student-s", 3)
    optimiser = torch.optim.AdamW(model.parameters())
    checkpoint.save(tmp_path, model, optimiser, Progress(step=3), checkpoint.Asked("recipe", {"sets/a": "1"}))
    found = checkpoint.restore(tmp_path, model, optimiser, checkpoint.Asked("recipe", {"sets/a": "1"}))
    assert found == Progress(step=3)
    with pytest.raises(checkpoint.ArtifactError, match="sets/a is in another state than when this training began"):
        checkpoint.restore(tmp_path, model, optimiser, checkpoint.Asked("recipe", {"sets/a": "2"}))
