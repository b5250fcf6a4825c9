"""From a recipe to weights and their record: the pools, the network, the loop, and the files it leaves."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from edge3vt import __version__
from edge3vt.core.clock import wall_label
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import write_json
from edge3vt.core.errors import BackendMissingError, ConfigError, DataError
from edge3vt.core.machine import this_machine
from edge3vt.core.spec import ModelSpec
from edge3vt.data.dataset import MANIFEST, read_dataset
from edge3vt.learn import checkpoint
from edge3vt.learn.batches import Pool
from edge3vt.learn.curves import draw_curves
from edge3vt.learn.loop import LOG, train
from edge3vt.learn.networks import build, gmac, output_stride
from edge3vt.learn.pictures import Pictures, read_pictures
from edge3vt.learn.recipe import Recipe
from edge3vt.learn.record import TrainingRecord
from edge3vt.learn.rounded import Rounded, rounded
from edge3vt.learn.teacher import taught
from edge3vt.learn.validation import looks, validate
from edge3vt.learn.weights import find_weights, initialise, save_weights

WEIGHTS, RECORD, CURVES, SOFT = "weights.safetensors", "record.json", "curves.png", "soft"
Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""A progress bar by its label; what it yields is called with (done, total)."""


def run_recipe(recipe: Recipe, out: Path, bar: Bar, *, resume: bool, minutes: float | None) -> TrainingRecord | None:
    """Train as ``recipe`` says and leave weights, record, log and curves in ``out``; returns the record.

    Under torchrun every process calls this, the first writes, and the others return None. Raises Edge3vtError.
    """
    fabric = launched(recipe)
    bar = bar if fabric.is_global_zero else _no_bar
    pools, judged, classes, sets = _read(fabric, recipe, out, bar)
    torch.manual_seed(recipe.seed)
    model = build(recipe.network, len(classes))
    left = initialise(model, find_weights(recipe.init)) if recipe.init else []
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it
    trained = model if recipe.quantise is None else rounded(model, recipe, recipe.quantise)
    seen = looks(judged, classes, recipe.size, recipe.augmentation)
    if not len(seen.pixels):
        raise DataError(f"{recipe.data[0]}: no labelled picture in the split 'validation'; use edge3vt data split")
    if not np.isin(seen.masks, seen.scored).any():
        raise DataError(f"{recipe.data[0]}: no picture in the split 'validation' holds a structure that is scored")
    spec = ModelSpec(
        schema=1,
        name=recipe.name,
        version=recipe.version,
        classes=classes,
        height=recipe.size,
        width=recipe.size,
        stride=output_stride(model, recipe.size),
        has_view=trained.has_view
        if isinstance(trained, Rounded)
        else _tells_views(pools) and _has_view(model, recipe.size),
        full_range=True,
        training=recipe.training,
    )
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
    with bar("training") as told:
        progress = train(
            fabric,
            recipe,
            trained,
            pools,
            seen,
            out,
            resume=resume,
            minutes=minutes,
            told=told,
            sets=sets,
        )
    if not fabric.is_global_zero:
        return None
    with fabric.autocast():
        found = validate(trained, seen)
    save_weights(out / WEIGHTS, model, spec, recipe.network)
    draw_curves(out / LOG, out / CURVES)
    record = TrainingRecord(
        schema=1,
        name=recipe.name,
        version=recipe.version,
        made=wall_label(),
        edge3vt=__version__,
        recipe=recipe,
        minutes_asked=minutes,
        sets=sets,
        untouched_by_init=tuple(left),
        pictures={
            "labelled": len(pools[0].pictures),
            "validation": len(judged),
            "all": sum(len(p.pictures) for p in pools),
        },
        steps=progress.step,
        cooled_from=progress.cool_from,
        seconds=round(progress.spent_s),
        processes=fabric.world_size,
        parameters_m=round(sum(p.numel() for p in model.parameters()) / 1e6, 3),
        gmac=round(gmac(model, recipe.size), 3),
        validation=found,
        files={WEIGHTS: sha256_file(out / WEIGHTS)},
        machine=this_machine(),
        threads=torch.get_num_threads(),
        accelerator=torch.cuda.get_device_name() if fabric.device.type == "cuda" else None,
    )
    write_json(record, out / RECORD)
    return record


def launched(recipe: Recipe) -> Fabric:
    """The processes that torchrun started, or this one alone; on a GPU where there is one.

    Raises ConfigError where they cannot share a batch, and BackendMissingError where they are more than the GPUs.
    """
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    hosts = int(os.environ.get("WORLD_SIZE", "1")) // local
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    if recipe.schedule.batch % (2 * local * hosts):
        raise ConfigError(
            f"a batch of {recipe.schedule.batch} cannot be shared by {local * hosts} processes in pairs; "
            f"set schedule.batch to a multiple of {2 * local * hosts}"
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if kind == "cuda" and local > torch.cuda.device_count():
        raise BackendMissingError(
            f"torchrun started {local} processes, but there are {torch.cuda.device_count()} GPUs; "
            "lower --nproc-per-node, or hide the GPUs with CUDA_VISIBLE_DEVICES="
        )
    strategy = "ddp" if local * hosts > 1 else "auto"
    fabric = Fabric(accelerator=kind, devices=local, num_nodes=hosts, strategy=strategy, precision=recipe.precision)
    fabric.launch()
    return fabric


def begin_anew(out: Path, *, overwrite: bool) -> None:
    """Clear ``out`` of a training, and of nothing else. Raises ConfigError where it holds one, unless ``overwrite``.

    Under torchrun the first process clears, before it meets the others.
    """
    held = [path for path in (out / name for name in (WEIGHTS, RECORD, CURVES, LOG, checkpoint.NAME)) if path.exists()]
    if held and not overwrite:
        raise ConfigError(f"{out}: holds a training; add --resume to go on with it, or --overwrite")
    if held and os.environ.get("RANK", "0") == "0":
        for path in held:
            path.unlink()
        if (out / SOFT).is_dir():
            shutil.rmtree(out / SOFT)


def _read(
    fabric: Fabric, recipe: Recipe, out: Path, bar: Bar
) -> tuple[list[Pool], Pictures, tuple[str, ...], dict[str, str]]:
    """Pools, validation pictures, classes, and the sets by folder with the digest of each manifest."""
    data = [Path(folder) for folder in recipe.data]
    with bar("reading pictures") as told:
        labelled, classes = read_pictures(data, "train", patients=recipe.patients, told=told)
        judged, _ = read_pictures(data, "validation", classes, told=told)
        others = [Path(folder) for folder in recipe.unlabelled]
        unlabelled = read_pictures(others, "", classes, unlabelled=True, told=told)[0] if others else None
        apart = [Path(folder) for folder in recipe.negatives]
        negatives = read_pictures(apart, "", classes, negatives=True, told=told)[0] if apart else None
    _check_apart(data, [pictures for pictures in (labelled, unlabelled, negatives) if pictures is not None])
    if recipe.teacher is not None:
        soft = out / SOFT if recipe.teacher.soft is None else Path(recipe.teacher.soft)
        with bar("soft labels") as told:
            labelled = taught(fabric, recipe.teacher, data, labelled, classes, soft, told)
            if unlabelled is not None:
                unlabelled = taught(fabric, recipe.teacher, others, unlabelled, classes, soft, told)
    a = recipe.augmentation
    negative_share = recipe.negative_share if negatives is not None else 0.0
    unlabelled_share = recipe.unlabelled_share * (1 - negative_share) if unlabelled is not None else 0.0
    pools = [Pool(labelled, 1 - negative_share - unlabelled_share, a)]
    if unlabelled is not None:
        pools.append(Pool(unlabelled, unlabelled_share, a))
    if negatives is not None:  # few, so they are cut closer and turned further than the others
        closer = replace(a, close_share=0.7, closeness=(0, 1), close_multiple=3.0, turn_share=1.0, shift=0.15)
        pools.append(Pool(negatives, negative_share, closer))
    if not _tells_views(pools):
        nothing = (replace(p.pictures, views=np.full(len(p.pictures), np.nan, np.float32)) for p in pools)
        pools = [replace(pool, pictures=pictures) for pool, pictures in zip(pools, nothing, strict=True)]
    sets = {str(folder): sha256_file(folder / MANIFEST) for folder in (*data, *others, *apart)}
    return pools, judged, classes, sets


def _check_apart(data: Sequence[Path], seen: Sequence[Pictures]) -> None:
    """Raises DataError where a training sees a patient by whom it, or its result, will be judged."""
    dealt = [(folder, item) for folder in data for item in read_dataset(folder).items]
    judges = {item.patient: (folder, item.split) for folder, item in dealt if item.split not in (None, "train")}
    for patient in (patient for pictures in seen for patient in pictures.patients):
        if patient in judges:
            folder, split = judges[patient]
            raise DataError(
                f"{folder}: the patient {patient} of the split '{split}' is also trained on; deal the sets out by "
                "patient, or leave one out"
            )


def _tells_views(pools: Sequence[Pool]) -> bool:
    """Whether the pictures tell views from others, so that a network can learn it."""
    known = np.concatenate([pool.pictures.views for pool in pools])
    return bool((known == 1).any() and (known == 0).any())


def _has_view(model: torch.nn.Module, size: int) -> bool:
    model.eval()
    with torch.inference_mode():
        return model(torch.zeros(1, 1, size, size))[1] is not None


@contextmanager
def _no_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """The bar of all processes but the first."""
    yield lambda done, total: None
