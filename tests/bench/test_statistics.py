from __future__ import annotations

import numpy as np
import pytest

from edge3vt.bench import statistics
from edge3vt.bench.statistics import Table, difference, interval, mean, structure_means
from edge3vt.core.metrics import mean_over_cases

RNG = np.random.default_rng(8)
GAPS = np.array([[0.5, np.nan, np.nan], [1.0, 0.25, np.nan], [0.9, 0.35, np.nan]])


def cohort(patients: int, each: int, spread: float, seed: int = 3) -> tuple[Table, list[str]]:
    """Measures of which a patient's own are all alike."""
    rng = np.random.default_rng(seed)
    own = np.clip(rng.normal(0.7, spread, (patients, 1, 2)), 0, 1)
    table = np.broadcast_to(own, (patients, each, 2)) + rng.normal(0, 0.001, (patients, each, 2))
    return table.reshape(-1, 2).copy(), [f"p{i // each}" for i in range(patients * each)]


def test_the_mean_is_over_structures_of_means_over_the_cases_that_count_them() -> None:
    assert structure_means(GAPS) == [pytest.approx(0.8), pytest.approx(0.3), None]
    assert mean(GAPS) == pytest.approx(np.nanmean(mean_over_cases(list(GAPS))))
    assert mean(np.full((3, 2), np.nan)) is None


def test_an_interval_is_that_of_a_bootstrap_drawn_one_by_one() -> None:
    table, patients = cohort(12, 3, 0.1)
    table[RNG.uniform(size=table.shape) < 0.2] = np.nan
    names, found = sorted(set(patients)), []
    for _ in range(4000):
        chosen = RNG.choice(names, len(names))
        rows = np.concatenate([table[[p == name for p in patients]] for name in chosen])
        found.append(np.nanmean(rows, axis=0).mean())
    assert interval(table, patients) == pytest.approx(tuple(np.percentile(found, [2.5, 97.5])), abs=0.006)


def test_patients_are_drawn_and_not_their_pictures() -> None:
    table, patients = cohort(10, 20, 0.1)
    by_patient, by_picture = interval(table, patients), interval(table, [str(i) for i in range(len(table))])
    assert by_patient is not None
    assert by_picture is not None
    assert by_patient[1] - by_patient[0] > 3 * (by_picture[1] - by_picture[0])


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        table, patients = cohort(30, 2, 0.1, seed)
        low, high = interval(table, patients, draws=400) or (1.0, 0.0)
        covered += low <= 0.7 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_one_patient_has_no_interval_and_no_difference() -> None:
    table, _ = cohort(1, 5, 0.1)
    assert interval(table, ["p"] * 5) is None
    assert difference(table, table, ["p"] * 5) is None


def test_the_same_draws_every_time() -> None:
    table, patients = cohort(8, 2, 0.1)
    assert interval(table, patients) == interval(table, patients)


def test_draws_in_parts_are_as_many_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_AT_ONCE", 64)
    assert [len(part) for part in statistics._resampled(3, 150)] == [64, 64, 22]
    assert [len(part) for part in statistics._signs(3, 150)] == [64, 64, 22]


def test_a_better_model_is_told_from_one_that_is_not() -> None:
    table, patients = cohort(20, 2, 0.1)
    noise = np.repeat(np.random.default_rng(5).normal(0, 0.02, (20, 2)), 2, axis=0)
    better = difference(table + 0.05 + noise, table, patients)
    assert better is not None
    assert better.difference == pytest.approx(0.05, abs=0.01)
    assert better.interval[0] > 0
    assert better.p < 0.001
    assert better.patients == 20
    turned = difference(table, table + 0.05 + noise, patients)
    assert turned is not None
    assert turned.difference == pytest.approx(-better.difference)
    assert turned.p < 0.001
    assert turned.interval[1] < 0


def test_models_that_are_alike_are_called_so_as_rarely_different_as_p_says() -> None:
    rng, below = np.random.default_rng(11), 0
    for seed in range(200):
        table, patients = cohort(15, 2, 0.1, seed)
        found = difference(table + np.repeat(rng.normal(0, 0.03, (15, 2)), 2, axis=0), table, patients, draws=300)
        assert found is not None
        below += found.p < 0.05
    assert below <= 20
    same = difference(table, table, patients, draws=300)
    assert same is not None
    assert (same.difference, same.p) == (0, 1)


def test_few_patients_cannot_be_significant() -> None:
    """Of four patients all better, one in eight swaps of names looks as good."""
    table, patients = cohort(4, 10, 0.1)
    found = difference(table + 0.1, table, patients)
    assert found is not None
    assert found.p == pytest.approx(1 / 8, abs=0.02)


def test_other_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="not given the same cases"):
        difference(GAPS, np.nan_to_num(GAPS), ["a", "b", "c"])
