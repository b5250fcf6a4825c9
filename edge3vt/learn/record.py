"""The record of a training: what was asked, on what, how it went, and what it left."""

from __future__ import annotations

from dataclasses import dataclass

from edge3vt.core.machine import Machine
from edge3vt.learn.recipe import Recipe
from edge3vt.learn.validation import Validated


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """sets: each data set's folder and the SHA-256 of its manifest. untouched_by_init: tensors that the weights it
    began with did not fill. pictures: labelled, validation and all of the training. cooled_from: the step at which the
    learning rate began to fall. gmac: of one picture. files: their SHA-256.
    """

    schema: int
    name: str
    version: str
    made: str
    edge3vt: str
    recipe: Recipe
    minutes_asked: float | None
    sets: dict[str, str]
    untouched_by_init: tuple[str, ...]
    pictures: dict[str, int]
    steps: int
    cooled_from: int | None
    seconds: int
    processes: int
    parameters_m: float
    gmac: float
    validation: Validated
    files: dict[str, str]
    machine: Machine
    threads: int
    accelerator: str | None
