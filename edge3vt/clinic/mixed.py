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
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

COVERAGE = 0.95
RESIDUAL = "residual"
_MOST_STEPS, _SHORTEST, _SMALLEST_GAIN = 100, 1e-6, 1e-9
_LEAST_RESIDUAL = 1e-9  # of the scatter: with none, the covariance has no inverse
Table = NDArray[np.float64]
Interval = tuple[float, float]


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
    tables = list(indicators.values())
    ends = np.cumsum([0, *(table.shape[1] for table in tables)]).tolist()
    slices = [slice(start, end) for start, end in pairwise(ends)]
    levels = np.concatenate([np.zeros((count, 0)), *tables], axis=1)
    squares = levels.T @ levels
    if indicators:
        variances = _reml(_Model(values / scale, design, levels, squares, slices)) * scale**2
    else:
        residuals = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        variances = np.array([float(residuals @ residuals) / (count - coefficients)])
    return _inference(_Model(values, design, levels, squares, slices), [*indicators, RESIDUAL], variances)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """values y (n,), design X (n, p), and B (n, q): an indicator column for each level of each factor; squares: B'B.

    slices: each factor's columns. Covariances V = residual I + B diag(variances) B' are inverted by way of q x q
    matrices (Woodbury's identity): readings are many more than levels.
    """

    values: Table
    design: Table
    levels: Table
    squares: Table
    slices: Sequence[slice]

    def at(self, variances: Table) -> _Look:
        """variances: of the factors, then of the residual."""
        residual, (count, width) = float(variances[-1]), self.levels.shape
        sides = np.zeros(width)
        for part, variance in zip(self.slices, variances, strict=False):
            sides[part] = np.sqrt(variance)
        squares = self.squares
        middle = residual * np.eye(width) + sides[:, None] * squares * sides
        inner = sides[:, None] * np.linalg.inv(middle) * sides

        def inverse(of: Table) -> Table:
            return np.asarray((of - self.levels @ (inner @ (self.levels.T @ of))) / residual)

        weighted = inverse(self.design)
        precision = self.design.T @ weighted
        spread = np.asarray(np.linalg.inv(precision))
        seen = inverse(self.values)
        seen = seen - weighted @ (spread @ (self.design.T @ seen))  # P y
        onto = self.levels.T @ weighted
        outer, both = inner @ squares, weighted.T @ weighted
        plain = (np.eye(width) - outer) / residual  # V^-1 B is B times this
        squared = squares @ plain  # B' V^-1 B
        within = squared - onto @ spread @ onto.T  # B' P B
        shared = onto @ spread @ onto.T
        norms = np.sum(plain * squared, axis=0) - 2 * np.sum(plain * shared.T, axis=0)
        norms += np.sum((onto @ spread @ both @ spread) * onto, axis=1)  # |each column of P B|^2
        own = spread @ both
        trace = (count - float(np.trace(outer))) / residual - float(np.trace(own))  # of P
        power = (count - 2 * float(np.trace(outer)) + float(np.sum(outer * outer.T))) / residual**2
        power += float(np.trace(own @ own)) - 2 * float(np.trace(spread @ (weighted.T @ inverse(weighted))))  # of P P
        size = (count - width) * np.log(residual) + float(np.linalg.slogdet(middle)[1])
        size += float(np.linalg.slogdet(precision)[1]) + float(self.values @ seen)
        rises = [
            0.5 * float(np.sum((self.levels[:, part].T @ seen) ** 2) - np.trace(within[part, part]))
            for part in self.slices
        ]
        information = np.zeros((len(variances), len(variances)))
        for j, one in enumerate(self.slices):
            information[j, -1] = information[-1, j] = 0.5 * float(norms[one].sum())
            for k, other in enumerate(self.slices):
                information[j, k] = 0.5 * float(np.sum(within[one, other] ** 2))
        information[-1, -1] = 0.5 * power
        along = weighted @ spread  # d Var(coefficient) / d variance_k = |its part of B' along|^2
        gradients = [np.sum((self.levels[:, part].T @ along) ** 2, axis=0) for part in self.slices]
        return _Look(
            -0.5 * float(size),
            np.array([*rises, 0.5 * (float(seen @ seen) - trace)]),
            information,
            np.asarray(spread @ (weighted.T @ self.values)),
            spread,
            np.array([*gradients, np.sum(along**2, axis=0)]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """The model at some variances: its restricted likelihood, that one's slopes, and the variances' information.

    spread: the coefficients' covariance; gradients: (variances, coefficients) slopes of their variances.
    """

    likelihood: float
    rises: Table
    information: Table
    coefficients: Table
    spread: Table
    gradients: Table

    @property
    def doubt(self) -> Table:
        """The covariance of the variances."""
        return np.asarray(np.linalg.pinv(self.information, hermitian=True))

    def degrees(self, most: int) -> list[float]:
        """Satterthwaite's, for each coefficient."""
        doubt = self.doubt
        spans = np.diag(self.spread)
        return [_degrees(float(v), float(g @ doubt @ g), most) for v, g in zip(spans, self.gradients.T, strict=True)]


def _reml(model: _Model) -> Table:
    """The variances of the highest restricted likelihood, none below 0; values: scaled to an SD near 1."""
    count = len(model.slices) + 1
    variances = np.full(count, 1 / count)
    now = model.at(variances)
    for _ in range(_MOST_STEPS):
        free = (variances > 0) | (now.rises > 0)
        step = np.zeros(count)
        step[free] = np.linalg.lstsq(now.information[np.ix_(free, free)], now.rises[free], rcond=None)[0]
        size = 1.0
        while True:
            tried = np.maximum(variances + size * step, [0.0] * (count - 1) + [_LEAST_RESIDUAL])
            then = model.at(tried)
            if then.likelihood >= now.likelihood or size < _SHORTEST:
                break
            size /= 2
        gain = then.likelihood - now.likelihood
        if gain > 0:
            variances, now = tried, then
        if gain < _SMALLEST_GAIN:
            break
    return variances


def _inference(model: _Model, names: Sequence[str], variances: Table) -> Fit:
    found, most = model.at(variances), len(model.values) - model.design.shape[1]
    doubt, degrees = found.doubt, [found.degrees(most)]
    for place in range(len(model.slices)):
        raised = variances.copy()
        raised[place] += np.sqrt(max(float(doubt[place, place]), 0.0))
        degrees.append(model.at(raised).degrees(most))
    estimates = [
        _estimate(float(value), float(found.spread[place, place]), min(each[place] for each in degrees))
        for place, value in enumerate(found.coefficients)
    ]
    total = float(variances.sum())
    total_df = _degrees(total, float(doubt.sum()), most)
    slope = estimates[1] if len(estimates) > 1 else None
    return Fit(estimates[0], slope, dict(zip(names, variances.tolist(), strict=True)), total, total_df)


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
