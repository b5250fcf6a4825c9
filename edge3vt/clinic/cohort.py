"""Simulated studies at the level of measurements: readers of known bias and spread, pictures nested in patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Truth:
    """What a simulated study is made of: a design, and the bias and SDs that are planted in it.

    picture_sd: of what a picture makes all its readers see alike; 0 and one reader for an AI, which reads once.
    slope: of the difference on the true value, whose own SD is true_sd.
    """

    pictures: int
    patients: int
    readers: int
    bias: float
    reader_sd: float
    patient_sd: float
    picture_sd: float
    residual_sd: float
    slope: float = 0.0
    true_sd: float = 0.4

    @property
    def sd(self) -> float:
        """Of the difference of one new reading by a new reader, at the true values' mean."""
        parts = (self.reader_sd, self.patient_sd, self.picture_sd, self.residual_sd)
        return float(np.sqrt(sum(part**2 for part in parts)))


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """n readings and the true values, with whose, of whom and of what they are."""

    found: Table
    true: Table
    readers: tuple[str, ...]
    patients: tuple[str, ...]
    pictures: tuple[str, ...]


def simulate(truth: Truth, rng: np.random.Generator) -> Readings:
    """One study: every reader reads every picture once."""
    picture = np.repeat(np.arange(truth.pictures), truth.readers)
    reader = np.tile(np.arange(truth.readers), truth.pictures)
    patient = picture % truth.patients
    level = rng.normal(0, truth.true_sd, truth.pictures)[picture]
    found = (
        level * (1 + truth.slope)
        + truth.bias
        + rng.normal(0, truth.reader_sd, truth.readers)[reader]
        + rng.normal(0, truth.patient_sd, truth.patients)[patient]
        + rng.normal(0, truth.picture_sd, truth.pictures)[picture]
        + rng.normal(0, truth.residual_sd, len(picture))
    )
    names = (tuple(f"{kind}{i}" for i in places) for kind, places in (("r", reader), ("p", patient), ("i", picture)))
    return Readings(found, level, *names)
