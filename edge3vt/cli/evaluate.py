"""``edge3vt evaluate``: how right a model is on a data set, and models side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from edge3vt.bench.accuracy import Truth, truth_of
from edge3vt.bench.comparison import compare
from edge3vt.bench.cost import Cost, cost
from edge3vt.bench.page import page
from edge3vt.bench.prediction import Mode, Sight
from edge3vt.bench.record import (
    RECORD,
    WORST,
    ModelFacts,
    Record,
    SetFacts,
    chosen,
    frame_of,
    own_dice,
    read_record,
    write_record,
)
from edge3vt.bench.record import (
    evaluate as judge,
)
from edge3vt.bench.sheets import markdown, of_record
from edge3vt.bench.worst import pictured
from edge3vt.cli.engines import named_model
from edge3vt.cli.output import Json, Overwrite, finish, progress
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import write_bytes, write_json
from edge3vt.core.errors import BackendMissingError, ConfigError
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.data.dataset import MANIFEST, Dataset, Item, read_dataset
from edge3vt.engine.manifest import open_verified
from edge3vt.engine.open import open_engine, open_model
from edge3vt.engine.slots import active
from edge3vt.picture.images import write_image

TABLE = "comparison"
SUFFIX: dict[Mode, tuple[str, ...]] = {"whole": (), "track": ("track",), "truth": ("true crop",)}
"""Of the name in a table, where none is given."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A model that was opened, and what is known of it; its cost is None where its graph does not tell it."""

    session: Session
    sha256: str
    precision: str
    cost: Cost | None


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(help="An .onnx file, an engine folder, a training's folder or weights, or a shipped model."),
    ] = None,
    folder: Annotated[Path | None, typer.Argument(metavar="SET", help="A data set folder.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The folder for the record, or the comparison, and pictures.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation, test, or all.")] = "test",
    crop: Annotated[
        Mode, typer.Option(help="track: a second pass, closer; truth: closer where the true mask lies, an oracle.")
    ] = "whole",
    locator: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Another model for the first pass of --crop track.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The row in a comparison; records of one name share it.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the training, for the record.")] = None,
    truth: Annotated[
        Truth, typer.Option(help="exact: the masks under SET/truth, beside those of simulated annotators.")
    ] = "drawn",
    limit: Annotated[int | None, typer.Option(help="Only the first so many pictures.", min=1)] = None,
    records: Annotated[
        list[Path] | None, typer.Option("--compare", metavar="RECORD", help="Put this record into a table; repeat it.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="The row that the others are tested against, else the first.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Measure a model on a data set, or compare measured ones. What is measured: docs/accuracy.md.

    Example: edge3vt evaluate student-s384 sets/phantom --crop track -o out/track
    """
    if records:
        if model is not None:
            raise ConfigError("--compare takes records, no MODEL; evaluate the model first, then compare its record")
        return _compared(records, baseline, out, overwrite=overwrite, json=json)
    if model is None or folder is None:
        raise ConfigError("expected MODEL and SET, or --compare with a record; see edge3vt evaluate --help")
    if baseline is not None:
        raise ConfigError("--baseline is of a comparison; add --compare, or leave it out")
    if locator is not None and crop != "track":
        raise ConfigError("--locator makes the first pass of --crop track; add that, or leave it out")
    if out is not None:
        _refuse_existing(out, (RECORD,), overwrite=overwrite)
    dataset = read_dataset(folder)
    items = chosen(dataset, split, crop, limit)
    judged, finder = opened(model), None if locator is None else opened(locator)
    for each in (judged, finder):
        if each is not None:
            _refuse_unfit(each.session.spec, dataset)
    sight = Sight(judged.session, crop, None if finder is None else finder.session)
    facts = _facts(judged, finder, crop, name)
    of = SetFacts(folder.resolve().name, sha256_file(folder / MANIFEST), split, truth)
    with progress("evaluating") as told:
        record = judge(sight, dataset, items, facts, of, seed, told)
    if out is not None:
        _picture(record, sight, dataset, items, out)
        write_record(record, out)
    document = {
        "record": None if out is None else str(out / RECORD),
        "model": facts,
        "set": of,
        "mode": crop,
        "worst": record.worst,
        "summary": record.summary,
    }
    return finish("evaluate", True, document, of_record(record), json=json)


def opened(model: str) -> Judged:
    """A model by path or by the name of a shipped one. Raises ArtifactError, BackendMissingError."""
    path = Path(model)
    if (path / "weights.safetensors").is_file():  # a training's folder
        path = path / "weights.safetensors"
    if path.is_dir():
        session = open_engine(path)
        manifest, engine = open_verified(active(path))
        recipe = manifest.recipe
        network = named_model(recipe.model).data if recipe.runtime == "tensorrt" else engine  # a plan is no ONNX
        return Judged(session, manifest.sha256, recipe.precision, _cost(network))
    if path.suffix == ".safetensors":
        try:
            from edge3vt.learn.session import open_weights
        except ImportError as error:
            raise BackendMissingError(
                f"{path}: weights need torch ({error}); pip install 'edge3vt[train]', or give the ONNX file"
            ) from error
        weights = open_weights(path, None)
        return Judged(weights, sha256_file(path), "fp32", Cost(weights.params_m, weights.gmac))
    found = named_model(model)
    session = open_model(found.data, found.spec, "onnxruntime")
    return Judged(session, found.sha256, "int8" if found.source_sha256 else "fp32", _cost(found.data))


def _refuse_unfit(spec: ModelSpec, dataset: Dataset) -> None:
    if spec.classes != dataset.classes:
        raise ConfigError(
            f"{spec.model_id}: its classes are {', '.join(spec.classes)}, those of {dataset.folder} are "
            f"{', '.join(dataset.classes)}; take a model and a set of the same classes"
        )
    if spec.width != spec.height:
        raise ConfigError(f"{spec.model_id}: it sees {spec.width}x{spec.height} px, expected a square; export it so")


def _facts(judged: Judged, finder: Judged | None, crop: Mode, name: str | None) -> ModelFacts:
    """Every pass counts: on stills, track is two."""
    spec, first = judged.session.spec, judged if finder is None else finder
    words = [spec.name, *([judged.precision] * (judged.precision != "fp32")), *SUFFIX[crop]]
    learned = [each.cost.params_m if each.cost else None for each in (judged, finder) if each is not None]
    passes = [each.cost.gmac if each.cost else None for each in (judged, first)[: 2 if crop == "track" else 1]]
    return ModelFacts(
        name or " ".join(words),
        spec.model_id,
        judged.sha256,
        judged.precision,
        _sum(learned),
        _sum(passes),
        None if finder is None else finder.sha256,
    )


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return round(sum(known), 6) if len(known) == len(parts) else None


def _cost(model: bytes) -> Cost | None:
    try:
        return cost(model)
    except ValueError:
        return None


def _picture(record: Record, sight: Sight, dataset: Dataset, items: list[Item], out: Path) -> None:
    """Write the worst cases of ``record`` into ``out``, in place of those of an earlier one."""
    for stale in (out / WORST).glob("*.png") if (out / RECORD).exists() else ():
        stale.unlink()
    by_id = {item.id: item for item in items}
    cases = {case.id: case for case in record.cases}
    for id in record.worst:
        frame, true = frame_of(dataset, by_id[id]), truth_of(dataset, by_id[id], record.set.truth)
        score = own_dice(cases[id], record.scored)
        write_image(out / WORST / f"{id}.png", pictured(frame, true, sight.mask(frame, true), cases[id], score))


def _compared(paths: list[Path], baseline: str | None, out: Path | None, *, overwrite: bool, json: bool) -> int:
    files = [f"{TABLE}.{kind}" for kind in ("md", "json", "html")]
    if out is not None:
        _refuse_existing(out, files, overwrite=overwrite)
    found = [read_record(path) for path in paths]
    comparison = compare([record for record, _ in found], baseline)
    table = markdown(comparison)
    if out is not None:
        write_bytes(out / files[0], table.encode())
        write_json(comparison, out / files[1])
        write_bytes(out / files[2], page(comparison, found).encode())
    document = asdict(comparison) | {"files": [] if out is None else [str(out / file) for file in files]}
    return finish("evaluate", True, document, table.splitlines(), json=json)


def _refuse_existing(out: Path, names: tuple[str, ...] | list[str], *, overwrite: bool) -> None:
    for name in names:
        if (out / name).exists() and not overwrite:
            raise ConfigError(f"{out / name}: exists already; choose another folder or add --overwrite")
