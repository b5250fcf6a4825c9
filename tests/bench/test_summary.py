from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.bench.accuracy import Case, Scores
from edge3vt.bench.flicker import CineFlicker
from edge3vt.bench.statistics import interval
from edge3vt.bench.summary import pooled, summarise, tabulate

NAMES = ("a", "b", "spine")


def scores(dice: float | None, found_px: int = 50, width_px: float | None = None) -> Scores:
    """Of a structure that is there; None: that is not there, or of which nothing was found for 0."""
    if dice is None:
        return Scores(0, found_px, None, None, None, None, None, None)
    return Scores(60, found_px, dice, dice / 2, dice, 2.0 if dice else None, dice, width_px)


def case(id: str, *own: Scores, patient: str = "", weeks: float | None = None, variant: str | None = None) -> Case:
    return Case(id, patient or id, "0" * 32, weeks, variant, 0.9, dict(zip(NAMES, own, strict=True)))


CASES = (
    case("1", scores(0.8, width_px=3.0), scores(0.6, width_px=5.0), scores(0.1), weeks=20.5, variant="normal"),
    case("2", scores(0.6, width_px=9.5), scores(None, 0), scores(0.1), weeks=23.9, variant="normal"),
    case("3", scores(0.0, 0, width_px=8.0), scores(None, 70), scores(0.1), weeks=24.0, variant="left svc"),
)


def test_means_per_structure_then_over_structures() -> None:
    summary = summarise(tabulate(CASES, NAMES), ("a", "b"))
    a, b = summary.structures["a"], summary.structures["b"]
    assert (a.cases, a.empty, b.cases, b.empty) == (3, 0, 1, 2)
    assert (a.dice, b.dice) == (pytest.approx(1.4 / 3), 0.6)
    assert summary.dice == pytest.approx((1.4 / 3 + 0.6) / 2)
    assert summary.iou == pytest.approx((1.4 / 3 + 0.6) / 4)
    assert summary.structures["spine"].dice == pytest.approx(0.1)
    assert (a.missed, b.missed) == (pytest.approx(1 / 3), 0)
    assert (a.false_positive, b.false_positive, b.false_positive_px) == (None, 0.5, 35)
    assert summary.hd95 == 2
    assert summary.pa_overall == pytest.approx(0.9)
    assert summary.dice_interval == interval(tabulate(CASES, NAMES).of(("a", "b"), "dice"), ["1", "2", "3"])


def test_the_groups() -> None:
    groups = summarise(tabulate(CASES, NAMES), ("a", "b")).groups
    assert {name: own.cases for name, own in groups["weeks"].items()} == {"18-23": 2, "24-29": 1}
    assert groups["weeks"]["18-23"].dice == pytest.approx((0.7 + 0.6) / 2)
    assert groups["variant"]["left svc"].missed == 1
    assert set(groups["patient"]) == {"1", "2", "3"}
    assert {name: (own.cases, own.dice) for name, own in groups["width"].items()} == {
        "<4": (1, 0.8),
        "4-6": (1, 0.6),
        "6-9": (1, 0.0),
        ">9": (1, 0.6),
    }


def test_what_nobody_holds_has_no_mean() -> None:
    empty = [case(str(i), *(scores(None, 0) for _ in NAMES)) for i in range(3)]
    summary = summarise(tabulate(empty, NAMES), ("a", "b"))
    assert (summary.dice, summary.dice_interval, summary.missed, summary.hd95) == (None, None, None, None)
    assert summary.false_positive == 0
    assert "weeks" not in summary.groups


def test_no_cases_at_all() -> None:
    summary = summarise(tabulate([], NAMES), ("a", "b"))
    assert (summary.cases, summary.dice, summary.pa_overall) == (0, None, None)


def test_cines() -> None:
    cines = [CineFlicker(str(i), "p", 4, 4, {"a": 0.2 + i, "b": None}, {"a": 0.1, "b": None}) for i in range(2)]
    summary = summarise(tabulate(CASES, NAMES), ("a", "b"), cines)
    assert (summary.change, summary.flicker) == (pytest.approx(0.7), pytest.approx(0.1))


def test_runs_are_averaged_case_by_case_and_folds_are_put_together() -> None:
    other = [replace(CASES[0], structures=CASES[0].structures | {"a": scores(0.4)}, right=0.7)]
    both = pooled([tabulate(CASES[:2], NAMES), tabulate(other, NAMES), tabulate(CASES[2:], NAMES)])
    assert [key[0] for key in both.keys] == ["1", "2", "3"]
    np.testing.assert_allclose(both.values["dice"][:, 0], [0.6, 0.6, 0])
    np.testing.assert_allclose(both.right, [0.8, 0.9, 0.9])
    np.testing.assert_allclose(both.values["hd95"][:, 0], [2, 2, np.nan])
    folds = pooled([tabulate(CASES[2:], NAMES), tabulate(CASES[:2], NAMES)])
    whole = tabulate(CASES, NAMES)
    assert folds.keys == whole.keys
    for name, table in whole.values.items():
        np.testing.assert_array_equal(folds.values[name], table)


def test_a_structure_that_one_run_missed_is_missed_by_half() -> None:
    missed = [replace(CASES[0], structures=CASES[0].structures | {"a": scores(0.0, 0)})]
    both = summarise(pooled([tabulate(CASES[:1], NAMES), tabulate(missed, NAMES)]), ("a", "b"))
    assert both.structures["a"].missed == 0.5
    assert both.structures["a"].hd95 == 2
