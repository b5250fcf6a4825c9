"""Where siblings meet: model, calibration table and recipe become an engine; golden frames judge it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx

from edge3vt.calibrate.half import to_half
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.table import CalibrationTable, refuse_same_set
from edge3vt.cli.output import note
from edge3vt.cli.pictures import named_set, pictures_of
from edge3vt.core.documents import read_json, read_toml
from edge3vt.core.errors import ArtifactError
from edge3vt.core.shipped import find
from edge3vt.core.spec import SOURCE_KEY
from edge3vt.engine.build import build
from edge3vt.engine.manifest import EngineManifest, read
from edge3vt.engine.model import Model, read_model
from edge3vt.engine.open import target
from edge3vt.engine.place import recover
from edge3vt.engine.recipe import EngineRecipe
from edge3vt.engine.tensorrt_builder import typing_here

ASSETS = Path(__file__).resolve().parents[1] / "assets"
BUILDS = Path("engines/build")
DEFAULT_RECIPE = "cpu-int8"


def named_model(model: str) -> Model:
    """A model by the name of a shipped asset, or by path."""
    asset = ASSETS / model / "student.onnx"
    return read_model(asset if asset.exists() else Path(model))


def named_table(recipe: EngineRecipe) -> CalibrationTable:
    """The calibration table that a recipe names; "asset" is the one shipped with its model."""
    if recipe.table == "asset":
        return read_json(CalibrationTable, ASSETS / recipe.model / "table.json")
    return read_json(CalibrationTable, find("table", recipe.table or ""))


def named_weights(model: str) -> str | None:
    """SHA-256 of the weights that a shipped asset's ONNX file was exported from; None for any other model."""
    record = ASSETS / model / "record.json"
    if not record.exists():
        return None
    weights: str = json.loads(record.read_text(encoding="utf-8"))["files"]["student.safetensors"]
    return weights


def prepare(recipe: EngineRecipe, model: Model, table: CalibrationTable | None) -> bytes:
    """What the recipe's runtime, or TensorRT's builder, gets: the model, quantised or FP16-typed where the recipe and
    the installed TensorRT ask for it. Raises ArtifactError, BackendMissingError."""
    if recipe.runtime != "tensorrt":
        return model.data if table is None else insert(model.data, table, "cpu", recipe.keep_float)
    strong = typing_here(recipe.precision, recipe.tensorrt) == "strong"
    if table is not None:
        return insert(model.data, table, "tensorrt-fp16" if strong else "tensorrt-fp32", recipe.keep_float)
    return _half(model) if strong and recipe.precision == "fp16" else model.data


def _half(model: Model) -> bytes:
    """The model FP16-typed; it notes the hash of what it was made from."""
    proto = onnx.load_from_string(model.data)
    to_half(proto)
    proto.metadata_props.add(key=SOURCE_KEY, value=model.sha256)
    return bytes(proto.SerializeToString(deterministic=True))


def build_engine(
    recipe: EngineRecipe,
    out: Path,
    *,
    overwrite: bool,
    release: int | None = None,
    keep: Callable[[EngineManifest], bool] | None = None,
) -> EngineManifest:
    """Model, table and recipe -> an engine folder, verified. Raises ArtifactError when it misses its limits."""
    model = named_model(recipe.model)
    table = named_table(recipe) if recipe.precision == "int8" else None
    if table is not None:
        refuse_same_set(table, named_set(recipe.golden).sha256, recipe.golden)
    return build(
        recipe,
        model.data,
        prepare(recipe, model, table),
        pictures_of(recipe.golden, model.spec),
        out,
        overwrite=overwrite,
        weights_sha256=named_weights(recipe.model),
        release=release,
        keep=keep,
    )


def ready_engine(recipe_name: str = DEFAULT_RECIPE) -> Path:
    """The built engine of a recipe; built first where there is none, or none that is whole and up to date."""
    recipe = read_toml(EngineRecipe, find("recipe", recipe_name))
    out = BUILDS / recipe.name
    table = named_table(recipe).sha256 if recipe.precision == "int8" else None
    wanted = recipe, named_model(recipe.model).sha256, table, target(recipe.runtime)

    def serves(manifest: EngineManifest) -> bool:
        return (manifest.recipe, manifest.source_sha256, manifest.table_sha256, manifest.target) == wanted

    recover(out)
    if out.exists():
        try:
            if serves(read(out)):
                return out
            note(f"{out}: of another model, table, recipe, runtime version or machine; building it again")
        except ArtifactError as error:
            note(f"{error}; building it again")
    else:
        note(f"building the engine {recipe.name} for this machine")
    build_engine(recipe, out, overwrite=True, keep=serves)
    return out
