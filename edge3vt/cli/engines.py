"""Where siblings meet: model, calibration table and recipe become an engine; golden frames judge it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from edge3vt.bench.accuracy import scored
from edge3vt.bench.prediction import Sight
from edge3vt.calibrate.half import halved
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.table import CalibrationTable, refuse_same_set
from edge3vt.cli.output import note
from edge3vt.cli.pictures import named_set, pictures_of, shots_of
from edge3vt.core.documents import read_json, read_toml
from edge3vt.core.errors import ArtifactError, ConfigError, DataError
from edge3vt.core.metrics import confusion, dice
from edge3vt.core.session import Session
from edge3vt.core.shipped import find
from edge3vt.engine.build import build
from edge3vt.engine.candidates import Offer, build_best
from edge3vt.engine.choice import label
from edge3vt.engine.manifest import EngineManifest, read
from edge3vt.engine.model import Model, read_model
from edge3vt.engine.open import open_model, target
from edge3vt.engine.place import recover
from edge3vt.engine.recipe import Candidates, EngineRecipe
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
    return halved(model.data) if strong and recipe.precision == "fp16" else model.data


def build_engine(
    recipe: EngineRecipe,
    out: Path,
    *,
    overwrite: bool,
    release: int | None = None,
    keep: Callable[[EngineManifest], bool] | None = None,
) -> EngineManifest:
    """Model, table and recipe -> an engine folder, verified; of a recipe's candidates the best one.

    Raises ArtifactError when it misses its limits.
    """
    if recipe.candidates is not None:
        return _best(recipe, recipe.candidates, out, overwrite=overwrite, release=release, keep=keep)
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


def _best(
    recipe: EngineRecipe,
    several: Candidates,
    out: Path,
    *,
    overwrite: bool,
    release: int | None,
    keep: Callable[[EngineManifest], bool] | None,
) -> EngineManifest:
    """The best of a recipe's candidates, each verified on the same pictures at its own size."""
    models = {name: named_model(name) for name in several.models or (recipe.model,)}
    pictures = {name: list(pictures_of(recipe.golden, model.spec)) for name, model in models.items()}
    judge, least_dice = None, None
    if several.max_dice_loss is not None:
        judge = TruthJudge(recipe.golden)
        own = models[recipe.model]
        with closing(open_model(own.data, own.spec, "onnxruntime")) as session:
            least_dice = judge(session) - several.max_dice_loss

    def offer(single: EngineRecipe) -> Offer:
        model, table = models[single.model], named_table(single) if single.precision == "int8" else None
        if table is not None:
            refuse_same_set(table, named_set(recipe.golden).sha256, recipe.golden)

        def prepared() -> bytes:
            note(f"building and verifying {label(single, recipe)}")
            return prepare(single, model, table)

        weights = named_weights(single.model)
        return Offer(single, model.data, prepared, pictures[single.model], weights, judge)

    offers = [offer(single) for single in recipe.singles()]
    return build_best(recipe, offers, out, least_dice=least_dice, overwrite=overwrite, release=release, keep=keep)


class TruthJudge:
    """Mean Dice of a session over the structures that count, to the truth of a golden set, the whole region seen."""

    def __init__(self, golden: str) -> None:
        self._golden = golden
        self._shots = list(shots_of(named_set(golden)))
        for shot in self._shots:
            if shot.truth is None:
                raise ConfigError(
                    f"{golden}: {shot.id} has no truth, which choosing among models needs; take another set"
                )

    def __call__(self, session: Session) -> float:
        names = session.spec.classes
        sight, counts = Sight(session, "whole"), np.zeros((len(names),) * 2, np.int64)
        for shot in self._shots:
            if shot.classes != names:
                raise ConfigError(
                    f"{self._golden}: its classes are not those of {session.spec.model_id}; take another set"
                )
            assert shot.truth is not None, "refused above"
            counts += confusion(shot.truth(), sight.mask(shot.frame, None), len(names))
        found = [score for name in scored(names) if not np.isnan(score := dice(counts)[names.index(name)])]
        if not found:
            raise DataError(f"{self._golden}: shows none of {', '.join(scored(names))}; take another set")
        return float(np.mean(found))


def ready_engine(recipe_name: str = DEFAULT_RECIPE) -> Path:
    """The built engine of a recipe; built first where there is none, or none that is whole and up to date."""
    recipe = read_toml(EngineRecipe, find("recipe", recipe_name))
    out = BUILDS / recipe.name

    def serves(manifest: EngineManifest) -> bool:
        """Of several candidates the kept one counts: the others may have changed."""
        made = manifest.recipe
        if (manifest.choice.asked if manifest.choice else made) != recipe:
            return False
        table = named_table(made).sha256 if made.precision == "int8" else None
        wanted = named_model(made.model).sha256, table, target(made.runtime)
        return (manifest.source_sha256, manifest.table_sha256, manifest.target) == wanted

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
