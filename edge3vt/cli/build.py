"""``edge3vt build`` and ``edge3vt verify``: make an engine, and ask whether it is what it claims to be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge3vt.cli.engines import BUILDS, DEFAULT_RECIPE, build_engine, named_model
from edge3vt.cli.output import Json, Overwrite, finish
from edge3vt.cli.pictures import pictures_of
from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError
from edge3vt.core.shipped import find
from edge3vt.engine.choice import told
from edge3vt.engine.manifest import EngineManifest, VerifyReport
from edge3vt.engine.manifest import read as read_manifest
from edge3vt.engine.recipe import EngineRecipe
from edge3vt.engine.slots import active
from edge3vt.engine.verify import verify as verify_engine


def build(
    recipe: Annotated[str, typer.Argument(help="A recipe: a TOML file, or the name of a shipped one.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The engine folder; default engines/build/NAME.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any key of the recipe, as in model=out/mine.onnx; its name too."
        ),
    ] = None,
    release: Annotated[
        int | None, typer.Option(min=1, help="Its release; default one more than that of the engine it replaces.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Build an engine for this machine from a recipe, verify it, and sign it with this machine's key.

    Where the recipe names candidates each is built and verified, and all are timed; the best is kept.

    Example: edge3vt build cpu-int8
    """
    asked = _recipe(recipe, changes or [])
    folder = out or BUILDS / asked.name
    manifest = build_engine(asked, folder, overwrite=overwrite, release=release)
    made = manifest.recipe
    runtime = f"{made.runtime} {manifest.runtime_version}"
    text = [f"{folder}: {made.precision} engine for {runtime}, release {manifest.release}, verified and signed"]
    if manifest.choice is not None:
        text += [*map(told, manifest.choice.candidates), manifest.choice.why.rpartition("; ")[2]]
    return finish("build", True, {"engine": str(folder), "manifest": manifest}, text, json=json)


def verify(
    engine: Annotated[Path, typer.Argument(help="An engine folder.")],
    json: Json = False,
) -> int:
    """Check an engine's signature and hashes, and hold its output against the FP32 model on golden frames.

    Example: edge3vt verify engines/build/cpu-int8
    """
    _, report = verified(engine)
    speed = report.speed
    text = [
        f"{engine}: {'passed' if report.passed else 'FAILED'} on {report.frames} golden frames",
        f"agreement with FP32 {report.agreement:.4f}, mean error {report.mean_error:.4f}",
        f"median {speed.engine_ms:.2f} ms; FP32 {speed.fp32_ms:.2f} ms on its runtime ({report.speedup:.2f} times), "
        f"{speed.referee_ms:.2f} ms on ONNX Runtime",
        *report.reasons,
    ]
    return finish("verify", report.passed, {"engine": str(engine), "report": report}, text, json=json)


def verified(engine: Path) -> tuple[EngineManifest, VerifyReport]:
    """The manifest of an engine folder, or of an active slot, and how it does now on its golden frames."""
    engine = active(engine)
    manifest = read_manifest(engine)
    model = named_model(manifest.recipe.model)
    return manifest, verify_engine(engine, model.data, pictures_of(manifest.recipe.golden, model.spec))


def _recipe(name: str, changes: list[str]) -> EngineRecipe:
    """A recipe, changed and then of another name: that is what ``run``, releases and a cart's slots know it by."""
    if Path(name).suffix == ".onnx":
        raise ConfigError(
            f"{name}: is a model, expected a recipe; put it into one: edge3vt build {DEFAULT_RECIPE} --set name=NAME "
            f"--set model={name} --set table=TABLE.json"
        )
    path = find("recipe", name)
    recipe = read_toml(EngineRecipe, path, changes)
    if changes and recipe.name == read_toml(EngineRecipe, path).name:
        raise ConfigError(f"{recipe.name} with changes is another engine; add a name of its own: --set name=NAME")
    return recipe
