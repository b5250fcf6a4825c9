"""Means over cases, their intervals and their differences, with the patient as the unit that is drawn.

Pictures of one patient are alike, so that an interval drawn over pictures would be too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
SEED = 20_240_501  # of the draws, the same for every model, so that all are judged on the same ones
COVERAGE = 95.0  # %
_AT_ONCE = 1_000  # draws, so that ten thousand patients still fit into memory

Table = NDArray[np.float64]
"""(cases, structures) of a measure; NaN where a case does not count the structure."""
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two models on the same cases. p: how often models that were one would differ at least so much."""

    difference: float
    interval: Interval
    p: float
    patients: int


def mean(table: Table) -> float | None:
    """The mean over structures of each one's mean over the cases that count it; None where no case counts any."""
    return _plain(_means(*(part.sum(axis=0) for part in _parts(table))))


def structure_means(table: Table) -> list[float | None]:
    """Each structure's mean over the cases that count it; None where none does."""
    sums, counts = (part.sum(axis=0) for part in _parts(table))
    return [float(s / n) if n else None for s, n in zip(sums, counts, strict=True)]


def interval(table: Table, patients: Sequence[str], draws: int = DRAWS) -> Interval | None:
    """95 % percentile bootstrap of ``mean``, patients drawn with replacement; None with fewer than two that count.

    Efron and Tibshirani 1993, An Introduction to the Bootstrap, ch. 13.
    """
    sums, counts = (_by_patient(part, patients) for part in _parts(table))
    if (counts.sum(axis=1) > 0).sum() < 2:
        return None
    found = [_means(drawn @ sums, drawn @ counts) for drawn in _resampled(len(sums), draws)]
    return _bounds(np.concatenate(found))


def difference(one: Table, other: Table, patients: Sequence[str], draws: int = DRAWS) -> Difference | None:
    """``mean(one) - mean(other)`` of two models that were given the same cases; None with fewer than two patients.

    The interval is a bootstrap by patient. p is that of a permutation test in which the two models swap names, patient
    by patient; never below 1 / (draws + 1): Phipson and Smyth 2010, Stat Appl Genet Mol Biol 9:39.
    Raises ValueError where the tables count different cases.
    """
    if one.shape != other.shape or not np.array_equal(np.isnan(one), np.isnan(other)):
        raise ValueError("the two models were not given the same cases")
    sums, counts = (_by_patient(part, patients) for part in _parts(one - other))
    counted = counts.sum(axis=1) > 0
    sums, counts = sums[counted], counts[counted]
    if len(sums) < 2:
        return None
    whole = counts.sum(axis=0)
    observed = float(_means(sums.sum(axis=0), whole))
    drawn = [_means(weights @ sums, weights @ counts) for weights in _resampled(len(sums), draws)]
    swapped = np.concatenate([_means(signs @ sums, whole) for signs in _signs(len(sums), draws)])
    beyond = np.count_nonzero(np.abs(swapped) >= abs(observed) - 1e-12)
    return Difference(observed, _bounds(np.concatenate(drawn)), (1 + int(beyond)) / (1 + draws), len(sums))


def _parts(table: Table) -> tuple[Table, Table]:
    counted = ~np.isnan(table)
    return np.where(counted, table, 0.0), counted.astype(np.float64)


def _by_patient(part: Table, patients: Sequence[str]) -> Table:
    names, place = np.unique(np.array(patients, dtype=object), return_inverse=True)
    summed = np.zeros((len(names), part.shape[1]))
    np.add.at(summed, place, part)
    return summed


def _means(sums: Table, counts: Table) -> Table:
    """Over the last axis: the mean of sums / counts of the structures that are counted, NaN where none is."""
    there = counts > 0
    ratios = np.divide(sums, counts, out=np.zeros(np.broadcast_shapes(sums.shape, counts.shape)), where=there)
    number = np.broadcast_to(there, ratios.shape).sum(axis=-1)
    return np.asarray(np.where(number > 0, ratios.sum(axis=-1) / np.maximum(number, 1), np.nan), dtype=np.float64)


def _resampled(patients: int, draws: int) -> Iterator[Table]:
    rng = np.random.default_rng([SEED, 0])
    for start in range(0, draws, _AT_ONCE):
        number = min(_AT_ONCE, draws - start)
        yield rng.multinomial(patients, np.full(patients, 1 / patients), size=number).astype(np.float64)


def _signs(patients: int, draws: int) -> Iterator[Table]:
    rng = np.random.default_rng([SEED, 1])
    for start in range(0, draws, _AT_ONCE):
        yield 2 * rng.integers(0, 2, (min(_AT_ONCE, draws - start), patients)).astype(np.float64) - 1


def _bounds(found: Table) -> Interval:
    low, high = np.nanpercentile(found, [(100 - COVERAGE) / 2, (100 + COVERAGE) / 2])
    return float(low), float(high)


def _plain(value: Table) -> float | None:
    return None if np.isnan(value) else float(value)
