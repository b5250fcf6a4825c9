"""``edge3vt build`` and ``edge3vt verify``: make an engine, and ask whether it is what it claims to be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge3vt.cli.engines import BUILDS, GOLDEN_FRAMES, GOLDEN_SEED, build_engine, phantom_inputs, read_asset_or_path
from edge3vt.cli.output import Json, Overwrite, finish
from edge3vt.core.documents import read_toml
from edge3vt.core.shipped import find
from edge3vt.engine.manifest import read_manifest
from edge3vt.engine.recipe import EngineRecipe
from edge3vt.engine.verify import verify as verify_engine


def build(
    recipe: Annotated[str, typer.Argument(help="A recipe: a TOML file, or the name of a shipped one.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The engine folder; default engines/build/NAME.")] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Build an engine for this machine from a recipe, and verify it.

    Example: edge3vt build cpu-int8
    """
    asked = read_toml(EngineRecipe, find("recipe", recipe))
    folder = out or BUILDS / asked.name
    manifest = build_engine(asked, folder, overwrite=overwrite)
    text = f"{folder}: {manifest.precision} engine for {manifest.runtime} {manifest.runtime_version}, verified"
    return finish("build", True, {"engine": str(folder), "manifest": manifest}, [text], json=json)


def verify(
    engine: Annotated[Path, typer.Argument(help="An engine folder.")],
    json: Json = False,
) -> int:
    """Check an engine's hashes, and hold its output against the FP32 model on golden frames.

    Example: edge3vt verify engines/build/cpu-int8
    """
    model, spec = read_asset_or_path(read_manifest(engine).recipe.model)
    report = verify_engine(engine, model, phantom_inputs(spec, GOLDEN_SEED, GOLDEN_FRAMES))
    return finish("verify", report.passed, {"engine": str(engine), "report": report}, report.lines(), json=json)
