"""The one training loop: a teacher, a baseline, a student alone, a student distilled."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.documents import to_json, write_bytes
from edge3vt.core.errors import DataError
from edge3vt.learn import checkpoint
from edge3vt.learn.batches import Batch, Draw, Pool, batches
from edge3vt.learn.checkpoint import Progress
from edge3vt.learn.distillation import distillation_loss, to_grid
from edge3vt.learn.losses import segmentation_loss, view_loss
from edge3vt.learn.networks import output_stride
from edge3vt.learn.recipe import Recipe, Schedule
from edge3vt.learn.rounded import Rounded, rounded_losses
from edge3vt.learn.validation import Looks, validate

LOG = "log.jsonl"
LOG_EVERY = 50
CHECKPOINT_S = 120.0
CLIP = 5.0
Told: TypeAlias = Callable[[int, int], None]


def train(
    fabric: Fabric,
    recipe: Recipe,
    model: nn.Module,
    pools: Sequence[Pool],
    looks: Looks,
    folder: Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    told: Told = lambda done, total: None,
    sets: Mapping[str, str] | None = None,
) -> Progress:
    """Train ``model`` until its learning rate has fallen to zero; its weights are then those of the last step.

    ``folder`` receives checkpoint.safetensors and log.jsonl. With ``minutes`` the fall begins in time to end then.
    told: steps done and, as far as it is known, to do. sets: digests of the data, which a resumed training has to find
    again. Raises DataError when the loss or its gradient is not finite; the last checkpoint then stands.
    """
    clock, schedule = SystemClock(), recipe.schedule
    scaler = getattr(fabric.strategy.precision, "scaler", None)  # of 16-mixed: it unscales, which fused steps do alone
    plain = torch.optim.AdamW(
        model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=scaler is None
    )
    bare, asked = model, checkpoint.Asked(to_json(recipe, indent=None), dict(sets or {}))
    stride = output_stride(bare, recipe.size)
    wrapped, optimiser = fabric.setup(model, plain)
    progress = checkpoint.restore(folder, bare, plain, asked, scaler) if resume else Progress()
    if fabric.is_global_zero:
        _forget_after(folder / LOG, progress.step)
    begun_ns, saved_s = clock.now_ns() - round(progress.spent_s * NS_PER_S), progress.spent_s
    source = _source(recipe, pools, progress.step, fabric, stride)
    while (done := _cooled(progress, schedule, minutes)) < 1:
        rate = schedule.learning_rate * min(1.0, (progress.step + 1) / max(schedule.warmup, 1)) * _fall(done)
        for group in optimiser.param_groups:
            group["lr"] = rate
        _mode(bare, frozen=recipe.frozen_statistics)
        torch.manual_seed((recipe.seed << 32) + progress.step)
        rounding = bare if isinstance(bare, Rounded) else None
        terms = losses(fabric, recipe, wrapped, next(source), rounding)
        loss = torch.stack(list(terms.values())).sum()
        _check_finite("loss", loss, progress, folder)
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        norm = fabric.clip_gradients(wrapped, optimiser, max_norm=CLIP, error_if_nonfinite=False)
        if scaler is None:  # which else leaves out such a step and scales by less
            _check_finite("gradient's norm", norm, progress, folder)
        optimiser.step()
        progress.step += 1
        progress.spent_s = (clock.now_ns() - begun_ns) / NS_PER_S
        if minutes is not None:
            progress.spent_s = fabric.broadcast(progress.spent_s)
        if fabric.is_global_zero and progress.step % LOG_EVERY == 0:
            _log(folder, progress, {"rate": rate} | {name: term.item() for name, term in terms.items()})
        if progress.step % schedule.every == 0:
            score = fabric.broadcast(_validated(fabric, bare, looks, folder, progress))
            _judge(progress, score, schedule)
        _may_cool(progress, schedule, minutes)
        told(progress.step, _expected(progress, schedule, minutes))
        if fabric.is_global_zero and progress.spent_s - saved_s > CHECKPOINT_S:
            saved_s = progress.spent_s
            checkpoint.save(folder, bare, plain, progress, asked, scaler)
    if fabric.is_global_zero:
        checkpoint.save(folder, bare, plain, progress, asked, scaler)
    return progress


def losses(
    fabric: Fabric,
    recipe: Recipe,
    model: Callable[[Tensor], tuple[Tensor, Tensor | None]],
    batch: Batch,
    rounding: Rounded | None = None,
) -> dict[str, Tensor]:
    """The terms of one batch, each already weighted, as of the batch of all processes.

    rounding: ``model`` itself, where it computes as INT8 will: its own answers in FP32 are then all it learns from.
    """
    total = _AllReduce.apply if fabric.world_size > 1 else lambda sums: sums

    def moved(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
        return torch.from_numpy(array).to(fabric.device)

    pixels = moved(batch.pixels).float().contiguous(memory_format=torch.channels_last)
    logits, view = model(pixels)
    if rounding is not None and view is not None:
        return rounded_losses(rounding, (logits, view), pixels, total)
    logits = logits.float()
    masks, labelled = moved(batch.masks), moved(batch.labelled)
    terms = {"segmentation": segmentation_loss(logits, masks, total, labelled)}
    if recipe.distillation.pseudo:  # what has no label has the teacher's mask
        terms["pseudo"] = recipe.distillation.pseudo * segmentation_loss(logits, masks, total, ~labelled)
    if view is not None:
        views = moved(batch.views)
        terms["view"] = view_loss(view.float(), views.nan_to_num()[:, None], total, ~views.isnan())
    if batch.teacher is not None and batch.crop is not None:
        teacher, crop = to_grid(moved(batch.teacher), moved(batch.crop), logits.shape[-2:])
        terms |= distillation_loss(logits, teacher, crop, moved(batch.pairs), recipe.distillation, total)
    return terms


class _AllReduce(torch.autograd.Function):
    """The sum over all processes, of which every process gets the gradient of its own summand."""

    @staticmethod
    def forward(context: object, tensor: Tensor) -> Tensor:
        whole = tensor.clone()
        torch.distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(context: object, *gradients: Tensor) -> Tensor:
        whole = gradients[0].clone()
        torch.distributed.all_reduce(whole)
        return whole


def _check_finite(name: str, value: Tensor | None, progress: Progress, folder: Path) -> None:
    if value is not None and not math.isfinite(value.item()):
        path = folder / checkpoint.NAME
        kept = f"{path} is the last good state" if path.exists() else "there is no checkpoint yet"
        raise DataError(f"step {progress.step}: the {name} is {value.item()}; lower the learning rate; {kept}")


def _source(recipe: Recipe, pools: Sequence[Pool], first: int, fabric: Fabric, stride: int) -> Iterator[Batch]:
    schedule = recipe.schedule
    pairs = schedule.batch // 2 // fabric.world_size
    part = slice(fabric.global_rank * pairs, (fabric.global_rank + 1) * pairs)

    def at(size: int) -> Draw:
        grid = size // min(stride, 2) if recipe.teacher is not None else 0
        return Draw(recipe.seed, schedule.batch, size, grid, recipe.distillation.temporal > 0)

    early = range(first, schedule.early_steps) if schedule.early_size else range(0)
    if schedule.early_size and early:
        yield from batches(pools, at(schedule.early_size), iter(early), part, recipe.workers)
    later = itertools.count(max(first, early.stop))
    yield from batches(pools, at(recipe.size), later, part, recipe.workers)


def _mode(model: nn.Module, *, frozen: bool) -> None:
    if not model.training:
        model.train()
    if frozen:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _judge(progress: Progress, score: float, schedule: Schedule) -> None:
    """Count validations without a gain; begin to cool at the plateau."""
    if score > progress.best + schedule.gain:
        progress.best, progress.waited = score, 0
    else:
        progress.waited += 1
    if progress.waited >= schedule.patience and progress.cool_from is None:
        progress.cool_from, progress.cool_s = progress.step, progress.spent_s


def _may_cool(progress: Progress, schedule: Schedule, minutes: float | None) -> None:
    over = minutes is not None and progress.spent_s >= 60 * minutes / (1 + schedule.cooldown)
    if progress.cool_from is None and (over or progress.step >= schedule.steps):
        progress.cool_from, progress.cool_s = progress.step, progress.spent_s


def _cooled(progress: Progress, schedule: Schedule, minutes: float | None) -> float:
    """How far the learning rate has fallen, 0 to 1; 1 is the end."""
    if progress.cool_from is None:
        return 0.0
    steps = max(1, round(schedule.cooldown * progress.cool_from))
    done = (progress.step - progress.cool_from) / steps
    if minutes is not None:
        left_s = max(60 * minutes - progress.cool_s, 1e-9)
        done = max(done, (progress.spent_s - progress.cool_s) / left_s)
    return min(done, 1.0)


def _fall(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))


def _expected(progress: Progress, schedule: Schedule, minutes: float | None) -> int:
    """How many steps there will be, as far as can be told."""
    at_most = round(schedule.steps * (1 + schedule.cooldown))
    if progress.cool_from is not None:
        at_most = progress.cool_from + max(1, round(schedule.cooldown * progress.cool_from))
    if minutes is not None and progress.spent_s > 0:
        at_most = min(at_most, round(progress.step * 60 * minutes / progress.spent_s))
    return max(at_most, progress.step)


def _validated(fabric: Fabric, model: nn.Module, looks: Looks, folder: Path, progress: Progress) -> float:
    if not fabric.is_global_zero:
        return 0.0
    with fabric.autocast():
        found = validate(model, looks)
    _log(folder, progress, {"validation": found.mean, "structures": found.dice})
    return found.mean


def _log(folder: Path, progress: Progress, values: Mapping[str, object]) -> None:
    line: dict[str, object] = {"step": progress.step, "seconds": round(progress.spent_s, 1)} | dict(values)
    try:
        with (folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise DataError(f"{folder / LOG}: cannot be written ({error.strerror or error}); make room there") from error


def _forget_after(path: Path, step: int) -> None:
    """Drop what was logged after the checkpoint that a training goes on from, and the half line that a kill left."""
    if path.exists():
        *lines, _ = path.read_text(encoding="utf-8").split("\n")
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        write_bytes(path, "".join(f"{line}\n" for line in kept).encode())
