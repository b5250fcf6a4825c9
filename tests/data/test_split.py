"""Splits are by patient, near their shares, and the same for a seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import Item
from edge3vt.data.split import SPLITS, alike_patients, split_items
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
