"""Train, validation and test: whole patients dealt out so that pictures, labels and classes come near the shares.

Where no patient is known, neighbours in the order of the files may show one: such a set is cut into blocks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import Dataset, Item, Split
from edge3vt.data.decoder import decode_all, usual_workers
from edge3vt.data.inspection import Job, printed
from edge3vt.data.likeness import Print, near_pairs

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SHARES = (0.7, 0.15, 0.15)
GAP = 3
NAMELESS = "sha256:"  # begins the source of an item whose file's name was left out


def split_items(
    items: Sequence[Item],
    shares: Sequence[float] = SHARES,
    *,
    seed: int,
    keep: bool = False,
    alike: Iterable[tuple[str, str]] = (),
) -> tuple[Item, ...]:
    """The items in their order, each with the split of its patient.

    keep: a patient with an item that has a split already stays there. alike: patients who stay together. Raises
    ConfigError for shares that are none, DataError where an item lacks a patient, a kept patient is in two splits, or
    patients are fewer than splits.
    """
    _check(shares)
    for item in items:
        if not item.patient:
            raise DataError(f"the item {item.id} has no patient, so it cannot be split; import it with a group")
    leader = leaders({item.patient for item in items}, alike)
    patients: dict[str, list[Item]] = {}
    for item in items:
        patients.setdefault(leader[item.patient], []).append(item)
    fixed = {patient: _fixed(patient, own) for patient, own in patients.items()} if keep else {}
    names = sorted(patients)
    where = assign(
        _counts([patients[name] for name in names]),
        [None if (split := fixed.get(name)) is None else SPLITS.index(split) for name in names],
        shares,
        seed,
    )
    split_of = {name: SPLITS[index] for name, index in zip(names, where, strict=True)}
    return tuple(replace(item, split=split_of[leader[item.patient]]) for item in items)


def fold_items(
    items: Sequence[Item], fold: int, folds: int, gap: int = GAP, alike: Iterable[tuple[str, str]] = ()
) -> tuple[Item, ...]:
    """The items in their order, each with its split in the ``fold``-th (from 1) of ``folds`` folds.

    In the order of their files' names, numbers in them by value, the items are cut into 3 x folds blocks. A fold tests
    on every folds-th block, each block once over all folds; it validates on the block after one of those, another one
    in each fold, and trains on the others. Within ``gap`` items of another split, and where ``alike`` names two
    patients, those of training give way (split None) to those of validation, and both to those of the test. Raises
    ConfigError for numbers that are none, DataError where files have no names, a patient would be in two splits, or a
    split would be empty.
    """
    if folds < 2 or not 1 <= fold <= folds or gap < 0:
        raise ConfigError(
            f"fold {fold} of {folds}, gap {gap}: expected I/N with N of 2 or more, I from 1 to N, gap >= 0"
        )
    for item in items:
        if item.source.startswith(NAMELESS):
            raise DataError(f"the item {item.id} tells no name of a file to order it by; import it with --keep-names")
    order = sorted(range(len(items)), key=lambda i: _place(items[i]))
    blocks = np.arange(len(items)) * 3 * folds // max(len(items), 1)
    block_after = fold - 1 + (fold - 1) % 3 * folds + 1
    wanted = np.where(blocks == block_after % (3 * folds), 1, np.where(blocks % folds == fold - 1, 2, 0))
    kept = np.ones(len(items), np.bool_)
    for away in range(1, min(gap, len(items) - 1) + 1):
        kept[:-away] &= wanted[:-away] >= wanted[away:]
        kept[away:] &= wanted[away:] >= wanted[:-away]
    places: dict[str, list[int]] = {}
    for at, i in enumerate(order):
        places.setdefault(items[i].patient, []).append(at)
    for one, other in alike:
        for a, b in product(places.get(one, []), places.get(other, [])):
            if wanted[a] != wanted[b]:
                kept[a if wanted[a] < wanted[b] else b] = False
    missing = [name for split, name in enumerate(SPLITS) if not (kept & (wanted == split)).any()]
    if missing:
        raise DataError(
            f"{len(items)} items in {folds} folds with gaps of {gap} leave {' and '.join(missing)} empty; "
            "use fewer folds, or a smaller gap"
        )
    splits: dict[int, Split] = {order[at]: SPLITS[wanted[at]] for at in np.flatnonzero(kept).tolist()}
    placed = tuple(replace(item, split=splits.get(i)) for i, item in enumerate(items))
    where: dict[str, Split] = {}
    for item in placed:
        if item.split and item.patient and where.setdefault(item.patient, item.split) != item.split:
            raise DataError(
                f"the patient {item.patient} would be in {where[item.patient]} and {item.split}; folds are for sets "
                "without patients, so split this one by patient, without --fold"
            )
    return placed


def alike_patients(
    dataset: Dataset, told: Callable[[int, int], None] = lambda done, total: None
) -> Iterator[tuple[str, str]]:
    """Every two patients of whom a picture of one is a near-duplicate of one of the other. Raises DataError.

    Every picture is read, as an audit does. told is called with (done, total).
    """
    number = {patient: index for index, patient in enumerate({item.patient: None for item in dataset.items})}
    prints: list[tuple[str, Print]] = []
    jobs = (Job(dataset.folder, dataset.classes, item) for item in dataset.items)
    with closing(decode_all(printed, jobs, usual_workers())) as answers:
        for done, (job, seen) in enumerate(answers, start=1):
            if isinstance(seen, DataError):
                raise seen
            if seen is not None:
                prints.append((job.item.patient, seen))
            told(done, len(dataset.items))
    for pair in near_pairs([seen for _, seen in prints], [number[patient] for patient, _ in prints]):
        yield prints[pair.first][0], prints[pair.second][0]


def leaders(patients: Iterable[str], alike: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each patient the first, by name, of those who stay together, however many pairs lead from one to another."""
    leader = {patient: patient for patient in patients}

    def first(patient: str) -> str:
        while leader[patient] != patient:
            leader[patient] = patient = leader[leader[patient]]
        return patient

    for one, other in alike:
        low, high = sorted((first(one), first(other)))
        leader[high] = low
    return {patient: first(patient) for patient in leader}


def assign(
    counts: NDArray[np.float64], fixed: Sequence[int | None], shares: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """The split of each patient. counts: (patients, quantities); fixed: a patient's split, where it has one.

    Greedy, the largest patient first, ties drawn by ``seed``, as iterative stratification does (Sechidis, Tsoumakas
    and Vlahavas 2011, "On the stratification of multi-label data", section 3.2): each goes where the squared distance
    of all quantities from their shares, divided by the share, falls most. No split with a share stays empty. Raises
    DataError where there are too few patients for that.
    """
    wanted = np.asarray(shares, dtype=np.float64)
    totals = counts.sum(axis=0)
    parts = counts / np.where(totals > 0, totals, 1)
    filled = np.zeros((len(wanted), parts.shape[1]))
    where = np.full(len(counts), -1, dtype=np.int64)
    for patient, split in enumerate(fixed):
        if split is not None:
            where[patient] = split
            filled[split] += parts[patient]
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-parts[order].sum(axis=1), kind="stable")]
    free = [int(patient) for patient in order if where[patient] < 0]
    for done, patient in enumerate(free):
        falls = (2 * (wanted[:, None] - filled) - parts[patient]) * parts[patient]
        gain = np.where(wanted > 0, falls.sum(axis=1) / np.where(wanted > 0, wanted, 1), -np.inf)
        empty = [split for split in np.flatnonzero(wanted > 0) if not (where == split).any()]
        if len(empty) >= len(free) - done:  # the last patients are for those who have none
            gain[[split for split in range(len(wanted)) if split not in empty]] = -np.inf
        where[patient] = int(gain.argmax())
        filled[where[patient]] += parts[patient]
    missing = [SPLITS[split] for split in np.flatnonzero(wanted > 0) if not (where == split).any()]
    if missing:
        raise DataError(
            f"{len(counts)} patients leave {' and '.join(missing)} empty; import more patients, or give it the share 0"
        )
    return where


def _place(item: Item) -> tuple[str, int, str, str]:
    """What sorts items as their files follow each other: image9 before image10."""
    source, id = (re.sub("0*([0-9]+)", lambda n: f"{len(n[1]):04}{n[1]}", name) for name in (item.source, item.id))
    return source, item.frame or 0, id, item.source


def _check(shares: Sequence[float]) -> None:
    told = ",".join(f"{share:g}" for share in shares)
    if len(shares) != len(SPLITS) or not all(math.isfinite(share) and share >= 0 for share in shares):
        raise ConfigError(f"the shares are {told}, expected three of 0 or more, as in 0.7,0.15,0.15")
    if abs(sum(shares) - 1) > 1e-6:
        raise ConfigError(f"the shares {told} add up to {sum(shares):g}, expected 1, as in 0.7,0.15,0.15")


def _fixed(patient: str, items: Sequence[Item]) -> Split | None:
    splits = sorted({item.split for item in items if item.split is not None})
    if len(splits) > 1:
        more = len({item.patient for item in items}) - 1
        whom = f"the patient {patient} " + (f"and {more} alike are" if more else "is")
        raise DataError(f"{whom} in {' and '.join(splits)}; split again without --keep")
    return splits[0] if splits else None


def _counts(patients: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
    """(groups, quantities): the patients themselves, their items, those with a mask, and those with each class."""
    names = sorted({name for items in patients for item in items for name in item.classes})
    rows = [
        [len({item.patient for item in items}), len(items), sum(item.mask_sha256 is not None for item in items)]
        + [sum(name in item.classes for item in items) for name in names]
        for items in patients
    ]
    return np.array(rows, dtype=np.float64).reshape(len(patients), 3 + len(names))
