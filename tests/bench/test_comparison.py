from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge3vt.bench.comparison import compare
from edge3vt.bench.record import Record
from edge3vt.core.errors import ConfigError
from tests.bench.painted import PaintedSession, painted_set
from tests.bench.test_record import judged


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return judged(painted_set(tmp_path_factory.mktemp("painted") / "set", patients=9), name="good")


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> Record:
    dataset = painted_set(tmp_path_factory.mktemp("painted") / "set", patients=9)
    return judged(dataset, PaintedSession(lost=(4,)), name="poor")


def trained_again(record: Record, seed: int) -> Record:
    return replace(record, seed=seed, model=replace(record.model, sha256=f"{seed:064d}"))


def named(record: Record, name: str) -> Record:
    return replace(record, model=replace(record.model, name=name))


def test_rows_stand_in_order_and_are_tested_against_the_baseline(good: Record, poor: Record) -> None:
    found = compare([poor, good])
    assert [(row.name, row.dice, row.missed) for row in found.rows] == [("poor", 0.75, 0.25), ("good", 1, 0)]
    assert (found.cases, found.patients, found.unit, found.sets) == (18, 9, "mm", ("set, test",))
    dice, iou = found.paired
    assert (dice.name, dice.baseline, dice.measure, dice.difference) == ("good", "poor", "dice", 0.25)
    assert (dice.patients, iou.measure) == (8, "iou")
    assert dice.interval == (0.25, 0.25)
    assert dice.p == pytest.approx(2 / 2**8, abs=0.003)
    (turned,) = [pair for pair in compare([poor, good], "good").paired if pair.measure == "dice"]
    assert (turned.name, turned.difference) == ("poor", -0.25)


def test_seeds_are_averaged_into_one_row(good: Record, poor: Record) -> None:
    records = [trained_again(named(good, "m"), 1), trained_again(named(poor, "m"), 2)]
    (row,) = compare(records).rows
    assert (row.runs, row.seeds, row.dice_runs) == (2, (1, 2), (1, 0.75))
    assert row.dice == pytest.approx(0.875)
    assert row.structures["trachea"].missed == 0.5


def test_folds_are_pooled_into_one_row_that_is_comparable(good: Record, poor: Record) -> None:
    folds = [
        trained_again(replace(good, cases=good.cases[i::3], set=replace(good.set, digest=str(i))), i) for i in range(3)
    ]
    row, other = compare([*folds, poor]).rows
    assert (row.runs, row.dice, other.dice) == (3, 1, 0.75)
    with pytest.raises(ConfigError, match="are of 12 and 18 cases, 12 of them the same"):
        compare([*folds[:2], poor])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: replace(r, mode="track"), "differ in crop"),
        (lambda r: replace(r, size=192), "differ in size"),
        (lambda r: replace(r, model=replace(r.model, params_m=3.0)), "differ in parameters"),
        (lambda r: replace(r, set=replace(r.set, truth="exact")), "differ in truth"),
        (lambda r: r, "same weights on the same cases"),
        (lambda r: named(replace(r, unit="px"), "other"), "differ in unit"),
        (lambda r: named(replace(r, classes=("background", *r.classes[:0:-1])), "other"), "differ in classes"),
        (lambda r: named(replace(r, cases=r.cases[1:]), "other"), "are of 18 and 17 cases"),
    ],
)
def test_what_cannot_be_compared_is_refused(good: Record, change: Callable[[Record], Record], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compare([good, change(good)])


def test_other_truths_are_refused(good: Record) -> None:
    case = good.cases[0]
    truth = replace(case, structures=case.structures | {"spine": replace(case.structures["spine"], true_px=5)})
    with pytest.raises(ConfigError, match="other truths"):
        compare([good, named(replace(good, cases=(truth, *good.cases[1:])), "other")])


def test_a_baseline_that_nobody_is_called(good: Record) -> None:
    with pytest.raises(ConfigError, match="expected one of good"):
        compare([good], "best")


def test_without_a_view_there_are_rows_but_no_tests(tmp_path: Path) -> None:
    record = judged(painted_set(tmp_path / "set", patients=2, empty=2))
    found = compare([record, named(record, "other")])
    assert [row.dice for row in found.rows] == [None, None]
    assert found.paired == ()
