"""Where siblings meet: model, calibration table and recipe become an engine; golden frames judge it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.set import CalibrationSet
from edge3vt.calibrate.table import CalibrationTable
from edge3vt.cli.output import note
from edge3vt.core.documents import read_json, read_toml
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.core.frame import Frame, Pixels
from edge3vt.core.shipped import find
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.build import build
from edge3vt.engine.manifest import EngineManifest, open_verified
from edge3vt.engine.model import read_model
from edge3vt.engine.recipe import EngineRecipe
from edge3vt.phantom.cine import Scene
from edge3vt.picture.crop import acquire, cut
from edge3vt.picture.images import list_images, read_image

ASSETS = Path(__file__).resolve().parents[1] / "assets"
BUILDS = Path("engines/build")
DEFAULT_RECIPE = "cpu-int8"
GOLDEN_SEED, GOLDEN_FRAMES = 5_000_000, 12


def read_asset_or_path(model: str) -> tuple[bytes, ModelSpec]:
    """A model by the name of a shipped asset, or by path."""
    asset = ASSETS / model / "student.onnx"
    return read_model(asset if asset.exists() else Path(model))


def phantom_inputs(spec: ModelSpec, first_seed: int, count: int) -> list[Pixels]:
    """``count`` pictures as the network sees them in acquire: (H, W) uint8, most of them the view."""
    inputs = []
    for seed in range(first_seed, first_seed + count):
        scene = Scene(seed, 768, 576, kind="other" if seed % 5 == 4 else "view")
        frame = Frame(0, 0, scene.pixels(0.5), region=scene.region, mm_per_px=scene.mm_per_px)
        inputs.append(_cut(frame, spec))
    return inputs


def calibration_inputs(asked: CalibrationSet, spec: ModelSpec) -> list[Pixels]:
    """The pictures that a calibration set asks for, as the network sees them."""
    if asked.source == "phantom":
        return phantom_inputs(spec, asked.seed, asked.count)
    folder = Path(asked.path)
    paths = list_images(folder)[: asked.count]
    if not paths:
        raise ConfigError(f"{folder}: holds no PNG or JPEG picture; put the set's pictures there")
    return [_cut(Frame.of(read_image(path)), spec) for path in paths]


def calibrated(model: bytes, spec: ModelSpec, set_name: str, method: str) -> CalibrationTable:
    """Observe ``model`` over the set and return its table."""
    asked = read_toml(CalibrationSet, find("set", set_name))
    return observe(model, spec, calibration_inputs(asked, spec), asked, method=method)


def build_engine(recipe: EngineRecipe, out: Path, *, overwrite: bool) -> EngineManifest:
    """Model, table and recipe -> an engine folder, verified."""
    model, spec = read_asset_or_path(recipe.model)
    prepared, table_sha256 = model, ""
    if recipe.precision == "int8":
        path = ASSETS / recipe.model / "table.json"
        table = read_json(CalibrationTable, path if path.exists() else find("table", recipe.table))
        prepared = insert(model, table, "cpu")
    golden = phantom_inputs(spec, GOLDEN_SEED, GOLDEN_FRAMES)
    return build(recipe, model, prepared, golden, out, overwrite=overwrite)


def ready_engine(recipe_name: str = DEFAULT_RECIPE) -> Path:
    """The built engine of a recipe; built first where there is none, or where it is not what it claims to be."""
    out = BUILDS / recipe_name
    if out.exists():
        try:
            open_verified(out)
            return out
        except Edge3vtError as error:
            note(f"{error}")
    note(f"building the engine {recipe_name} for this machine")
    build_engine(read_toml(EngineRecipe, find("recipe", recipe_name)), out, overwrite=True)
    return out


def _cut(frame: Frame, spec: ModelSpec) -> Pixels:
    out = np.empty((spec.height, spec.width), dtype=np.uint8)
    cut(frame, acquire(frame, spec.width), out)
    return out
