"""``edge3vt train``, ``distill`` and ``export``: from a recipe to weights, and from weights to an engine's model."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge3vt.cli.output import Json, Overwrite, finish, progress
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import read_toml, write_bytes
from edge3vt.core.errors import BackendMissingError, ConfigError
from edge3vt.core.shipped import find

if TYPE_CHECKING:
    from edge3vt.learn.recipe import Recipe

OUT = Path("out/training")
RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a shipped one.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help=f"Folder of the results; default {OUT}/NAME.")]
Data = Annotated[list[str] | None, typer.Option("--data", help="A data set instead of the recipe's; may repeat.")]
Init = Annotated[str | None, typer.Option("--init", help="Weights to start from: a file, or a shipped student's name.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Instead of the recipe's.", min=0)]
Minutes = Annotated[
    float | None, typer.Option("--minutes", help="At most so long once pictures are read; the rate's fall included.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any key of the recipe, as in schedule.steps=500."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the output folder.")]


def train(
    recipe: RecipeName,
    out: Out = None,
    data: Data = None,
    init: Init = None,
    seed: Seed = None,
    minutes: Minutes = None,
    changes: Changes = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Train a network on labelled pictures: a student, a teacher, a baseline.

    Example: edge3vt train finetune --data sets/mine --init student-s384 --minutes 15
    """
    asked = _recipe(recipe, data, init, seed, changes)
    if asked.teacher is not None:
        raise ConfigError(f"{recipe}: has a [teacher]; use edge3vt distill")
    return _run("train", asked, out, minutes, resume=resume, overwrite=overwrite, json=json)


def distill(
    recipe: RecipeName,
    out: Out = None,
    data: Data = None,
    init: Init = None,
    seed: Seed = None,
    minutes: Minutes = None,
    changes: Changes = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Train a student on labelled pictures and on what its teacher says of them, and of unlabelled ones.

    Example: edge3vt distill student-192-distilled --data sets/stills
    """
    asked = _recipe(recipe, data, init, seed, changes)
    if asked.teacher is None:
        raise ConfigError(f"{recipe}: has no [teacher]; add one, or use edge3vt train")
    return _run("distill", asked, out, minutes, resume=resume, overwrite=overwrite, json=json)


def export(
    weights: Annotated[str, typer.Argument(help="A student's weights: a file, a training's folder, or a name.")],
    out: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    size: Annotated[int | None, typer.Option(help="Of the pictures, px; that of the training by default.")] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Write a student as ONNX in the engine contract, its blocks folded into plain convolutions.

    Example: edge3vt export out/training/student model.onnx
    """
    _needs_torch()
    from edge3vt.learn.export import to_onnx
    from edge3vt.learn.student import Student
    from edge3vt.learn.weights import find_weights, load_weights

    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: exists; add --overwrite, or name another file")
    file = find_weights(weights)
    found = load_weights(file)
    if not isinstance(found.model, Student):
        raise ConfigError(f"{weights}: holds {found.network}, only students are exported so")
    spec = replace(found.spec, height=size or found.spec.height, width=size or found.spec.width)
    write_bytes(out, to_onnx(found.model, spec, sha256_file(file)))
    text = f"{out}: {spec.model_id}, {spec.width}x{spec.height} px, {len(spec.classes)} classes"
    return finish("export", True, {"model": str(out), "spec": spec}, [text], json=json)


def _recipe(name: str, data: list[str] | None, init: str | None, seed: int | None, changes: list[str] | None) -> Recipe:
    _needs_torch()
    from edge3vt.learn.recipe import Recipe

    asked = read_toml(Recipe, find("training", name), changes or ())
    return replace(
        asked,
        data=tuple(data) if data else asked.data,
        init=asked.init if init is None else init,
        seed=asked.seed if seed is None else seed,
    )


def _run(
    verb: str, recipe: Recipe, out: Path | None, minutes: float | None, *, resume: bool, overwrite: bool, json: bool
) -> int:
    from edge3vt.learn.train import RECORD, begin_anew, run_recipe

    folder = out or OUT / recipe.name
    if minutes is not None and not 0 < minutes < 1e5:
        raise ConfigError(f"--minutes {minutes:g}: expected more than 0")
    if not resume:
        begin_anew(folder, overwrite=overwrite)
    record = run_recipe(recipe, folder, progress, resume=resume, minutes=minutes)
    if record is None:
        return 0
    found = record.validation
    text = [
        f"{folder}: {record.steps} steps in {record.seconds / 60:.1f} minutes",
        f"validation: mean Dice {found.mean:.3f}; " + ", ".join(f"{n} {d}" for n, d in found.dice.items()),
    ]
    return finish(
        verb, True, {"folder": str(folder), "record": str(folder / RECORD), "validation": found}, text, json=json
    )


def _needs_torch() -> None:
    missing = [name for name in ("torch", "lightning_fabric", "safetensors", "matplotlib") if find_spec(name) is None]
    if missing:
        raise BackendMissingError(f"training needs {missing[0]}, which is not installed; pip install 'edge3vt[train]'")
