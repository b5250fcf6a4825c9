"""What distillation brings, against how many pictures are labelled: the figure of the ablation.

    python -m edge3vt.bench.gain benchmarks/results/learning benchmarks/results/gain

writes gain.json and gain.png, of the students alone and taught that ``benchmarks/learning.sh labels`` and
``phantom`` left in the folders of the first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge3vt.bench.comparison import compare
from edge3vt.bench.record import Record, read_record
from edge3vt.bench.statistics import Interval
from edge3vt.core.documents import whole_file, write_json
from edge3vt.core.errors import BackendMissingError, ConfigError, Edge3vtError

ALONE, TAUGHT = "student", "student-distilled"
PLACES = ("labels-*", "phantom")
"""Folders of records, one for each number of labelled pictures."""


@dataclass(frozen=True, slots=True)
class Point:
    """Of one number of labelled pictures, those of the validation set not counted. Dice: means over the structures.

    gain: taught less alone, on the same cases and seeds; interval: 95 %, by patient.
    """

    labelled: int
    seeds: tuple[int, ...]
    alone: float
    taught: float
    gain: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Gain:
    """The points, fewest labels first."""

    schema: int
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the gain is not known, expected 1; update edge3vt")


def point(labelled: int, alone: Sequence[Record], taught: Sequence[Record]) -> Point:
    """The gain of seeds that both were trained with. Raises ConfigError where records cannot be compared."""
    both = {record.seed for record in alone} & {record.seed for record in taught}
    used = [record for record in (*alone, *taught) if record.seed in both]
    if not used:
        raise ConfigError(f"with {labelled} labels no seed is in both {ALONE} and {TAUGHT}; train both with one")
    compared = compare(used, alone[0].model.name)
    one, other = compared.rows
    pair = next((pair for pair in compared.paired if pair.measure == "dice"), None)
    if pair is None or one.dice is None or other.dice is None:
        raise ConfigError(f"with {labelled} labels no two patients hold a structure; evaluate on a larger set")
    return Point(labelled, one.seeds, one.dice, other.dice, pair.difference, pair.interval)


def gain(folder: Path) -> Gain:
    """Of the records in ``folder``. Raises ConfigError where there is none."""
    points = []
    for place in sorted(path for pattern in PLACES for path in folder.glob(pattern)):
        records = {name: _records(place, name) for name in (ALONE, TAUGHT)}
        if all(records.values()):
            points.append(point(_labelled(place), records[ALONE], records[TAUGHT]))
    if not points:
        raise ConfigError(f"{folder}: no records of {ALONE} and {TAUGHT} in {', '.join(PLACES)}; train them first")
    return Gain(1, tuple(sorted(points, key=lambda each: each.labelled)))


def draw(found: Gain, out: Path) -> None:
    """A PNG: Dice of both above, the gain with its interval below. Raises BackendMissingError."""
    try:
        from matplotlib.figure import Figure  # slow to import
    except ImportError as error:
        raise BackendMissingError(
            f"{out}: the plot needs matplotlib ({error}); pip install 'edge3vt[report]'"
        ) from error
    labelled = [each.labelled for each in found.points]
    figure = Figure(figsize=(6, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(labelled, [each.alone for each in found.points], "o-", color="0.4", label="student alone")
    upper.plot(labelled, [each.taught for each in found.points], "s-", color="C0", label="student, distilled")
    upper.set(ylabel="mean Dice", xscale="log")
    upper.legend()
    points = [100 * each.gain for each in found.points]
    spans = [[100 * abs(each.gain - each.interval[side]) for each in found.points] for side in (0, 1)]
    lower.errorbar(labelled, points, spans, fmt="s-", color="C0", capsize=4)
    lower.axhline(0, color="0.4", linewidth=0.8)
    lower.set(ylabel="gain, points of Dice, 95 % interval", xlabel="labelled pictures")
    lower.set_xticks(labelled, [str(number) for number in labelled], minor=False)
    lower.minorticks_off()
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    with whole_file(out) as partial:
        figure.savefig(partial, format="png", dpi=120)


def _records(place: Path, name: str) -> list[Record]:
    return [read_record(path)[0] for path in sorted(place.glob(f"{name}-[0-9]*.json"))]


def _labelled(place: Path) -> int:
    """How many labelled pictures the trainings had."""
    numbers = set()
    for name in (ALONE, TAUGHT):
        for path in place.glob(f"trainings/{name}-[0-9]*.json"):
            numbers.add(int(json.loads(path.read_text(encoding="utf-8"))["pictures"]["labelled"]))
    if len(numbers) != 1:
        raise ConfigError(f"{place}/trainings: expected one number of labelled pictures, found {sorted(numbers)}")
    return numbers.pop()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m edge3vt.bench.gain", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="benchmarks/results/learning")
    parser.add_argument("out", type=Path, help="the folder of the figure and its numbers")
    asked = parser.parse_args(arguments)
    found = gain(asked.folder)
    write_json(found, asked.out / "gain.json")
    draw(found, asked.out / "gain.png")
    for each in found.points:
        low, high = (100 * bound for bound in each.interval)
        print(f"{each.labelled:6} labels: {100 * each.gain:+.1f} points of Dice ({low:+.1f} to {high:+.1f})")


if __name__ == "__main__":
    try:
        main()
    except Edge3vtError as error:
        print(f"gain: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
