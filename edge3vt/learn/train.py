"""From a recipe to weights and their record: the pools, the network, the loop, and the files it leaves."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from edge3vt import __version__
from edge3vt.core.clock import wall_label
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import write_json
from edge3vt.core.errors import DataError
from edge3vt.core.machine import this_machine
from edge3vt.core.spec import ModelSpec
from edge3vt.data.dataset import MANIFEST
from edge3vt.learn.batches import Pool
from edge3vt.learn.curves import draw_curves
from edge3vt.learn.loop import LOG, train
from edge3vt.learn.networks import build, gmac, output_stride
from edge3vt.learn.pictures import Pictures, read_pictures
from edge3vt.learn.recipe import Recipe
from edge3vt.learn.teacher import taught
from edge3vt.learn.validation import looks, validate
from edge3vt.learn.weights import find_weights, initialise, save_weights

WEIGHTS, RECORD, CURVES, SOFT = "weights.safetensors", "record.json", "curves.png", "soft"
Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""A progress bar by its label; what it yields is called with (done, total)."""


def run_recipe(recipe: Recipe, out: Path, bar: Bar, *, resume: bool, minutes: float | None) -> dict[str, Any]:
    """Train as ``recipe`` says and leave weights, record, log and curves in ``out``; returns the record.

    Under torchrun every process calls this, and the first writes. Raises Edge3vtError.
    """
    fabric = launched(recipe)
    pools, judged, classes, sets = _read(recipe, out, bar)
    torch.manual_seed(recipe.seed)
    model = build(recipe.network, len(classes))
    left = initialise(model, find_weights(recipe.init)) if recipe.init and not resume else []
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it
    seen = looks(judged, classes, recipe.size, recipe.augmentation)
    if not len(seen.pixels):
        raise DataError(f"{recipe.data[0]}: no labelled picture in the split 'validation'; use edge3vt data split")
    spec = ModelSpec(
        schema=1,
        name=recipe.name,
        version=recipe.version,
        classes=classes,
        height=recipe.size,
        width=recipe.size,
        stride=output_stride(model, recipe.size),
        has_view=_tells_views(pools) and _has_view(model, recipe.size),
        full_range=True,
        training=recipe.training,
    )
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
    with bar("training") as told:
        progress = train(
            fabric,
            recipe,
            model,
            pools,
            seen,
            out,
            resume=resume,
            minutes=minutes,
            told=told if fabric.is_global_zero else _nothing,
        )
    if not fabric.is_global_zero:
        return {}
    with fabric.autocast():
        found = validate(model, seen)
    save_weights(out / WEIGHTS, model, spec, recipe.network)
    draw_curves(out / LOG, out / CURVES)
    record: dict[str, Any] = {
        "schema": 1,
        "name": recipe.name,
        "version": recipe.version,
        "made": wall_label(),
        "edge3vt": __version__,
        "recipe": recipe,
        "minutes_asked": minutes,
        "sets": sets,
        "untouched_by_init": left,
        "pictures": {
            "labelled": len(pools[0].pictures),
            "validation": len(judged),
            "all": sum(len(p.pictures) for p in pools),
        },
        "steps": progress.step,
        "cooled_from": progress.cool_from,
        "seconds": round(progress.spent_s),
        "processes": fabric.world_size,
        "parameters_m": round(sum(p.numel() for p in model.parameters()) / 1e6, 3),
        "gmac": round(gmac(model, recipe.size), 3),
        "validation": found,
        "files": {WEIGHTS: sha256_file(out / WEIGHTS)},
        "machine": this_machine(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if fabric.device.type == "cuda" else None,
    }
    write_json(record, out / RECORD)
    return record


def launched(recipe: Recipe) -> Fabric:
    """The processes that torchrun started, or this one alone; on a GPU where there is one."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    hosts = int(os.environ.get("WORLD_SIZE", "1")) // local
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    strategy = "ddp" if local * hosts > 1 else "auto"
    fabric = Fabric(accelerator=kind, devices=local, num_nodes=hosts, strategy=strategy, precision=recipe.precision)
    fabric.launch()
    return fabric


def _read(recipe: Recipe, out: Path, bar: Bar) -> tuple[list[Pool], Pictures, tuple[str, ...], dict[str, str]]:
    """Pools, validation pictures, classes, and the sets by folder with the digest of each manifest."""
    data = [Path(folder) for folder in recipe.data]
    with bar("reading pictures") as told:
        labelled, classes = read_pictures(data, "train", patients=recipe.patients, told=told)
        judged, _ = read_pictures(data, "validation", classes, told=told)
        others = [Path(folder) for folder in recipe.unlabelled]
        unlabelled = read_pictures(others, "", classes, unlabelled=True, told=told)[0] if others else None
        apart = [Path(folder) for folder in recipe.negatives]
        negatives = read_pictures(apart, "", classes, negatives=True, told=told)[0] if apart else None
    if recipe.teacher is not None:
        soft = out / SOFT if recipe.teacher.soft is None else Path(recipe.teacher.soft)
        with bar("soft labels") as told:
            labelled = taught(recipe.teacher, data, labelled, classes, soft, told)
            if unlabelled is not None:
                unlabelled = taught(recipe.teacher, others, unlabelled, classes, soft, told)
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


def _tells_views(pools: Sequence[Pool]) -> bool:
    """Whether the pictures tell views from others, so that a network can learn it."""
    known = np.concatenate([pool.pictures.views for pool in pools])
    return bool((known == 1).any() and (known == 0).any())


def _has_view(model: torch.nn.Module, size: int) -> bool:
    model.eval()
    with torch.inference_mode():
        return model(torch.zeros(1, 1, size, size))[1] is not None


def _nothing(done: int, total: int) -> None:
    """Told of progress, where nobody looks."""
