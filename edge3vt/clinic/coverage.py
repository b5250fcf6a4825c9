"""Do the intervals of a study hold what was planted? Many simulated studies, and formulas that are wrong on purpose.

``python -m edge3vt.clinic.coverage OUT.json``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def trial(design: str, truth: Truth, studies: int, seed: int) -> Trial:
    """Simulate ``studies`` studies of one design."""
    wanted = {"bias": truth.bias, "lower limit": truth.bias - Z * truth.sd, "upper limit": truth.bias + Z * truth.sd}
    wanted["slope"] = truth.slope
    held: dict[str, list[tuple[bool, float]]] = {name: [] for name in (*wanted, *FAULTS)}
    biases = []
    for number in range(studies):
        one = simulate(truth, np.random.default_rng([seed, number]))
        found = agreement(one.found, one.true, one.readers, one.patients, one.pictures)
        assert found.slope is not None
        biases.append(found.bias.value)
        intervals = {
            "bias": found.bias.interval,
            "lower limit": found.lower_interval,
            "upper limit": found.upper_interval,
            "slope": found.slope.interval,
        }
        for name, (low, high) in intervals.items():
            held[name].append((low <= wanted[name] <= high, high - low))
        for name, formula in FAULTS.items():
            low, high = formula(one)
            held[name].append((low <= truth.bias <= high, high - low))
    shares = {name: Share(name, *(round(float(v), 6) for v in np.mean(each, axis=0))) for name, each in held.items()}
    return Trial(
        design,
        truth,
        studies,
        round(float(np.mean(biases)) - truth.bias, 6),
        tuple(shares[name] for name in wanted),
        tuple(shares[name] for name in FAULTS),
    )


def main(
    out: Annotated[Path, typer.Argument(help="The record to write.")],
    studies: Annotated[int, typer.Option(help="Simulated studies of each design.", min=1)] = STUDIES,
    seed: Annotated[int, typer.Option(min=0)] = SEED,
) -> None:
    """Simulate studies of each design; exit code 1 where an interval of the bias is too narrow or too wide."""
    trials = []
    for design, truth in DESIGNS.items():
        trials.append(trial(design, truth, studies, seed))
        for share in (*trials[-1].shares, *trials[-1].faults):
            print(f"{design}: {100 * COVERAGE:.0f} % interval, {share.what}: holds it in {100 * share.held:.1f} %")
    write_json(Coverage(1, __version__, wall_label(), seed, tuple(trials)), out)
    raise typer.Exit(0 if all(one.shares[0].sound for one in trials) else 1)


if __name__ == "__main__":
    typer.run(main)
