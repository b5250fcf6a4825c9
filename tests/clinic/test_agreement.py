"""Agreement against the worked examples of the papers that its formulas are from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.clinic import agreement as room
from edge3vt.clinic.agreement import Agreement, agreement, holm, icc, mean_squares

# Bland and Altman 1986, Lancet 327:307-310, table: first peak flows by Wright's and by the mini meter, l/min.
WRIGHT = (494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427)
MINI = (512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451)

# Bland and Altman 2007, J Biopharm Stat 17:571-582, table 1: cardiac output by two methods, pairs by subject.
CARDIAC = {
    1: ((7.83, 6.57), (7.42, 5.62), (7.89, 6.90), (7.12, 6.57), (7.88, 6.35)),
    2: ((6.16, 4.06), (7.26, 4.29), (6.71, 4.26), (6.54, 4.09)),
    3: ((4.75, 4.71), (5.24, 5.50), (4.86, 5.08), (4.78, 5.02), (6.05, 6.01), (5.42, 5.67)),
    4: ((4.21, 4.14), (3.61, 4.20), (3.72, 4.61), (3.87, 4.68), (3.92, 5.04)),
    5: ((3.13, 3.03), (2.98, 2.86), (2.85, 2.77), (3.17, 2.46), (3.09, 2.32), (3.12, 2.43)),
    6: ((5.92, 5.90), (6.42, 5.81), (5.92, 5.70), (6.27, 5.76)),
    7: ((7.13, 5.09), (6.62, 4.63), (6.58, 4.61), (6.93, 5.09)),
    8: ((4.54, 4.72), (4.81, 4.61), (5.11, 4.36), (5.29, 4.20), (5.39, 4.36), (5.57, 4.20)),
    9: ((4.48, 3.17), (4.92, 3.12), (3.97, 2.96)),
    10: ((4.22, 4.35), (4.65, 4.62), (4.74, 3.16), (4.44, 3.53), (4.50, 3.53)),
    11: ((6.78, 7.20), (6.07, 6.09), (6.52, 7.00), (6.42, 7.10), (6.41, 7.40), (5.76, 6.80)),
    12: ((5.06, 4.50), (4.72, 4.20), (4.90, 3.80), (4.80, 3.80), (4.90, 4.20), (5.10, 4.50)),
}

# Shrout and Fleiss 1979, Psychol Bull 86:420-428, table 2: six targets by four judges.
JUDGED = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def peak_flow() -> Agreement:
    names = [str(i) for i in range(17)]
    return agreement(np.array(WRIGHT, float), np.array(MINI, float), ["wright"] * 17, names, names)


def test_peak_flow_has_the_limits_of_1986() -> None:
    found = peak_flow()
    assert (found.bias.value, found.sd) == pytest.approx((-2.1, 38.8), abs=0.05)
    assert found.bias.interval == pytest.approx((-22.0, 17.8), abs=0.1)
    # The paper takes 2 SD: -79.7 and 75.5; with 1.96 that is 1.6 less.
    assert (found.lower, found.upper) == pytest.approx((-79.7 + 0.04 * 38.8, 75.5 - 0.04 * 38.8), abs=0.1)


def test_peak_flow_has_the_intervals_of_1986() -> None:
    found = peak_flow()
    half = (found.upper_interval[1] - found.upper_interval[0]) / 2
    assert half == pytest.approx((110.1 - 40.9) / 2, rel=0.015)  # 3 s^2 / n is rounded up in the paper
    assert found.lower_interval == pytest.approx((found.lower - half, found.lower + half))


def test_a_wrong_standard_error_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = room.fit

    def wrong(*arguments: object) -> object:
        found = right(*arguments)  # type: ignore[arg-type]
        return replace(found, mean=replace(found.mean, se=found.total**0.5))  # the SD for the SE

    monkeypatch.setattr(room, "fit", wrong)
    with pytest.raises(AssertionError):
        test_peak_flow_has_the_intervals_of_1986()


def test_repeated_pairs_have_the_limits_of_2007() -> None:
    """Published: SD 0.99 with the subjects told apart, 0.96 without; limits -1.3 and 2.5.

    That is by analysis of variance, around the mean of all pairs, 0.60. Here subjects have 3 to 6 pairs, so that REML,
    which lets a pair of a subject with many count less, comes near it and not upon it; where all have as many, both
    are one (test_mixed.py).
    """
    rows = [(str(subject), *pair) for subject, pairs in CARDIAC.items() for pair in pairs]
    subjects, rv, ic = zip(*rows, strict=True)
    times = [str(i) for i in range(60)]
    found = agreement(np.array(rv), np.array(ic), ["one"] * 60, subjects, times)
    assert (found.readings, found.patients) == (60, 12)
    assert (np.array(rv) - ic).std(ddof=1) == pytest.approx(0.961, abs=5e-4)
    assert (np.array(rv) - ic).mean() == pytest.approx(0.60, abs=0.005)
    assert found.sd == pytest.approx(0.99, abs=0.035)
    assert found.bias.value == pytest.approx(
        np.mean([np.subtract(*np.transpose(p)).mean() for p in CARDIAC.values()]), abs=0.02
    )
    assert found.lower == pytest.approx(-1.34, abs=0.05)
    assert found.variances["residual"] == pytest.approx(0.171, abs=0.002)
    assert found.bias.df < 12  # of subjects, not of pairs


def test_icc_of_1979() -> None:
    ms = mean_squares(JUDGED)
    assert (ms.between, ms.within, ms.judges, ms.residual) == pytest.approx((11.24, 6.26, 32.49, 1.02), abs=0.005)
    found = icc(JUDGED)
    assert found is not None
    assert found.value == pytest.approx(0.29, abs=0.005)
    assert found.interval == pytest.approx((0.02, 0.76), abs=0.005)
    with_gap = np.vstack([JUDGED, [1.0, np.nan, 3.0, 4.0]])
    assert icc(with_gap) == found
    assert icc(JUDGED[:, :1]) is None
    same = icc(np.repeat(JUDGED[:, :1], 3, axis=1))
    assert same is not None
    assert same.value == pytest.approx(1.0)


def test_proportional_bias_is_found_and_scatter_alone_is_none() -> None:
    rng = np.random.default_rng(4)
    true = rng.normal(3, 0.4, 80)
    names = [str(i) for i in range(80)]
    for slope in (0.0, 0.3):
        found = agreement(true * (1 + slope) + rng.normal(0, 0.15, 80), true, ["one"] * 80, names, names).slope
        assert found is not None
        assert (found.p < 0.001) == bool(slope)
        assert found.interval[0] < slope < found.interval[1]


def test_holm_is_that_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = [0.01, 0.04, 0.03, 0.6, 0.0]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
