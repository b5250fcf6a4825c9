"""Do the intervals of a study hold what was planted? Many simulated studies, and formulas that are wrong on purpose.

``python -m edge3vt.clinic.coverage OUT.json``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from edge3vt import __version__
from edge3vt.clinic.agreement import Z, agreement
from edge3vt.clinic.cohort import Readings, Truth, simulate
from edge3vt.clinic.mixed import COVERAGE, Interval
from edge3vt.core.clock import wall_label
from edge3vt.core.documents import write_json
from edge3vt.core.errors import ConfigError

STUDIES, SEED = 1_000, 20_260_101
LEAST, MOST = 0.93, 0.97  # of the share of intervals that hold what was planted

# The SDs are our own choice, of the order of log areas drawn by the phantom's annotators.
DESIGNS: dict[str, Truth] = {
    "readers": Truth(101, 76, 4, 0.05, 0.04, 0.05, 0.05, 0.10),
    "ai": Truth(101, 76, 1, 0.05, 0.0, 0.05, 0.0, 0.10),
}


@dataclass(frozen=True, slots=True)
class Share:
    """held: of the studies' intervals of ``what``, the share that holds the planted value. width: their mean width."""

    what: str
    held: float
    width: float

    @property
    def sound(self) -> bool:
        return LEAST <= self.held <= MOST


@dataclass(frozen=True, slots=True)
class Trial:
    """Simulated studies of one design. shares: of the bias, limits and slope; faults: of the bias by wrong formulas."""

    design: str
    truth: Truth
    studies: int
    bias_error: float
    shares: tuple[Share, ...]
    faults: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The trials of every design; simulated, not measured."""

    schema: int
    edge3vt: str
    made: str
    seed: int
    trials: tuple[Trial, ...]

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the coverage record is not known, expected 1; update edge3vt")


def sd_for_se(readings: Readings) -> Interval:
    """A wrong interval of the bias: the SD stands where the standard error belongs."""
    differences = readings.found - readings.true
    half = Z * float(differences.std(ddof=1))
    return float(differences.mean()) - half, float(differences.mean()) + half


def readers_ignored(readings: Readings) -> Interval:
    """A wrong interval of the bias: all readings count as independent, whoever drew them and of whatever picture."""
    differences = readings.found - readings.true
    half = Z * float(differences.std(ddof=1)) / len(differences) ** 0.5
    return float(differences.mean()) - half, float(differences.mean()) + half


FAULTS: Mapping[str, Callable[[Readings], Interval]] = {"SD for SE": sd_for_se, "readers ignored": readers_ignored}


Seen = dict[str, tuple[bool, float]]
"""Whether each interval of one study holds what was planted, and its width."""


def trial(design: str, truth: Truth, studies: int, seed: int, workers: int = 1) -> Trial:
    """Simulate ``studies`` studies of one design, in ``workers`` processes; their number changes nothing."""
    one = partial(study, truth, seed)
    if workers == 1:
        found = [one(number) for number in range(studies)]
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            found = list(pool.map(one, range(studies), chunksize=10))
    shares = {}
    for name in found[0][1]:
        held, width = np.mean([seen[name] for _, seen in found], axis=0)
        shares[name] = Share(name, round(float(held), 6), round(float(width), 6))
    faults = tuple(shares.pop(name) for name in FAULTS)
    error = float(np.mean([bias for bias, _ in found])) - truth.bias
    return Trial(design, truth, studies, round(error, 6), tuple(shares.values()), faults)


def study(truth: Truth, seed: int, number: int) -> tuple[float, Seen]:
    """One simulated study: its bias, and what its intervals hold."""
    one = simulate(truth, np.random.default_rng([seed, number]))
    found = agreement(one.found, one.true, one.readers, one.patients, one.pictures)
    assert found.slope is not None
    intervals: dict[str, tuple[float, Interval]] = {
        "bias": (truth.bias, found.bias.interval),
        "lower limit": (truth.bias - Z * truth.sd, found.lower_interval),
        "upper limit": (truth.bias + Z * truth.sd, found.upper_interval),
        "slope": (truth.slope, found.slope.interval),
    }
    intervals |= {name: (truth.bias, formula(one)) for name, formula in FAULTS.items()}
    seen = {name: (low <= wanted <= high, high - low) for name, (wanted, (low, high)) in intervals.items()}
    return found.bias.value, seen


def main(
    out: Annotated[Path, typer.Argument(help="The record to write.")],
    studies: Annotated[int, typer.Option(help="Simulated studies of each design.", min=1)] = STUDIES,
    seed: Annotated[int, typer.Option(min=0)] = SEED,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
) -> None:
    """Simulate studies of each design; exit code 1 where an interval of the bias is too narrow or too wide."""
    trials = []
    for design, truth in DESIGNS.items():
        trials.append(trial(design, truth, studies, seed, workers))
        for share in (*trials[-1].shares, *trials[-1].faults):
            print(
                f"{design}: {100 * COVERAGE:.0f} % interval, {share.what}: holds it in {100 * share.held:.1f} %",
                flush=True,
            )
    write_json(Coverage(1, __version__, wall_label(), seed, tuple(trials)), out)
    raise typer.Exit(0 if all(one.shares[0].sound for one in trials) else 1)


if __name__ == "__main__":
    typer.run(main)
