"""The training loop learns, resumes, and stops with one clear line when the loss is not finite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edge3vt.core.errors import DataError
from edge3vt.data.augment import Augmentation
from edge3vt.learn.losses import segmentation_loss
from edge3vt.learn.pictures import Pictures, batch
from edge3vt.learn.student import Student
from edge3vt.learn.train import Settings, Stage, train, validate

MILD = Augmentation(sector_share=0, turn_share=0, haze_share=0, shadow_share=0, close_share=0)  # learnt in seconds


def squares(count: int = 16, size: int = 64) -> Pictures:
    """Bright squares of class 1 on a dark ground: a set that a few steps must fit."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(10, 40, (count, size, size), dtype=np.uint8)
    masks = np.zeros_like(pixels)
    for i in range(count):
        y, x = rng.integers(8, 32, 2)
        masks[i, y : y + 22, x : x + 22] = 1
    pixels[masks == 1] += 150
    scale, weeks = np.full(count, 0.5, np.float32), np.linspace(18, 36, count, dtype=np.float32)
    return Pictures(pixels, masks, np.arange(count) % 2 == 0, scale, weeks)


def steps(model: Student, tmp_path: Path, minutes: float, *, resume: bool = False) -> int:
    settings = Settings(stages=(Stage(64, minutes),), batch=4, augmentation=MILD)
    return train(model, squares(), None, settings, tmp_path, resume=resume)


def test_it_learns_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    model = Student()
    first = steps(model, tmp_path, 0.06)
    assert first > 5
    other = Student()
    second = steps(other, tmp_path, 0.12, resume=True)
    assert second > first, "the second run continued the count"
    result = validate(other, squares(), 64)
    dice = result["dice_pooled"]
    assert isinstance(dice, dict)
    assert dice["pulmonary_artery"] > 0.5


def test_a_loss_that_is_not_finite_ends_with_one_line(tmp_path: Path) -> None:
    model = Student()
    torch.nn.init.constant_(model.head.weight, float("nan"))
    with pytest.raises(DataError, match="the loss is nan"):
        steps(model, tmp_path, 0.05)


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"no tensors here")
    with pytest.raises(DataError, match="not a checkpoint of this student"):
        steps(Student(), tmp_path, 0.01, resume=True)


def test_the_loss_prefers_the_truth_and_sees_a_shift() -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.int64)
    mask[:, 16:48, 16:48] = 1
    right = torch.nn.functional.one_hot(mask[:, 2::4, 2::4], 6).permute(0, 3, 1, 2).float() * 12
    shifted = torch.roll(right, 2, dims=3)
    assert segmentation_loss(right, mask) < segmentation_loss(shifted, mask) / 2


def test_negatives_come_with_empty_masks() -> None:
    negatives = np.full((3, 64, 64), 90, np.uint8)
    pixels, masks, views = batch(squares(), negatives, np.random.default_rng(0), 8, 64, 1.0, Augmentation())
    assert pixels.shape == (8, 1, 64, 64)
    assert not masks.any()
    assert not views.any()
