"""How far readings agree with a reference: bias, limits of agreement, proportional bias; and readers with each other.

Bland and Altman 1986, Lancet 327:307-310; 1999, Stat Methods Med Res 8:135-160; for repeated measures 2007, J Biopharm
Stat 17:571-582. With several readers and pictures of one patient, the SD of a difference is that of the mixed model's
variances together (Carstensen, Simpson and Gurrin 2008, Int J Biostat 4:16): the limits are those of one reading by a
reader, and of a patient, whom the study has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3vt.clinic.mixed import COVERAGE, Estimate, Interval, fit

Z = 1.96  # of the limits, as Bland and Altman 1999 have it
Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Readings less their reference; on the log scale of their logarithms.

    bias: the mean difference. lower, upper: the 95 % limits of agreement, bias - 1.96 SD and bias + 1.96 SD.
    slope: of the difference on the reference, with its p: proportional bias; None where the reference is all one.
    variances: what readers, patients and pictures add to the SD's square. reader_biases: each one's mean difference.
    """

    readings: int
    pictures: int
    patients: int
    readers: int
    bias: Estimate
    sd: float
    lower: float
    upper: float
    lower_interval: Interval
    upper_interval: Interval
    slope: Estimate | None
    variances: dict[str, float]
    reader_biases: dict[str, float]


@dataclass(frozen=True, slots=True)
class Icc:
    """ICC(2,1) of Shrout and Fleiss: absolute agreement of single readings by readers who stand for others."""

    value: float
    interval: Interval
    pictures: int
    readers: int


@dataclass(frozen=True, slots=True)
class MeanSquares:
    """Of a complete table, targets by judges: between targets, within targets, between judges, residual."""

    between: float
    within: float
    judges: float
    residual: float


def agreement(
    found: Table,
    reference: Table,
    readers: Sequence[str],
    patients: Sequence[str],
    pictures: Sequence[str],
) -> Agreement:
    """Of n readings with their reference values; whose, of whom and of what they are. Raises ValueError for under 3.

    The slope is on the reference and not on the mean of both, which the readers' scatter alone would tilt when the
    other method is the reference: Krouwer 2008, Stat Med 27:778-780.
    """
    differences = found - reference
    factors: Mapping[str, Sequence[str]] = {"reader": readers, "patient": patients, "picture": pictures}
    whole = fit(differences, factors)
    slope = None
    if len(found) >= 4 and np.ptp(reference) > 1e-12:
        slope = fit(differences, factors, reference).slope
    sd, bias = float(np.sqrt(whole.total)), whole.mean
    half = _half_width(bias, whole.total, whole.total_df)
    lower, upper = bias.value - Z * sd, bias.value + Z * sd
    names = sorted(set(readers))
    own = {name: differences[np.array(readers, dtype=object) == name] for name in names}
    return Agreement(
        readings=len(found),
        pictures=len(set(pictures)),
        patients=len(set(patients)),
        readers=len(names),
        bias=bias,
        sd=sd,
        lower=lower,
        upper=upper,
        lower_interval=(lower - half, lower + half),
        upper_interval=(upper - half, upper + half),
        slope=slope,
        variances=whole.variances,
        reader_biases={name: float(each.mean()) for name, each in own.items()},
    )


def _half_width(bias: Estimate, total: float, total_df: float) -> float:
    """Of a limit's 95 % interval: Bland and Altman 1999, section 2.1, which is 1.96 sqrt(3 / n) SD for n single pairs.

    The variance of an SD with f degrees of freedom is SD^2 / (2 f).
    """
    from scipy import stats

    variance = bias.se**2 + Z**2 * total / (2 * total_df)
    return float(stats.t.ppf((1 + COVERAGE) / 2, min(bias.df, total_df)) * np.sqrt(variance))


def icc(table: Table) -> Icc | None:
    """Of a (pictures, readers) table; pictures that a reader lacks (NaN) are left out. None below two of each.

    Interval: Shrout and Fleiss 1979, Psychol Bull 86:420-428, p. 424.
    """
    from scipy import stats

    table = table[~np.isnan(table).any(axis=1)]
    n, k = table.shape
    if n < 2 or k < 2:
        return None
    ms = mean_squares(table)
    whole = ms.between + (k - 1) * ms.residual + k * (ms.judges - ms.residual) / n
    if whole <= 0:
        return None
    value = (ms.between - ms.residual) / whole
    if ms.residual <= 1e-15 * ms.between:
        if ms.judges <= 1e-15 * ms.between:
            return Icc(1.0, (1.0, 1.0), n, k)
        ms = MeanSquares(ms.between, ms.within, ms.judges, 1e-15 * ms.between)
    fj = ms.judges / ms.residual
    above = k * value * fj + n * (1 + (k - 1) * value) - k * value
    below = (n - 1) * k**2 * value**2 * fj**2 + (n * (1 + (k - 1) * value) - k * value) ** 2
    v = (k - 1) * (n - 1) * above**2 / below
    half = (1 + COVERAGE) / 2
    up, down = float(stats.f.ppf(half, n - 1, v)), float(stats.f.ppf(half, v, n - 1))
    rest = k * ms.judges + (k * n - k - n) * ms.residual
    low = n * (ms.between - up * ms.residual) / (up * rest + n * ms.between)
    high = n * (down * ms.between - ms.residual) / (rest + n * down * ms.between)
    return Icc(float(value), (float(low), float(high)), n, k)


def mean_squares(table: Table) -> MeanSquares:
    """Of a complete (targets, judges) table: Shrout and Fleiss 1979, table 3."""
    n, k = table.shape
    centre, rows, columns = table.mean(), table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    between = float(k * ((rows - centre) ** 2).sum() / (n - 1))
    judges = float(n * ((columns - centre) ** 2).sum() / (k - 1))
    within = float(((table - rows) ** 2).sum() / (n * (k - 1)))
    residual = float(((table - rows - columns + centre) ** 2).sum() / ((n - 1) * (k - 1)))
    return MeanSquares(between, within, judges, residual)


def holm(p: Sequence[float]) -> list[float]:
    """p of several tests, each adjusted for there being several: Holm 1979, Scand J Stat 6:65-70."""
    order = sorted(range(len(p)), key=lambda place: p[place])
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min((len(p) - rank) * p[place], 1.0))
        adjusted[place] = highest
    return adjusted
