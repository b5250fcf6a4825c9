"""The pictures of a calibration set, made by the rooms that can: phantoms, a folder of pictures, a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from edge3vt.calibrate.coverage import ENOUGH, Seen
from edge3vt.calibrate.set import CalibrationSet
from edge3vt.core.documents import read_toml
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Crop, Frame, Layout, Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.core.shipped import documents, find
from edge3vt.core.spec import ModelSpec
from edge3vt.data.dataset import MANIFEST, Dataset, Item, read_dataset
from edge3vt.data.inspection import lit_outside, region_of
from edge3vt.data.lettering import words
from edge3vt.phantom.cine import Scene
from edge3vt.picture.crop import acquire, cut, track
from edge3vt.picture.images import pictures_in, read_image

CLOSER = 0.3  # of a data set's pictures, as the set "phantom" that ships
GOLDEN = 15  # pictures of a data set, as the set "golden" that ships: every build runs them


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One picture of a set before it is cut, and what is known of it.

    truth: its (H, W) mask, where it has one; classes: the names of that mask's labels. recorded: it comes from files,
    so that more than ultrasound may be on it.
    """

    id: str
    frame: Frame
    closer: bool
    recorded: bool
    truth: Callable[[], Mask] | None = None
    classes: tuple[str, ...] = ()
    weeks: float | None = None
    patient: str | None = None

    def crop(self, size: int) -> Crop:
        """The square that the network sees: the whole region, or around the structures where that is asked for."""
        found = None
        if self.closer and self.truth is not None:
            own = Crop(0, 0, self.frame.width, self.frame.width)  # a mask pixel is a pixel of the frame
            found = track(self.truth(), own, self.frame.bounds, size, self.frame.mm_per_px)
        return found or acquire(self.frame, size)


def named_set(name: str, split: Literal["train", "validation"] = "validation") -> CalibrationSet:
    """A set by the name of a shipped one, or by path: a TOML file, or a data set folder, of which it is a split.

    split: train is what models are calibrated on, validation what engines are verified on.
    """
    if name in documents("set") or not (Path(name) / MANIFEST).is_file():
        return read_toml(CalibrationSet, find("set", name))
    dataset = read_dataset(Path(name))
    most, track_share = (ENOUGH, CLOSER) if split == "train" else (GOLDEN, 0.0)
    count = min(len(dataset.of(split)), most)
    if not count:
        raise DataError(f"{name}: holds no items of {split}; deal its patients out: edge3vt data split {name}")
    return CalibrationSet(1, dataset.name, "dataset", count, path=name, split=split, track_share=track_share)


def pictures_of(golden: str, spec: ModelSpec) -> Iterator[Pixels]:
    """The pictures that an engine is verified on, (H, W) uint8 each, as the network sees them."""
    for shot in shots_of(named_set(golden)):
        yield fed(shot, shot.crop(spec.width))


def fed(shot: Shot, crop: Crop) -> Pixels:
    """(size, size) uint8: a picture as the network sees it."""
    out = np.empty((crop.size, crop.size), dtype=np.uint8)
    cut(shot.frame, crop, out)
    return out


def seen(shot: Shot, crop: Crop, pixels: Pixels) -> Seen:
    """What the audit of a calibration set wants to know of a picture; ``pixels`` are what is fed."""
    lit = pixels[pixels > 0]
    scale, held = shot.frame.mm_per_px, None
    if shot.truth is not None:
        x0, y0, r = max(crop.x, 0), max(crop.y, 0), crop.region
        held = frozenset(shot.classes[label] for label in np.unique(shot.truth()[y0 : r.y1, x0 : r.x1]) if label)
    return Seen(
        id=shot.id,
        level=float(lit.mean()) if lit.size else 0.0,
        closer=crop.mode == "track",
        width_mm=None if scale is None else crop.side * scale,
        weeks=shot.weeks,
        classes=held,
        patient=shot.patient,
        uncropped=_uncropped(shot.frame) if shot.recorded else None,
    )


def shots_of(asked: CalibrationSet) -> Iterator[Shot]:
    """The pictures that a set asks for, in its order. Raises DataError where there are too few, or one is none."""
    match asked.source:
        case "phantom":
            return _phantoms(asked)
        case "folder":
            return _folder(asked)
        case "dataset":
            return _items(asked)


def reserved_patients(asked: CalibrationSet) -> frozenset[str]:
    """The patients of the test split of a set's data set."""
    if asked.source != "dataset":
        return frozenset()
    return frozenset(item.patient for item in read_dataset(Path(asked.path or "")).of("test") if item.patient)


def _phantoms(asked: CalibrationSet) -> Iterator[Shot]:
    assert asked.seed is not None, "the document refuses a phantom set without a seed"
    for index in range(asked.count):
        seed = asked.seed + index
        scene = Scene(seed, 768, 576, kind="other" if seed % 5 == 4 else "view")
        yield Shot(
            id=str(seed),
            frame=Frame(0, 0, scene.pixels(0.5), region=scene.region, mm_per_px=scene.mm_per_px),
            closer=asked.looks_closer(index),
            recorded=False,
            truth=partial(scene.truth, 0.5),
            classes=scene.classes,
            weeks=scene.record.weeks,
        )


def _folder(asked: CalibrationSet) -> Iterator[Shot]:
    folder = Path(asked.path or "")
    paths = pictures_in(folder)[: asked.count]
    if len(paths) < asked.count:
        raise DataError(f"{folder}: holds {len(paths)} pictures, the set {asked.name} asks for {asked.count}; add some")
    for path in paths:
        image = read_image(path)
        layout = Layout.GRAY if image.ndim == 2 else Layout.RGB
        yield Shot(id=path.name, frame=Frame(0, 0, image, layout), closer=False, recorded=True)


def _items(asked: CalibrationSet) -> Iterator[Shot]:
    dataset = read_dataset(Path(asked.path or ""))
    items = dataset.items if asked.split is None else dataset.of(asked.split)
    if len(items) < asked.count:
        where = f"{dataset.folder}: holds {len(items)} items{f' of {asked.split}' if asked.split else ''}"
        raise DataError(f"{where}, the set {asked.name} asks for {asked.count}; lower count, or add some")
    for index in range(asked.count):
        yield _shot(dataset, items[index * len(items) // asked.count], asked.looks_closer(index))


def _shot(dataset: Dataset, item: Item, closer: bool) -> Shot:
    weeks = item.facts.get("weeks")
    return Shot(
        id=item.id,
        frame=Frame(0, 0, dataset.picture(item), region=region_of(item), mm_per_px=item.mm_per_px),
        closer=closer,
        recorded=True,
        truth=None if item.mask_sha256 is None else partial(dataset.mask, item),
        classes=dataset.classes,
        weeks=weeks if isinstance(weeks, float) else None,
        patient=item.patient or None,
    )


def _uncropped(frame: Frame) -> str | None:
    """What a recorded picture holds beside its ultrasound: light outside its region, or words where it has none."""
    if frame.region is not None:
        lit = lit_outside(frame.luma, frame.bounds)
        return f"{lit} pixels outside the region are not black" if lit else None
    found = words(frame.luma)
    return f"marks like text at x {found[0].x0}, y {found[0].y0}" if found else None
