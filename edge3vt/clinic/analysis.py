"""A study's statistics. Pictures with planted contours are left out of all but the count of who followed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edge3vt import __version__
from edge3vt.bench.statistics import interval as bootstrap
from edge3vt.clinic.agreement import agreement, holm, icc
from edge3vt.clinic.mixed import Estimate, fit
from edge3vt.clinic.results import ARMS, Arm, Result
from edge3vt.clinic.study import Key, Study
from edge3vt.clinic.summary import MEAN, SCORES, Accuracy, Comparison, Following, Measured, Summary, Time
from edge3vt.core.clock import wall_label

PAIRS: tuple[tuple[Arm, Arm], ...] = (("assisted", "reader"), ("ai", "reader"), ("assisted", "ai"))
LEAST = 5  # readings for an agreement


def summarise(
    study: Study,
    key: Key,
    results: Sequence[Result],
    decided: Mapping[str, Sequence[str]],
    lacking: Sequence[str] = (),
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """The statistics of a study's results."""
    sound = [result for result in results if not result.planted]
    names = sorted({name for result in sound for name in result.measures})
    total = len(ARMS) * (len(study.structures) + 1 + len(study.structures) + len(names)) + 1
    steps = iter(range(1, total + 1))

    def step() -> None:
        told(next(steps, total), total)

    accuracy, measured = [], []
    for arm in ARMS:
        own = [result for result in sound if result.arm == arm]
        for name in (MEAN, *study.structures):
            accuracy.append(_accuracy(arm, name, own))
            step()
        for name in study.structures:
            measured.append(_area(arm, name, own))
            step()
        for name in names:
            measured.append(_measure(arm, name, own))
            step()
    comparisons = _comparisons(sound)
    step()
    return Summary(
        schema=1,
        edge3vt=__version__,
        made=wall_label(),
        study=study.id,
        title=study.title,
        ai=key.ai,
        set=key.set,
        cases=len(study.cases),
        patients=len({origin.patient for origin in key.origins}),
        planted=sum(bool(origin.planted) for origin in key.origins),
        readers=study.of("reader"),
        structures=study.structures,
        decided=sum(len(names) for names in decided.values()),
        decisions=len(study.cases) * len(study.structures),
        lacking=tuple(lacking),
        accuracy=tuple(accuracy),
        measured=tuple(one for one in measured if one is not None),
        comparisons=tuple(comparisons),
        time=_time(sound),
        following=_following(results),
    )


def _factors(results: Sequence[Result]) -> dict[str, list[str]]:
    return {
        "reader": [result.reader for result in results],
        "patient": [result.patient for result in results],
        "picture": [result.case for result in results],
    }


def _estimate(values: Sequence[float | None], results: Sequence[Result]) -> Estimate | None:
    """The mean over drawings, its interval by reader, patient and picture."""
    counted = [(value, result) for value, result in zip(values, results, strict=True) if value is not None]
    if len(counted) < 2:
        return None
    return fit(np.array([value for value, _ in counted]), _factors([result for _, result in counted])).mean


def _accuracy(arm: Arm, name: str, results: Sequence[Result]) -> Accuracy:
    if name == MEAN:
        parts = [_estimate([result.mean(score) for result in results], results) for score in SCORES]  # type: ignore[arg-type]
        scores = [score for result in results for score in result.scores.values()]
    else:
        scores = [result.scores[name] for result in results]
        parts = [_estimate([getattr(each, score) for each in scores], results) for score in SCORES]
    missed = sum(score.true_px > 0 and not score.found_px for score in scores)
    extra = sum(score.found_px > 0 and not score.true_px for score in scores)
    return Accuracy(arm, name, len(results), parts[0], parts[1], parts[2], missed, extra)


def _area(arm: Arm, name: str, results: Sequence[Result]) -> Measured | None:
    """On the log scale, where a structure's relative error does not depend on its size."""
    there = [r for r in results if r.scores[name].found_px and r.scores[name].true_px]
    found = [float(np.log(result.scores[name].found_px)) for result in there]
    true = [float(np.log(result.scores[name].true_px)) for result in there]
    return _agreement(arm, f"{name}_area", "log", "", there, found, true, len(results) - len(there))


def _measure(arm: Arm, name: str, results: Sequence[Result]) -> Measured | None:
    there, found, true = [], [], []
    for result in results:
        one, other = result.measures[name]
        if one is not None and other is not None:
            there.append(result)
            found.append(one)
            true.append(other)
    unit = "" if name == "pa_ao" else "mm"
    return _agreement(arm, name, "linear", unit, there, found, true, len(results) - len(there))


def _agreement(
    arm: Arm,
    measure: str,
    scale: str,
    unit: str,
    results: Sequence[Result],
    found: Sequence[float],
    true: Sequence[float],
    without: int,
) -> Measured | None:
    if len(results) < LEAST:
        return None
    levels = _factors(results)
    whole = agreement(np.array(found), np.array(true), levels["reader"], levels["patient"], levels["picture"])
    cases, readers = sorted(set(levels["picture"])), sorted(set(levels["reader"]))
    table = np.full((len(cases), len(readers)), np.nan)
    for value, result in zip(found, results, strict=True):
        table[cases.index(result.case), readers.index(result.reader)] = value
    return Measured(arm, measure, scale, unit, without, whole, icc(table))


def _comparisons(results: Sequence[Result]) -> list[Comparison]:
    """Every pair of arms in every score, paired by picture and reader."""
    found: list[tuple[Arm, Arm, str, int, Estimate]] = []
    for one, other in PAIRS:
        pairs = _paired(results, one, other)
        for score in SCORES:
            both = [
                (a - b, by)
                for mine, theirs, by in pairs
                if (a := mine.mean(score)) is not None and (b := theirs.mean(score)) is not None  # type: ignore[arg-type]
            ]
            if len(both) >= LEAST:
                differences = np.array([difference for difference, _ in both])
                found.append((one, other, score, len(both), fit(differences, _factors([by for _, by in both])).mean))
    adjusted = holm([estimate.p for *_, estimate in found])
    return [Comparison(*each, p) for each, p in zip(found, adjusted, strict=True)]


def _paired(results: Sequence[Result], one: Arm, other: Arm) -> list[tuple[Result, Result, Result]]:
    """(of one arm, of the other, whose reader counts) for each picture and reader that both have; the AI has none."""
    by_key = {(result.arm, result.reader, result.case): result for result in results}
    pairs = []
    for result in results:
        if result.arm == (one if one != "ai" else other):
            mine = by_key.get((one, "" if one == "ai" else result.reader, result.case))
            theirs = by_key.get((other, "" if other == "ai" else result.reader, result.case))
            if mine is not None and theirs is not None:
                pairs.append((mine, theirs, result))
    return pairs


def _time(results: Sequence[Result]) -> Time | None:
    timed = [result for result in results if result.seconds]
    median: dict[str, float] = {
        arm: round(float(np.median(seconds)), 1)
        for arm in ARMS
        if (seconds := [result.seconds for result in timed if result.arm == arm and result.seconds])
    }
    if not median:
        return None
    pairs = _paired(timed, "assisted", "reader")
    ratio = None
    if len(pairs) >= LEAST:
        logs = np.array([float(np.log(a.seconds or 1) - np.log(b.seconds or 1)) for a, b, _ in pairs])
        ratio = fit(logs, _factors([result for *_, result in pairs])).mean
    return Time(median, ratio, len(pairs))


def _following(results: Sequence[Result]) -> Following | None:
    from scipy import stats

    shown = [result for result in results if result.arm == "assisted" and result.followed is not None]
    alone = [result for result in results if result.arm == "reader" and result.followed is not None]
    if not shown:
        return None
    followed = sum(bool(result.followed) for result in shown)
    pictures = len({result.case for result in shown})
    if 0 < followed < len(shown):
        bounds = bootstrap(np.array([[float(bool(r.followed))] for r in shown]), [r.patient for r in shown])
    else:
        exact = stats.binomtest(pictures if followed else 0, pictures).proportion_ci(0.95, "exact")
        bounds = float(exact.low), float(exact.high)
    readers = sorted({result.reader for result in shown})
    by_reader = {r: float(np.mean([bool(one.followed) for one in shown if one.reader == r])) for r in readers}
    return Following(
        pictures,
        len(shown),
        followed,
        followed / len(shown),
        bounds,
        len(alone),
        sum(bool(result.followed) for result in alone),
        by_reader,
    )
