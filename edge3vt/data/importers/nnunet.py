"""nnU-Net v2 folders of 2D PNG pictures: ``dataset.json``, ``imagesTr``, ``labelsTr``, ``imagesTs``, ``labelsTs``.

https://github.com/MIC-DKFZ/nnUNet, documentation/dataset_format.md. One file a case, ``CASE_0000.png``, grey or RGB;
labels are consecutive from 0, background. Refused, each with its reason: NIfTI and other volumes, several channels in
files of their own, regions (lists of labels), an ignore label. ``imagesTs`` belongs to the test split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge3vt.core.anatomy import ClassMap
from edge3vt.core.documents import read_json
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.importers.image import files_under, read_luma, stored_levels
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.raw import Job, Raw
from edge3vt.picture.clip import file_size

ENDING, CHANNEL = ".png", "_0000"
MAX_BYTES = 1 << 20  # of dataset.json


@dataclass(frozen=True, slots=True)
class Case(Job):
    """files: the picture and, where it is labelled, its labels. table: class of each label."""

    table: tuple[int, ...] = ()


def classes_of(root: Path, labels: LabelMap | None = None) -> tuple[str, ...]:
    """The classes in the order of their labels, or the class map's. Raises DataError or ConfigError."""
    return labels.classes if labels else _names(_description(root), root)


def find(root: Path, labels: LabelMap | None = None) -> list[Case]:
    """A job for each case. Raises DataError or ConfigError where the folder is not as its ``dataset.json`` says."""
    document = _description(root)
    names = _names(document, root)
    try:
        table = tuple(labels.index_of(name) if labels else index for index, name in enumerate(names))
    except DataError as error:
        raise ConfigError(f"{root / 'dataset.json'}: {error}") from error
    jobs = [*_cases(root, "Tr", table), *_cases(root, "Ts", table)]
    found = sum(job.name.startswith("imagesTr/") for job in jobs)
    told = document.get("numTraining")
    if not found:
        raise DataError(f"{root}: no pictures NAME{CHANNEL}{ENDING} in imagesTr; copy it again")
    if type(told) is not int or told != found:
        what = f"{told} training cases" if type(told) is int and 0 <= told < 10**9 else "no number of training cases"
        raise DataError(f"{root}: dataset.json tells of {what}, {found} are there; copy it again, or correct it")
    return jobs


def read(job: Case) -> Iterator[Raw]:
    """The one picture of a job. Raises DataError."""
    if job.fault:
        raise DataError(f"{job}: {job.fault}")
    picture = read_luma(job.files[0])
    if len(job.files) == 1:
        yield Raw(picture)
        return
    levels = stored_levels(job.files[1])
    if levels.shape != picture.shape:
        raise DataError(
            f"{job.files[1]}: its labels are {levels.shape[1]}x{levels.shape[0]} px, its picture "
            f"{picture.shape[1]}x{picture.shape[0]} px; export both at one size"
        )
    if (largest := int(levels.max())) >= len(job.table):
        raise DataError(f"{job.files[1]}: label {largest}, but dataset.json names {len(job.table)}; correct either")
    yield Raw(picture, np.array(job.table, np.uint8)[levels])


def _description(root: Path) -> dict[str, Any]:
    path = root / "dataset.json"
    if file_size(path) > MAX_BYTES:
        raise DataError(f"{path}: larger than {MAX_BYTES >> 20} MiB; this is no nnU-Net dataset.json")
    document = read_json(dict[str, Any], path)
    if (ending := document.get("file_ending")) != ENDING:
        found = repr(ending) if isinstance(ending, str) and ending.isprintable() and len(ending) < 20 else "no name"
        raise DataError(
            f"{path}: file_ending is {found}, expected '{ENDING}': 2D pictures, not NIfTI or other volumes; convert it"
        )
    channels = document.get("channel_names")
    if not isinstance(channels, dict) or len(channels) not in (1, 3):
        raise DataError(f"{path}: channel_names is no table of one channel (grey) or three (RGB); correct it")
    return document


def _names(document: dict[str, Any], root: Path) -> tuple[str, ...]:
    path, labels = root / "dataset.json", document.get("labels")
    if not isinstance(labels, dict) or not all(name.isprintable() and 0 < len(name) <= 100 for name in labels):
        raise DataError(f"{path}: no table of labels, expected name: number; correct it")
    if any(type(value) is not int for value in labels.values()):
        raise DataError(f"{path}: a label that is no number; export plain labels, not regions (lists of labels)")
    if "ignore" in labels:
        raise DataError(f"{path}: has an ignore label, which is not read; label its pixels, or leave the pictures out")
    names = sorted(labels, key=lambda name: int(labels[name]))
    if [labels[name] for name in names] != list(range(len(names))):
        raise DataError(f"{path}: its labels are not 0, 1, 2, ...; number them so")
    try:
        return ClassMap(1, tuple(names)).classes
    except ConfigError as error:
        raise DataError(f"{path}: {error}") from error


def _cases(root: Path, which: str, table: tuple[int, ...]) -> Iterator[Case]:
    """The cases of imagesTr and labelsTr, or of imagesTs and labelsTs."""
    folders = root / f"images{which}", root / f"labels{which}"
    pictures, labels = (
        {path.stem: path for path in files_under(folder, [ENDING]) if path.parent == folder} for folder in folders
    )
    cases = {stem.removesuffix(CHANNEL) for stem in pictures if stem.endswith(CHANNEL)}
    others = [stem for stem in pictures if not stem.endswith(CHANNEL)]
    if others:
        path = pictures[others[0]]
        raise DataError(
            f"{path}: not named CASE{CHANNEL}{ENDING}; only one channel a case is read: remove it, or rename it"
        )
    for case in sorted(cases | labels.keys()):
        fault = ""
        if case not in cases:
            fault = f"no picture {case[-40:]}{CHANNEL}{ENDING} in images{which}; add it, or remove the labels"
        elif case not in labels and which == "Tr":
            fault = f"no labels {case[-40:]}{ENDING} in labels{which}; add them, or leave the picture out"
        files = [pictures[case + CHANNEL]] if case in cases else []
        files += [labels[case]] if case in labels else []
        name = files[0].relative_to(root).as_posix()
        yield Case(tuple(files), name, "train" if which == "Tr" else "test", fault, table)
