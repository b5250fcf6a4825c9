"""The mixed model against closed forms of balanced designs and against statsmodels."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from edge3vt.clinic.agreement import mean_squares
from edge3vt.clinic.cohort import Truth, simulate
from edge3vt.clinic.mixed import RESIDUAL, fit, identified


def test_without_repeats_it_is_the_t_interval() -> None:
    values = np.random.default_rng(1).normal(0.3, 2.0, 40)
    names = [str(i) for i in range(40)]
    found = fit(values, {"reader": ["one"] * 40, "patient": names, "picture": names})
    assert list(found.variances) == [RESIDUAL]
    assert found.variances[RESIDUAL] == pytest.approx(values.var(ddof=1))
    wanted = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert found.mean.interval == pytest.approx(wanted)
    assert found.mean.p == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)
    assert (found.mean.df, found.total_df) == pytest.approx((39.0, 39.0))


def test_groups_of_one_size_have_the_variances_and_degrees_of_anova() -> None:
    rng = np.random.default_rng(2)
    table = rng.normal(0, 1.0, (12, 1)) + rng.normal(0, 0.5, (12, 5))
    found = fit(table.ravel(), {"patient": [f"p{i}" for i in range(12) for _ in range(5)]})
    ms = mean_squares(table)
    assert found.variances["patient"] == pytest.approx((ms.between - ms.within) / 5, rel=1e-3)
    assert found.variances[RESIDUAL] == pytest.approx(ms.within, rel=1e-3)
    assert found.mean.se == pytest.approx(np.sqrt(ms.between / 60), rel=1e-3)
    assert found.mean.df == pytest.approx(11, rel=1e-3)


def test_crossed_readers_have_the_variances_of_anova() -> None:
    rng = np.random.default_rng(3)
    table = rng.normal(0, 0.4, (1, 5)) + rng.normal(0, 1.0, (30, 1)) + rng.normal(0, 0.5, (30, 5))
    readers, pictures = [f"r{j}" for _ in range(30) for j in range(5)], [f"i{i}" for i in range(30) for _ in range(5)]
    found = fit(table.ravel(), {"reader": readers, "picture": pictures})
    ms = mean_squares(table)
    assert found.variances["reader"] == pytest.approx((ms.judges - ms.residual) / 30, rel=1e-3)
    assert found.variances["picture"] == pytest.approx((ms.between - ms.residual) / 5, rel=1e-3)
    assert found.variances[RESIDUAL] == pytest.approx(ms.residual, rel=1e-3)
    assert found.mean.value == pytest.approx(table.mean())


def test_statsmodels_finds_the_same_optimum() -> None:
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    readings = simulate(Truth(20, 12, 3, 0.05, 0.05, 0.08, 0.06, 0.1), np.random.default_rng(7))
    values, covariate = (readings.found - readings.true) / 0.1, readings.true
    factors = {"reader": readings.readers, "patient": readings.patients, "picture": readings.pictures}
    found = fit(values, factors, covariate)
    tables = [
        (np.unique(levels, return_inverse=True)[1][:, None] == np.arange(len(set(levels)))) * 1.0
        for levels in factors.values()
    ]
    columns = [[[str(i) for i in range(table.shape[1])]] for table in tables]
    design = np.stack([np.ones(60), covariate - covariate.mean()], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = VCSpec(list(factors), columns, [[table] for table in tables])
        other = MixedLM(values, design, groups=np.zeros(60), exog_vc=spec).fit(reml=True, method=["nm"], maxiter=2000)
    assert list(found.variances.values()) == pytest.approx([*other.vcomp, other.scale], abs=2e-3)
    assert found.slope is not None
    assert (found.mean.value, found.slope.value) == pytest.approx(tuple(other.fe_params), abs=1e-3)
    assert (found.mean.se, found.slope.se) == pytest.approx(tuple(other.bse_fe), rel=1e-2)
    assert found.mean.df < 15  # and so its interval is wider than the normal one


def test_factors_that_the_data_cannot_tell_apart_are_left_out() -> None:
    one, two = ["a", "a", "b", "b"], ["x", "x", "y", "y"]
    assert list(identified({"one": one, "two": two}, 4)) == ["one"]
    assert list(identified({"single": ["a"] * 4, "own": ["a", "b", "c", "d"]}, 4)) == []


def test_a_variance_that_is_not_there_is_0_and_costs_no_coverage() -> None:
    rng = np.random.default_rng(5)
    names = [f"r{i % 3}" for i in range(60)]
    values = rng.normal(0, 1, 60)
    for name in set(names):  # readers alike to the last digit
        own = np.array([n == name for n in names])
        values[own] -= values[own].mean()
    found = fit(values + 2, {"reader": names})
    assert found.variances["reader"] == 0
    assert found.mean.value == pytest.approx(2)


def test_what_does_not_scatter_is_exact_and_too_few_are_refused() -> None:
    found = fit(np.full(6, 0.25), {"reader": ["a", "a", "a", "b", "b", "b"]})
    assert found.mean.interval == pytest.approx((0.25, 0.25))
    assert found.total == 0.0
    assert fit(np.zeros(6), {}).mean.p == 1.0
    with pytest.raises(ValueError, match="too few"):
        fit(np.array([1.0]), {})
