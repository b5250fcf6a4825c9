"""Sensitivity: what each layer in INT8 costs each structure, and the fewest layers to keep in floats for a bound.

A layer is judged alone: it is quantised and all others are not. The costliest are then kept one after another until
the bounds hold, and those that turn out not to be needed are given back, the cheapest first. That finds a set from
which no layer can be left out, which need not be the smallest there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge3vt.calibrate.judge import VIEW_SCORE
from edge3vt.calibrate.trials import OutOfTime, Scores, Trials
from edge3vt.core.errors import ArtifactError, ConfigError


@dataclass(frozen=True, slots=True)
class LayerCost:
    """costs: what this layer alone costs each structure, in score; below 0 where it gains by chance.

    worst: the largest of them; what the view's logit moves counts as much, at its bound, as a structure at its own.
    """

    layer: str
    costs: Scores
    worst: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Scores with every layer in floats and with none, and the layers by cost, the costliest first.

    max_view: the bound on the view's logit, None where that was not bound. keep_float: the layers to keep, None while
    no set is known that holds the bounds. kept_scores: the scores with them.
    finished: False where the time ended the search; ranking, keep_float are then what was known by then.
    """

    schema: int
    max_drop: float
    max_view: float | None
    float_scores: Scores | None
    int8_scores: Scores | None
    ranking: tuple[LayerCost, ...]
    keep_float: tuple[str, ...] | None
    kept_scores: Scores | None
    finished: bool


def drop(before: Mapping[str, float], after: Mapping[str, float]) -> Scores:
    """What each structure loses; raises ArtifactError where the two do not score the same structures."""
    if before.keys() != after.keys() or not before:
        raise ArtifactError(
            f"one model scores {', '.join(sorted(after)) or 'nothing'}, the other {', '.join(sorted(before))}; "
            "judge them on pictures that show every structure"
        )
    return {structure: before[structure] - after[structure] for structure in before}


def search(trials: Trials, layers: Sequence[str], max_drop: float, max_view: float | None = None) -> Sensitivity:
    """Rank ``layers`` and find which to keep in floats so that no structure loses more than ``max_drop``.

    max_view: and the judge's ``VIEW_SCORE`` no more than this; None: it is not judged. Bounds are against all layers in
    floats. keep_float is empty where INT8 holds them as it is.
    """
    if not layers or not 0 <= max_drop < 1:
        raise ConfigError(
            f"{len(layers)} layers and a drop of {max_drop}; expected layers, and a drop from 0 to below 1"
        )
    if max_view is not None and max_view <= 0:
        raise ConfigError(f"the view's logit may differ by {max_view}; expected more than 0")
    found = _Search(trials, tuple(layers), max_drop, max_view)
    try:
        found.run()
    except OutOfTime:
        return found.result(finished=False)
    return found.result(finished=True)


class _Search:
    def __init__(self, trials: Trials, layers: tuple[str, ...], max_drop: float, max_view: float | None) -> None:
        self._trials, self._layers, self._max_drop, self._max_view = trials, layers, max_drop, max_view
        self._float: Scores | None = None
        self._int8: Scores | None = None
        self._ranking: list[LayerCost] = []
        self._kept: tuple[str, ...] | None = None

    def run(self) -> None:
        self._float = self._trials.scores(self._layers)
        self._int8 = self._trials.scores(())
        for layer in self._layers:
            alone = self._trials.scores([other for other in self._layers if other != layer])
            costs = drop(self._float, alone)
            self._ranking.append(LayerCost(layer, costs, self._worst(costs)))
            self._ranking.sort(key=lambda cost: -cost.worst)  # stable: of equals, the earlier layer first
        order = [cost.layer for cost in self._ranking]
        count = next(count for count in range(len(order) + 1) if self._holds(order[:count]))
        self._kept = tuple(order[:count])
        for layer in reversed(order[:count]):
            rest = tuple(other for other in self._kept if other != layer)
            if self._holds(rest):
                self._kept = rest

    def _holds(self, keep_float: Sequence[str]) -> bool:
        assert self._float is not None
        lost = drop(self._float, self._trials.scores(keep_float))
        view = lost.pop(VIEW_SCORE, 0.0)
        return max(lost.values()) <= self._max_drop and (self._max_view is None or view <= self._max_view)

    def _worst(self, costs: Scores) -> float:
        weight = 0.0 if self._max_view is None else self._max_drop / self._max_view
        return max(cost * weight if name == VIEW_SCORE else cost for name, cost in costs.items())

    def result(self, *, finished: bool) -> Sensitivity:
        return Sensitivity(
            schema=1,
            max_drop=self._max_drop,
            max_view=self._max_view,
            float_scores=self._float,
            int8_scores=self._int8,
            ranking=tuple(self._ranking),
            keep_float=self._kept,
            kept_scores=None if self._kept is None else self._trials.scores(self._kept),
            finished=finished,
        )
