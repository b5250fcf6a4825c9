"""What a scenario demands of its figures, as a document and as flags say it, and the verdict on each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edge3vt.bench.quantiles import PERCENTILES, needed
from edge3vt.core.documents import suggestion
from edge3vt.core.errors import ConfigError

STAGES = ("age", "prepare", "infer", "mask", "compose", "sink", "total", "delivered")
SPREADS = (*STAGES, "runner", "wake", "engine", "opening")
"""runner: what is no stage's. wake: of the source. engine: alone, its latency. opening: of the lane."""
RATES = ("miss_rate", "all_miss_rate", "own_masks")
"""In percent; miss_rate without the machine's stalls, all_miss_rate with them."""
COUNTS = ("streak",)
AT = (*PERCENTILES, "max")


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a figure: "total.p99" in ms, "miss_rate" in percent, "streak" in frames. times: ``most`` is a multiple
    of that other figure, as of "engine.p50"."""

    figure: str
    most: float | None = None
    least: float | None = None
    times: str = ""

    def __post_init__(self) -> None:
        for name in (self.figure, *([self.times] if self.times else [])):
            _check(name)
        if (self.most is None) == (self.least is None):
            raise ConfigError(f"the limit on {self.figure} has to say either most or least")


@dataclass(frozen=True, slots=True)
class Judged:
    """A limit and what was found; found is None where there was too little to tell, which fails. why: of a failure."""

    figure: str
    found: float | None
    limit: float | None
    least: bool
    unit: str
    passed: bool
    why: str = ""


def budgets(text: str) -> tuple[Limit, ...]:
    """``p99=16.7ms,max=33ms,infer.p50=4ms`` as limits; without a stage it is the total. Raises ConfigError."""
    found = []
    for part in text.split(","):
        matched = re.fullmatch(r"\s*([a-z0-9.]+)\s*=\s*(\d+(?:\.\d+)?)\s*ms\s*", part)
        if matched is None:
            raise ConfigError(f"--budget is '{part}', expected a percentile and milliseconds, as in p99=16.7ms")
        name = matched[1] if matched[1] not in AT else f"total.{matched[1]}"
        if name in RATES + COUNTS:
            raise ConfigError(f"--budget is '{part}', but {name} is no time; expected one as in p99=16.7ms")
        found.append(Limit(name, most=float(matched[2])))
    return tuple(found)


def share(text: str) -> float:
    """``0.1%`` as percent. Raises ConfigError."""
    matched = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    if matched is None or float(matched[1]) > 100:
        raise ConfigError(f"--max-miss-rate is '{text}', expected percent, as in 0.1%")
    return float(matched[1])


def judge(limits: Iterable[Limit], figure: Callable[[str], float | None]) -> tuple[Judged, ...]:
    """The verdict on each limit; ``figure`` gives a figure by name, None where there is none."""
    return tuple(_judged(limit, figure) for limit in limits)


def line(judged: Judged) -> str:
    """One line of the verdict."""
    bound = "unknown" if judged.limit is None else f"{judged.limit:.4g} {judged.unit}".strip()
    found = "unknown" if judged.found is None else f"{judged.found:.4g} {judged.unit}".strip()
    word, beside = "pass" if judged.passed else "FAIL", "at least" if judged.least else "at most"
    return f"{word}  {judged.figure}: {found}, {beside} {bound}" + (f" ({judged.why})" if judged.why else "")


def _judged(limit: Limit, figure: Callable[[str], float | None]) -> Judged:
    bound = limit.most if limit.most is not None else limit.least
    assert bound is not None, "a limit has one"
    found, least, why = figure(limit.figure), limit.least is not None, ""
    unit = "ms" if "." in limit.figure else "%" if limit.figure in RATES else "frames"
    if limit.times:
        other = figure(limit.times)
        why = f"{bound:g} x {limit.times}"
        if other is None:
            return Judged(limit.figure, found, None, least, unit, False, f"{limit.times} is not known")
        bound *= other
    if found is None:
        _, _, at = limit.figure.partition(".")
        why = f"needs {needed(at)} samples" if at in PERCENTILES else "nothing was measured"
    passed = found is not None and (found >= bound if least else found <= bound)
    return Judged(limit.figure, found, bound, least, unit, passed, why)


def _check(name: str) -> None:
    stage, dot, at = name.partition(".")
    if not dot:
        if name not in RATES + COUNTS:
            raise ConfigError(f"'{name}' is no figure{suggestion(name, [*RATES, *COUNTS, 'total.p99'])}")
        return
    if stage not in SPREADS:
        raise ConfigError(f"'{name}' is no figure{suggestion(stage, SPREADS)}")
    if at not in AT:
        raise ConfigError(f"'{name}' is no figure{suggestion(at, AT)}")
