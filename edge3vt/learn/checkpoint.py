"""A training's state on disk: weights, optimiser and progress in one safetensors file, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from edge3vt.core.documents import parse_json, to_json
from edge3vt.core.errors import ArtifactError
from edge3vt.learn.weights import read_tensors, write_tensors

NAME = "checkpoint.safetensors"
PROGRESS_KEY, RECIPE_KEY, SETS_KEY = "edge3vt.progress", "edge3vt.recipe", "edge3vt.sets"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a training was asked, which does not change until its end. sets: digest of each data set, by folder."""

    recipe: str
    sets: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """Where a training is. cool_from, cool_s: step and second at which the learning rate began to fall.

    waited: validations in a row without a gain on ``best``, the highest mean Dice. scale, grown: of 16-mixed, the
    loss's factor and the steps since it last changed.
    """

    step: int = 0
    spent_s: float = 0.0
    best: float = 0.0
    waited: int = 0
    cool_from: int | None = None
    cool_s: float = 0.0
    scale: float | None = None
    grown: int = 0


def save(
    folder: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    asked: Asked,
    scaler: torch.amp.GradScaler | None = None,
) -> None:
    """Write the state; the earlier one stays until the new one is whole. Raises DataError."""
    tensors = {f"model.{name}": tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(v).cpu().contiguous() for name, v in state.items()}
    if scaler is not None:
        state = scaler.state_dict()
        progress = replace(progress, scale=state["scale"], grown=state["_growth_tracker"])
    told = {PROGRESS_KEY: to_json(asdict(progress), indent=None), RECIPE_KEY: asked.recipe}
    write_tensors(folder / NAME, tensors, told | {SETS_KEY: to_json(asked.sets, indent=None)})


def restore(
    folder: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    asked: Asked,
    scaler: torch.amp.GradScaler | None = None,
) -> Progress:
    """Load the state into model, optimiser and scaler, on the device where they are.

    Raises ArtifactError for a missing or foreign one, and where a data set is not what it was: pictures that were
    trained on may since have been dealt out to the validation.
    """
    path = folder / NAME
    if not path.exists():
        raise ArtifactError(f"{path}: no checkpoint to resume; check --out, or train without --resume")
    tensors, metadata = read_tensors(path)
    if metadata.get(RECIPE_KEY) != asked.recipe:
        raise ArtifactError(
            f"{path}: a checkpoint of another recipe; repeat the command as it was, or use another --out"
        )
    began = json.loads(metadata.get(SETS_KEY, "{}"))
    if changed := [name for name, digest in asked.sets.items() if began.get(name, digest) != digest]:
        raise ArtifactError(
            f"{path}: {changed[0]} is in another state than when this training began: its pictures or its splits "
            "differ; train anew with --overwrite"
        )
    try:
        model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    except RuntimeError as error:
        raise ArtifactError(f"{path}: a checkpoint of another network; use another --out") from error
    state: dict[int, dict[str, torch.Tensor]] = {}
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            if tensor.dim():  # in the parameter's memory format: the fused step pairs the two by their place in memory
                tensor = torch.empty_like(parameters[int(index)]).copy_(tensor)
            state.setdefault(int(index), {})[key] = tensor
    whole = optimiser.state_dict()
    whole["state"] = state
    optimiser.load_state_dict(whole)
    progress = parse_json(Progress, metadata[PROGRESS_KEY], where=f"{path}: {PROGRESS_KEY}")
    if scaler is not None and progress.scale is not None:
        scaler.load_state_dict(scaler.state_dict() | {"scale": progress.scale, "_growth_tracker": progress.grown})
    return progress
