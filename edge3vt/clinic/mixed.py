"""A linear mixed model with crossed and nested random effects: what readers, patients and pictures add to a scatter.

REML by Fisher scoring (Searle, Casella and McCulloch 1992, Variance Components, ch. 6 and 8). It is our own because
statsmodels' MixedLM 0.15, which tests hold it against, often stops short of the optimum where a variance is near 0,
and calls that converged. Intervals and p are by t, with the degrees of freedom of Satterthwaite 1946, Biometrics
Bulletin 2:110-114, as Fai and Cornelius 1996, J Stat Comput Simul 54:363-378 apply them: normal ones are too narrow
with a handful of readers. Where a few readers come out alike by chance, the degrees are estimated too high as well, so
that the fewest count which any one variance gives, raised by its own standard error: a rule of ours, tried in
``coverage``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COVERAGE = 0.95
RESIDUAL = "residual"
_MOST_STEPS, _SHORTEST, _SMALLEST_GAIN = 100, 1e-6, 1e-9
_LEAST_RESIDUAL = 1e-9  # of the scatter: with none, the covariance has no inverse
Table = NDArray[np.float64]
Interval = tuple[float, float]
Roots = Sequence[Table | None]
"""For each variance the matrix whose square it multiplies: (n, levels) indicators, None for the residual's identity."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard error, 95 % interval, and the p of its being 0."""

    value: float
    se: float
    df: float
    interval: Interval
    p: float


@dataclass(frozen=True, slots=True)
class Fit:
    """mean: of a new reading; with a covariate, where that has its mean. slope: by unit of the covariate.

    variances: of each factor that the data can tell apart, and of the residual. total: their sum, the variance of one
    new reading by a new reader; total_df: its degrees of freedom.
    """

    mean: Estimate
    slope: Estimate | None
    variances: dict[str, float]
    total: float
    total_df: float


def fit(values: Table, factors: Mapping[str, Sequence[str]], covariate: Table | None = None) -> Fit:
    """The model ``values = mean (+ slope * covariate) + one random effect for each level of each factor + residual``.

    values: (n,); factors: n levels each, crossed unless their levels nest. A factor that the data cannot tell from
    another or from the residual is left out. Raises ValueError where readings are too few.
    """
    count, coefficients = len(values), 1 if covariate is None else 2
    if count < coefficients + 1:
        raise ValueError(f"{count} readings are too few for a model")
    design = np.ones((count, coefficients))
    if covariate is not None:
        design[:, 1] = covariate - covariate.mean()
    indicators = {name: _indicators(levels) for name, levels in identified(factors, count).items()}
    scale = float(np.std(values - design @ np.linalg.lstsq(design, values, rcond=None)[0]))
    if scale <= 1e-12 * max(float(np.abs(values).max()), 1.0):  # nothing scatters
        return _without_scatter(values, design)
    names, roots = [*indicators, RESIDUAL], [*indicators.values(), None]
    if indicators:
        variances = _reml(values / scale, roots, design) * scale**2
    else:
        residuals = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        variances = np.array([float(residuals @ residuals) / (count - coefficients)])
    return _inference(values, design, names, roots, variances)


def identified(factors: Mapping[str, Sequence[str]], count: int) -> dict[str, Sequence[str]]:
    """The factors with more than one level, fewer levels than readings, and another grouping than those before."""
    kept: dict[str, Sequence[str]] = {}
    groupings: set[tuple[int, ...]] = set()
    for name, levels in factors.items():
        places = _places(levels)
        if 1 < len(set(places)) < count and places not in groupings:
            kept[name] = levels
            groupings.add(places)
    return kept


def _places(levels: Sequence[str]) -> tuple[int, ...]:
    """Each level by the place of its first appearance."""
    first: dict[str, int] = {}
    return tuple(first.setdefault(level, len(first)) for level in levels)


def _indicators(levels: Sequence[str]) -> Table:
    places = np.array(_places(levels))
    return np.asarray(np.eye(int(places.max()) + 1)[places])


def _reml(values: Table, roots: Roots, design: Table) -> Table:
    """The variances of the highest restricted likelihood, none below 0; values: scaled to an SD near 1."""
    variances = np.full(len(roots), 1 / len(roots))
    now = _look(values, roots, design, variances)
    for _ in range(_MOST_STEPS):
        rises, information = now.rises(values, roots), now.information(roots)
        free = (variances > 0) | (rises > 0)
        step = np.zeros(len(roots))
        step[free] = np.linalg.lstsq(information[np.ix_(free, free)], rises[free], rcond=None)[0]
        size = 1.0
        while True:
            tried = np.maximum(variances + size * step, [0.0] * (len(roots) - 1) + [_LEAST_RESIDUAL])
            then = _look(values, roots, design, tried)
            if then.likelihood >= now.likelihood or size < _SHORTEST:
                break
            size /= 2
        gain = then.likelihood - now.likelihood
        if gain > 0:
            variances, now = tried, then
        if gain < _SMALLEST_GAIN:
            break
    return variances


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """The model at some variances. projection: P; weighted: V^-1 X; spread: the coefficients' covariance."""

    projection: Table
    weighted: Table
    spread: Table
    likelihood: float

    def rises(self, values: Table, roots: Roots) -> Table:
        """The restricted likelihood's slope along each variance."""
        seen = self.projection @ values
        found = []
        for root in roots:
            trace = np.trace(self.projection) if root is None else np.sum(root * (self.projection @ root))
            found.append(0.5 * (float(np.sum(_onto(root, seen) ** 2)) - float(trace)))
        return np.array(found)

    def information(self, roots: Roots) -> Table:
        """Expected, of the variances."""
        reduced = [self.projection if root is None else self.projection @ root for root in roots]
        return np.array([[0.5 * float(np.sum(_onto(a, b) ** 2)) for b in reduced] for a in roots])


def _look(values: Table, roots: Roots, design: Table, variances: Table) -> _Look:
    covariance = np.zeros((len(values), len(values)))
    for root, variance in zip(roots, variances, strict=True):
        covariance += variance * (np.eye(len(values)) if root is None else root @ root.T)
    inverse = np.linalg.inv(covariance)
    weighted = inverse @ design
    precision = design.T @ weighted
    spread = np.linalg.inv(precision)
    projection = inverse - weighted @ spread @ weighted.T
    sizes = float(np.linalg.slogdet(covariance)[1]) + float(np.linalg.slogdet(precision)[1])
    return _Look(
        projection, weighted, np.asarray(spread, np.float64), -0.5 * (sizes + float(values @ projection @ values))
    )


def _onto(root: Table | None, table: Table) -> Table:
    return table if root is None else np.asarray(root.T @ table)


def _inference(values: Table, design: Table, names: Sequence[str], roots: Roots, variances: Table) -> Fit:
    at = _look(values, roots, design, variances)
    coefficients = at.spread @ (at.weighted.T @ values)
    doubt = _doubt(at, roots)
    most = len(values) - design.shape[1]
    degrees = [_coefficient_degrees(at, roots, doubt, most)]
    for place in range(len(roots) - 1):
        raised = variances.copy()
        raised[place] += np.sqrt(max(float(doubt[place, place]), 0.0))
        above = _look(values, roots, design, raised)
        degrees.append(_coefficient_degrees(above, roots, _doubt(above, roots), most))
    estimates = [
        _estimate(float(value), float(at.spread[place, place]), min(each[place] for each in degrees))
        for place, value in enumerate(coefficients)
    ]
    total, ones = float(variances.sum()), np.ones(len(roots))
    total_df = _degrees(total, float(ones @ doubt @ ones), most)
    slope = estimates[1] if len(estimates) > 1 else None
    return Fit(estimates[0], slope, dict(zip(names, variances.tolist(), strict=True)), total, total_df)


def _doubt(at: _Look, roots: Roots) -> Table:
    """The covariance of the variances."""
    return np.asarray(np.linalg.pinv(at.information(roots), hermitian=True))


def _coefficient_degrees(at: _Look, roots: Roots, doubt: Table, most: int) -> list[float]:
    """Satterthwaite's, for each coefficient."""
    found = []
    for place in range(len(at.spread)):
        along = at.weighted @ at.spread[:, place]  # d Var / d variance_k = |root_k' along|^2
        gradient = np.array([float(np.sum(_onto(root, along) ** 2)) for root in roots])
        found.append(_degrees(float(at.spread[place, place]), float(gradient @ doubt @ gradient), most))
    return found


def _degrees(variance: float, doubt: float, most: int) -> float:
    """Of a variance that is known with the variance ``doubt``: at least 1, at most those of independent readings."""
    return float(np.clip(2 * variance**2 / doubt, 1.0, most)) if doubt > 0 else float(most)


def _estimate(value: float, variance: float, df: float) -> Estimate:
    from scipy import stats

    se = float(np.sqrt(variance))
    half = float(stats.t.ppf((1 + COVERAGE) / 2, df)) * se
    return Estimate(value, se, df, (value - half, value + half), float(2 * stats.t.sf(abs(value) / se, df)))


def _without_scatter(values: Table, design: Table) -> Fit:
    coefficients = np.linalg.lstsq(design, values, rcond=None)[0]
    df = float(len(values) - design.shape[1])
    exact = [Estimate(float(c), 0.0, df, (float(c), float(c)), 1.0 if abs(c) < 1e-12 else 0.0) for c in coefficients]
    return Fit(exact[0], exact[1] if len(exact) > 1 else None, {RESIDUAL: 0.0}, 0.0, df)
