"""Splits are by patient, near their shares, and the same for a seed; folds are by blocks of neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import Item
from edge3vt.data.split import SPLITS, alike_patients, fold_items, split_items
from tests.data.cohort import make_set, repainted, tissue


def item(id: str, patient: str, classes: tuple[str, ...] = ("vessel",), *, labelled: bool = True) -> Item:
    return Item(
        id=id,
        picture_sha256="0" * 64,
        mask_sha256="1" * 64 if labelled else None,
        patient=patient,
        source="test",
        width=8,
        height=8,
        mm_per_px=None,
        classes=classes if labelled else (),
    )


def cohort(sizes: list[int], rare_every: int = 4) -> list[Item]:
    return [
        item(f"p{p}-{i}", f"p{p}", ("vessel", "nerve") if p % rare_every == 0 else ("vessel",), labelled=i % 3 > 0)
        for p, size in enumerate(sizes)
        for i in range(size)
    ]


@given(
    sizes=st.lists(st.integers(1, 30), min_size=3, max_size=40),
    shares=st.sampled_from([(0.7, 0.15, 0.15), (0.34, 0.33, 0.33), (0.8, 0.2, 0.0), (1.0, 0.0, 0.0)]),
    seed=st.integers(0, 99),
)
def test_no_patient_is_in_two_splits_and_no_split_is_empty(
    sizes: list[int], shares: tuple[float, float, float], seed: int
) -> None:
    items = split_items(cohort(sizes), shares, seed=seed)
    places = {(it.patient, it.split) for it in items}
    assert len(places) == len(sizes)
    assert {split for _, split in places} == {s for s, share in zip(SPLITS, shares, strict=True) if share > 0}
    assert [it.id for it in items] == [it.id for it in cohort(sizes)]


def test_pictures_labels_and_a_rare_class_come_near_their_shares() -> None:
    rng = np.random.default_rng(5)
    items = split_items(cohort([int(n) for n in rng.integers(1, 60, 80)]), seed=1)
    for of in (
        lambda it: True,
        lambda it: it.mask_sha256 is not None,
        lambda it: "nerve" in it.classes,
    ):
        counts = Counter(it.split for it in items if of(it))
        found = [counts[split] / sum(counts.values()) for split in SPLITS]
        assert found == pytest.approx((0.7, 0.15, 0.15), abs=0.03)


def test_a_seed_gives_the_same_split_whatever_the_order_and_another_seed_another() -> None:
    items = cohort([3] * 30)
    once = {it.patient: it.split for it in split_items(items, seed=7)}
    assert once == {it.patient: it.split for it in split_items(items[::-1], seed=7)}
    assert once != {it.patient: it.split for it in split_items(items, seed=8)}


def test_keep_leaves_a_patient_where_it_is_with_all_its_items() -> None:
    items = cohort([4] * 12)
    items[0] = replace(items[0], split="test")
    kept = split_items(items, seed=0, keep=True)
    assert {it.split for it in kept if it.patient == "p0"} == {"test"}
    moved = [split_items(items, seed=seed) for seed in range(6)]
    assert any(it.split != "test" for new in moved for it in new if it.patient == "p0")


def test_keep_refuses_a_patient_in_two_splits() -> None:
    items = cohort([2] * 5)
    items[:2] = [replace(items[0], split="test"), replace(items[1], split="train")]
    with pytest.raises(DataError, match="the patient p0 is in test and train"):
        split_items(items, seed=0, keep=True)


@given(pairs=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=12), seed=st.integers(0, 9))
def test_patients_who_are_alike_stay_together_over_any_number_of_pairs(pairs: list[tuple[int, int]], seed: int) -> None:
    alike = [(f"p{one}", f"p{other}") for one, other in pairs]
    items = split_items(cohort([2] * 20), seed=seed, alike=alike)
    where = {it.patient: it.split for it in items}
    assert all(where[one] == where[other] for one, other in alike)
    assert items == split_items(cohort([2] * 20), seed=seed, alike=[pair[::-1] for pair in alike[::-1]])


def test_those_alike_count_as_so_many_patients_and_must_be_kept_in_one_split() -> None:
    items = cohort([1] * 20)
    alike = [("p0", f"p{n}") for n in range(1, 14)]
    dealt = Counter(it.split for it in split_items(items, (0.7, 0.15, 0.15), seed=0, alike=alike))
    assert dealt == {"train": 14, "validation": 3, "test": 3}
    items[:2] = [replace(items[0], split="test"), replace(items[1], split="train")]
    with pytest.raises(DataError, match="the patient p0 and 1 alike are in test and train"):
        split_items(items, seed=0, keep=True, alike=[("p1", "p0")])


def test_the_likeness_search_finds_patients_whose_pictures_are_copies(tmp_path: Path) -> None:
    dataset = repainted(make_set(tmp_path / "set", patients=6), "p4-1", picture=tissue(0)[:, ::-1].copy())
    told: list[tuple[int, int]] = []
    assert set(alike_patients(dataset, lambda *done: told.append(done))) == {("p0", "p4")}
    assert told[-1] == (12, 12)
    (dataset.folder / "pictures/p5-0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="p5-0"):
        list(alike_patients(dataset))


def test_items_without_a_patient_are_refused() -> None:
    with pytest.raises(DataError, match="the item b has no patient"):
        split_items([item("a", "p"), item("b", "")], seed=0)


def test_fewer_patients_than_splits_are_refused() -> None:
    with pytest.raises(DataError, match="2 patients leave test empty"):
        split_items(cohort([5, 5]), seed=0)
    kept = [replace(it, split="train") for it in cohort([2] * 4)]
    with pytest.raises(DataError, match="validation and test empty"):
        split_items(kept, seed=0, keep=True)


@pytest.mark.parametrize(
    ("shares", "reason"),
    [((0.7, 0.3), "expected three"), ((0.7, 0.2, 0.2), "add up to 1.1"), ((1.2, -0.1, -0.1), "expected three")],
)
def test_shares_that_are_none_are_refused(shares: tuple[float, ...], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        split_items(cohort([1] * 5), shares, seed=0)


def row(count: int) -> list[Item]:
    """Items named by numbers without padding, each its own patient; neither list nor ids are in that order."""
    rng = np.random.default_rng(3)
    return [replace(item(f"{rng.bytes(8).hex()}", f"p{n}"), source=f"images/{n}.png") for n in rng.permutation(count)]


def number(it: Item) -> int:
    return int(it.source.removeprefix("images/").removesuffix(".png"))


def nearest(items: Sequence[Item]) -> int:
    """How far, in numbers, the nearest two items of different splits are from each other."""
    placed = sorted((number(it), it.split) for it in items if it.split is not None)
    return min(b - a for (a, one), (b, other) in pairwise(placed) if one != other)


def faults(items: Sequence[Sequence[Item]], gap: int) -> list[str]:
    """What is wrong with all folds of a set together; nothing for sound ones."""
    tested = Counter(it.id for fold in items for it in fold if it.split == "test")
    told = [f"{it.id} is tested {tested[it.id]} times" for it in items[0] if tested[it.id] != 1]
    told += [f"fold {n}: {nearest(fold)} apart" for n, fold in enumerate(items, start=1) if nearest(fold) <= gap]
    told += [
        f"fold {n}: lacks a split" for n, fold in enumerate(items, 1) if not set(SPLITS) <= {it.split for it in fold}
    ]
    return told


@given(folds=st.integers(2, 7), count=st.integers(170, 260), gap=st.integers(0, 6))
def test_folds_test_each_item_once_and_keep_the_splits_apart(folds: int, count: int, gap: int) -> None:
    items = row(count)
    dealt = [fold_items(items, fold, folds, gap) for fold in range(1, folds + 1)]
    assert faults(dealt, gap) == []
    for fold in dealt:
        assert [replace(it, split=None) for it in fold] == items
        borders = 7 if gap else 0  # three blocks of the test and one of validation have no more
        assert sum(it.split is None for it in fold) <= borders * gap
    validated = [{it.id for it in fold if it.split == "validation"} for fold in dealt]
    assert len(set().union(*validated)) == sum(map(len, validated)), "each fold validates on other items"


def test_the_check_of_folds_catches_a_leak_and_a_forgotten_item() -> None:
    dealt = [list(fold_items(row(120), fold, 4, 3)) for fold in range(1, 5)]
    assert faults(dealt, 3) == []
    first = next(n for n, it in enumerate(dealt[0]) if it.split is None)
    dealt[0][first] = replace(dealt[0][first], split="train")
    assert len(faults(dealt, 3)) == 1
    at = next(n for n, it in enumerate(dealt[1]) if it.split == "test")
    dealt[1][at] = replace(dealt[1][at], split=None)
    assert any("is tested 0 times" in fault for fault in faults(dealt, 3))


def test_a_fold_is_the_same_whatever_the_order_and_follows_numbers_by_value() -> None:
    items = row(60)
    once = {it.id: it.split for it in fold_items(items, 1, 5, 2)}
    assert once == {it.id: it.split for it in fold_items(items[::-1], 1, 5, 2)}
    tested = sorted(number(it) for it in items if once[it.id] == "test")
    assert tested == [0, 1, 2, 3, 20, 21, 22, 23, 40, 41, 42, 43]
    assert sorted(number(it) for it in items if once[it.id] == "validation") == [6, 7]
    assert sorted(number(it) for it in items if once[it.id] is None) == [4, 5, 8, 9, 18, 19, 24, 25, 38, 39, 44, 45]


def test_near_duplicates_of_the_test_teach_nothing() -> None:
    items = [replace(it, patient=f"p{number(it)}") for it in row(60)]
    alike = [("p30", "p1"), ("p6", "p50"), ("p31", "p32"), ("p2", "p21")]
    plain, dealt = ({it.id: it.split for it in fold_items(items, 1, 5, 2, pairs)} for pairs in ([], alike))
    differs = {id for id in plain if plain[id] != dealt[id]}
    assert {number(it) for it in items if it.id in differs} == {30, 50}, (
        "the one of a pair that is not tested gives way"
    )
    assert all(dealt[id] is None for id in differs)


def test_pictures_of_a_cine_follow_each_other_in_a_fold() -> None:
    items = [replace(item(f"c-{n}", "", ()), source="a.mp4", cine="c", frame=n) for n in range(60)]
    dealt = fold_items(items[::-1], 2, 5, 0)
    assert [it.frame for it in dealt if it.split == "test"] == [47, 46, 45, 44, 27, 26, 25, 24, 7, 6, 5, 4]


def test_folds_of_what_has_no_order_or_a_patient_are_refused() -> None:
    items = row(60)
    with pytest.raises(DataError, match="tells no name of a file to order it by; import it with --keep-names"):
        fold_items([*items, replace(items[0], id="x", source="sha256:00")], 1, 5)
    whole = [replace(it, patient=f"p{number(it) // 10}") for it in items]
    with pytest.raises(DataError, match=r"the patient p0 would be in test and validation; .* without --fold"):
        fold_items(sorted(whole, key=number), 1, 5)


@pytest.mark.parametrize(("fold", "folds", "gap"), [(0, 5, 3), (6, 5, 3), (1, 1, 3), (1, 5, -1)])
def test_folds_that_are_none_are_refused(fold: int, folds: int, gap: int) -> None:
    with pytest.raises(ConfigError, match=f"fold {fold} of {folds}, gap {gap}"):
        fold_items(row(60), fold, folds, gap)


@pytest.mark.parametrize(("count", "empty"), [(0, "train and validation and test"), (4, "train"), (30, "validation")])
def test_folds_of_too_few_items_are_refused(count: int, empty: str) -> None:
    with pytest.raises(DataError, match=f"{count} items in 5 folds with gaps of 3 leave .*{empty}.* empty"):
        fold_items(row(count), 1, 5)
