"""Which layers to keep in floats: the search behind ``edge3vt calibrate --sensitivity``, over the pictures of a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from edge3vt.calibrate.flavour import Flavour
from edge3vt.calibrate.judge import answers_of, dice_judge, digest
from edge3vt.calibrate.qdq import insert, layers
from edge3vt.calibrate.sensitivity import Sensitivity, search
from edge3vt.calibrate.table import CalibrationTable
from edge3vt.calibrate.trials import Trials
from edge3vt.cli.output import progress
from edge3vt.cli.pictures import Shot
from edge3vt.core.clock import SystemClock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Crop, Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.engine.model import Model

MAX_DROP = 0.003
MAX_VIEW = 0.5  # as recipes allow
MINUTES = 30.0
SHOWN = 5  # layers, of the ranking
Against = Literal["truth", "fp32"]
SHORT = 16  # digits of a hash in a journal's binding


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a search: the flavour, its bounds, its time, and where it writes what it found out so far."""

    journal: Path
    flavour: Flavour
    max_drop: float
    max_view: float
    minutes: float
    against: Against | None


@dataclass(slots=True)
class Album:
    """The pictures of a set as the network sees them, with their true masks on the same grid where they have one."""

    classes: tuple[str, ...]
    truths: list[Mask | None] = field(default_factory=list)

    def add(self, shot: Shot, crop: Crop) -> None:
        known = shot.truth is not None and shot.classes == self.classes
        self.truths.append(true_mask(shot.truth(), crop) if known and shot.truth is not None else None)

    @property
    def labelled(self) -> list[int]:
        return [index for index, truth in enumerate(self.truths) if truth is not None]


def true_mask(mask: Mask, crop: Crop) -> Mask:
    """(size, size): a frame's mask on the grid of a crop, by nearest neighbour; 0 outside the frame."""
    steps = (2 * np.arange(crop.size) + 1) * crop.side // (2 * crop.size)
    rows, columns = crop.y + steps, crop.x + steps
    inside = [(index >= 0) & (index < end) for index, end in zip((rows, columns), mask.shape, strict=True)]
    out = np.zeros((crop.size, crop.size), np.uint8)
    out[np.ix_(*inside)] = mask[np.ix_(rows[inside[0]], columns[inside[1]])]
    return out


@dataclass(frozen=True, slots=True)
class Found:
    """against: the set's truths, or the masks of the FP32 model. trials: of this run."""

    sensitivity: Sensitivity
    against: Against
    pictures: int
    layers: int
    trials: int

    def lines(self, asked: Question) -> list[str]:
        """For people."""
        found, by = self.sensitivity, "their truth" if self.against == "truth" else "the masks of the FP32 model"
        out = [
            f"{asked.flavour}: {self.layers} layers judged on {self.pictures} pictures by {by}, {self.trials} trials"
        ]
        for cost in found.ranking[:SHOWN]:
            name = max(cost.costs, key=lambda structure: cost.costs[structure])
            out.append(f"  {cost.layer} costs {name} {cost.costs[name]:.4f}")
        if not found.finished:
            out.append(f"the time is spent; the same command again goes on from {asked.journal}")
        if found.keep_float:
            kept = ", ".join(f'"{layer}"' for layer in found.keep_float)
            out.append(f"for the recipe: keep_float = [{kept}]")
        elif found.keep_float is not None:
            out.append("every layer may be in INT8: the recipe needs no keep_float")
        return out


def searched(model: Model, table: CalibrationTable, pictures: Sequence[Pixels], album: Album, asked: Question) -> Found:
    """Search; goes on where the journal ends. Truths judge where the set has any, else the FP32 model's own masks,
    unless ``asked`` says which. Raises DataError where it asks for truths of a set that has none.
    """
    if asked.against == "truth" and not album.labelled:
        raise DataError("no picture of the set has a mask of the model's classes; add some, or take --against fp32")
    chosen = [] if asked.against == "fp32" else album.labelled
    used = [pictures[index] for index in chosen] if chosen else list(pictures)
    masks, views = answers_of(model.data, model.spec, used)
    truths = [truth for truth in album.truths if truth is not None] if chosen else masks
    names = layers(model.data, asked.flavour)
    judge = dice_judge(model.spec, used, truths, views=views, fused=asked.flavour == "cpu")
    with progress("judging layers") as told:

        def quantise(keep_float: frozenset[str]) -> bytes:
            told(trials.judged, max(2 * len(names), trials.judged + 1))
            return insert(model.data, table, asked.flavour, keep_float)

        trials = Trials(
            quantise,
            judge,
            binding=f"{asked.flavour} of model {model.sha256[:SHORT]}, table {table.sha256[:SHORT]}, judged on "
            f"{len(used)} pictures {digest(used, truths)[:SHORT]}",
            clock=SystemClock(),
            budget_s=60 * asked.minutes,
            journal=asked.journal,
        )
        found = search(trials, names, asked.max_drop, asked.max_view)
    return Found(found, "truth" if chosen else "fp32", len(used), len(names), trials.judged)
