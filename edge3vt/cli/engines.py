"""Where siblings meet: model, calibration table and recipe become an engine; golden frames judge it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.set import CalibrationSet
from edge3vt.calibrate.table import CalibrationTable
from edge3vt.cli.output import note
from edge3vt.core.documents import read_json, read_toml
from edge3vt.core.errors import ArtifactError, DataError
from edge3vt.core.frame import Frame, Layout, Pixels
from edge3vt.core.shipped import find
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.build import build
from edge3vt.engine.manifest import EngineManifest, open_verified
from edge3vt.engine.model import Model, read_model
from edge3vt.engine.open import runtime_version
from edge3vt.engine.recipe import EngineRecipe
from edge3vt.phantom.cine import Scene
from edge3vt.picture.crop import acquire, cut
from edge3vt.picture.images import pictures_in, read_image

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


def pictures_of(set_name: str, spec: ModelSpec) -> Iterator[Pixels]:
    """The pictures of a set, (H, W) uint8 each, as the network sees them in acquire."""
    asked = read_toml(CalibrationSet, find("set", set_name))
    if asked.source == "phantom":
        assert asked.seed is not None, "the document refuses a phantom set without a seed"
        for seed in range(asked.seed, asked.seed + asked.count):
            scene = Scene(seed, 768, 576, kind="other" if seed % 5 == 4 else "view")
            yield _cut(Frame(0, 0, scene.pixels(0.5), region=scene.region, mm_per_px=scene.mm_per_px), spec)
        return
    folder = Path(asked.path or "")
    paths = pictures_in(folder)[: asked.count]
    if len(paths) < asked.count:
        raise DataError(f"{folder}: holds {len(paths)} pictures, the set {asked.name} asks for {asked.count}; add some")
    for path in paths:
        image = read_image(path)
        yield _cut(Frame(0, 0, image, Layout.GRAY if image.ndim == 2 else Layout.RGB), spec)


def build_engine(recipe: EngineRecipe, out: Path, *, overwrite: bool) -> EngineManifest:
    """Model, table and recipe -> an engine folder, verified. Raises ArtifactError when it misses its limits."""
    model = named_model(recipe.model)
    prepared = insert(model.data, named_table(recipe), "cpu") if recipe.precision == "int8" else model.data
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


def _cut(frame: Frame, spec: ModelSpec) -> Pixels:
    out = np.empty((spec.height, spec.width), dtype=np.uint8)
    cut(frame, acquire(frame, spec.width), out)
    return out
