"""Where siblings meet: model, calibration table and recipe become an engine; golden frames judge it."""

from __future__ import annotations

from pathlib import Path

from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.table import CalibrationTable, refuse_same_set
from edge3vt.cli.output import note
from edge3vt.cli.pictures import named_set, pictures_of
from edge3vt.core.documents import read_json, read_toml
from edge3vt.core.errors import ArtifactError
from edge3vt.core.shipped import find
from edge3vt.engine.build import build
from edge3vt.engine.manifest import EngineManifest, open_verified
from edge3vt.engine.model import Model, read_model
from edge3vt.engine.open import runtime_version
from edge3vt.engine.recipe import EngineRecipe

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


def build_engine(recipe: EngineRecipe, out: Path, *, overwrite: bool) -> EngineManifest:
    """Model, table and recipe -> an engine folder, verified. Raises ArtifactError when it misses its limits."""
    model = named_model(recipe.model)
    prepared = model.data
    if recipe.precision == "int8":
        table = named_table(recipe)
        refuse_same_set(table, named_set(recipe.golden).sha256, recipe.golden)
        prepared = insert(model.data, table, "cpu")
    return build(recipe, model.data, prepared, pictures_of(recipe.golden, model.spec), out, overwrite=overwrite)


def ready_engine(recipe_name: str = DEFAULT_RECIPE) -> Path:
    """The built engine of a recipe; built first where there is none, or none that is whole and up to date."""
    recipe = read_toml(EngineRecipe, find("recipe", recipe_name))
    out = BUILDS / recipe.name
    if out.exists():
        try:
            manifest, _ = open_verified(out)
            if (manifest.recipe, manifest.source_sha256, manifest.runtime_version) == (
                recipe,
                named_model(recipe.model).sha256,
                runtime_version(recipe.runtime),
            ):
                return out
            note(f"{out}: of another model, recipe or runtime version; building it again")
        except ArtifactError as error:
            note(f"{error}; building it again")
    else:
        note(f"building the engine {recipe.name} for this machine")
    build_engine(recipe, out, overwrite=True)
    return out
