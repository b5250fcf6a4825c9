"""The training loop of the shipped student: fixed wall time, two picture sizes, atomic checkpoints, JSON-lines log."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn
from safetensors.torch import load_file, save_file

from edge3vt.core.anatomy import CLASS_NAMES, SCORED
from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.documents import whole_file
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.metrics import confusion, dice, mean_over_cases
from edge3vt.data.augment import Augmentation
from edge3vt.data.geometry import sampled, whole
from edge3vt.learn.losses import segmentation_loss, view_loss
from edge3vt.learn.pictures import Pictures, batch
from edge3vt.learn.student import Student
from edge3vt.picture.mask import make_mask


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the training at one picture size, for a share of the time."""

    size: int
    minutes: float


@dataclass(frozen=True, slots=True)
class Settings:
    """How the student is trained."""

    stages: tuple[Stage, ...]
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    negative_share: float = 0.12
    seed: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)


def train(
    model: Student, phantoms: Pictures, negatives: Pixels | None, settings: Settings, folder: Path, *, resume: bool
) -> int:
    """Train for the settings' minutes, the learning rate falling to zero along a cosine; returns the steps taken.

    ``folder`` receives checkpoint.safetensors every 5 minutes and at the end, and log.jsonl. With ``resume`` a
    checkpoint there is continued with the time that is left. Raises DataError when the loss is not finite; the
    last checkpoint then stands.
    """
    clock = SystemClock()
    torch.manual_seed(settings.seed)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    checkpoint = folder / "checkpoint.safetensors"
    spent_s, step = _restore(model, optimiser, checkpoint) if resume and checkpoint.exists() else (0.0, 0)
    total_s = sum(stage.minutes for stage in settings.stages) * 60
    begun_ns, saved_s = clock.now_ns() - round(spent_s * NS_PER_S), spent_s
    ends = np.cumsum([stage.minutes * 60 for stage in settings.stages])
    model.train()
    with Progress(*Progress.get_default_columns(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        bar = progress.add_task("training", total=total_s, completed=round(spent_s))
        for stage, end_s in zip(settings.stages, ends, strict=True):
            while (spent_s := (clock.now_ns() - begun_ns) / NS_PER_S) < end_s:
                # Not in a thread beside the step: on two cores the step waits for it longer than it takes.
                rng = np.random.default_rng([settings.seed, step])
                pixels, masks, views = batch(
                    phantoms, negatives, rng, settings.batch, stage.size, settings.negative_share, settings.augmentation
                )
                rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(spent_s / total_s, 1)))
                for group in optimiser.param_groups:
                    group["lr"] = rate * min(1.0, (step + 1) / 200)
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    logits, view = model(torch.from_numpy(pixels).to(memory_format=torch.channels_last))
                segmentation = segmentation_loss(logits.float(), torch.from_numpy(masks))
                viewing = view_loss(view.float(), torch.from_numpy(views))
                loss = segmentation + viewing
                if not math.isfinite(loss.item()):
                    raise DataError(
                        f"step {step}: the loss is {loss.item()}; lower the learning rate; "
                        f"{checkpoint} is the last good state"
                    )
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimiser.step()
                step += 1
                progress.update(bar, completed=spent_s)
                if step % 50 == 0:
                    _log(folder, step, spent_s, stage.size, segmentation.item(), viewing.item(), rate)
                if spent_s - saved_s > 300:
                    saved_s = spent_s
                    _save(model, optimiser, checkpoint, spent_s, step)
    _save(model, optimiser, checkpoint, spent_s, step)
    return step


@torch.inference_mode()
def validate(model: Student, pictures: Pictures, size: int) -> dict[str, object]:
    """Dice per structure over the pictures that hold the view, and how the view logit judges all of them.

    Each is seen as in acquire, at ``size`` px. What no picture can tell is None.
    """
    model.eval()
    counts = np.zeros((len(CLASS_NAMES), len(CLASS_NAMES)), dtype=np.int64)
    per_case, called = [], []
    for source, truth, is_view in zip(pictures.pixels, pictures.masks, pictures.views, strict=True):
        pixels, mask = sampled(source, truth, whole(truth.shape[0], truth.shape[1], size))
        logits, view = model(torch.from_numpy(pixels[None, None]))
        called.append(float(view) > 0)
        if is_view:
            predicted, _ = make_mask(logits.float().numpy(), mask.shape[0] // logits.shape[2])
            case = confusion(mask, predicted, len(CLASS_NAMES))
            counts += case
            per_case.append(dice(case))
    model.train()
    mean = mean_over_cases(per_case) if per_case else np.full(len(CLASS_NAMES), np.nan)
    pooled, hits = dice(counts), np.array(called)
    return {
        "cases": len(per_case),
        "others": len(pictures) - len(per_case),
        "dice": {CLASS_NAMES[s]: _rounded(mean[s]) for s in (*SCORED, SCORED[-1] + 1)},
        "dice_mean": _rounded(np.mean([mean[s] for s in SCORED])),
        "dice_pooled": {CLASS_NAMES[s]: _rounded(pooled[s]) for s in SCORED},
        "view_sensitivity": _rounded(hits[pictures.views].mean() if per_case else np.nan),
        "view_specificity": _rounded(1 - hits[~pictures.views].mean() if not pictures.views.all() else np.nan),
    }


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 4)


def _log(folder: Path, step: int, spent_s: float, size: int, segmentation: float, view: float, rate: float) -> None:
    line = {
        "step": step,
        "seconds": round(spent_s),
        "size": size,
        "segmentation": segmentation,
        "view": view,
        "rate": rate,
    }
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _save(model: Student, optimiser: torch.optim.Optimizer, path: Path, spent_s: float, step: int) -> None:
    tensors = {f"model.{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value).contiguous() for name, value in state.items()}
    with whole_file(path) as partial:
        save_file(tensors, partial, {"spent_s": str(spent_s), "step": str(step)})


def _restore(model: Student, optimiser: torch.optim.Optimizer, path: Path) -> tuple[float, int]:
    """Load model and optimiser; returns seconds spent and steps taken. Raises DataError for a foreign checkpoint."""
    from safetensors import safe_open

    try:
        tensors = load_file(path)
        model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
        with safe_open(path, framework="pt") as file:
            meta = file.metadata()
    except Exception as error:
        raise DataError(
            f"{path}: not a checkpoint of this student ({error}); remove it or train without --resume"
        ) from error
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    whole = optimiser.state_dict()
    whole["state"] = state
    optimiser.load_state_dict(whole)
    return float(meta["spent_s"]), int(meta["step"])


def settings_record(settings: Settings) -> dict[str, object]:
    """The settings as a plain record."""
    return asdict(settings)
