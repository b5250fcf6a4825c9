"""A model on a set: every case's numbers, and what they come to. A frozen document, JSON beside its worst cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge3vt import __version__
from edge3vt.bench.accuracy import TOLERANCE_MM, TOLERANCE_PX, Case, Truth, measure, scored, truth_of
from edge3vt.bench.flicker import CineFlicker, FlickerWatch
from edge3vt.bench.prediction import Mode, Sight
from edge3vt.bench.summary import Summary, summarise, tabulate
from edge3vt.core.clock import wall_label
from edge3vt.core.documents import read_json, to_json, write_bytes
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame
from edge3vt.data.dataset import Dataset, Item
from edge3vt.data.inspection import region_of

RECORD = "record.json"
WORST = "worst"  # the folder beside it
PICTURED = 12  # cases, the worst ones


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What was judged. params_m, gmac: of a picture, every pass counted, the locator's too; None where not known."""

    name: str
    model_id: str
    sha256: str
    precision: str
    params_m: float | None
    gmac: float | None
    locator_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class SetFacts:
    """On what. digest: SHA-256 of the manifest."""

    name: str
    digest: str
    split: str
    truth: Truth


@dataclass(frozen=True, slots=True)
class Record:
    """unit: of hd95, "mm" where every picture has a scale, else "px"; tolerance: of nsd, in it. seed: of the training.

    scored: the structures that means are over. worst: ids of the cases that are pictured, the worst first.
    """

    schema: int
    edge3vt: str
    made: str
    model: ModelFacts
    set: SetFacts
    mode: Mode
    size: int
    seed: int | None
    classes: tuple[str, ...]
    scored: tuple[str, ...]
    unit: Literal["mm", "px"]
    tolerance: float
    summary: Summary
    worst: tuple[str, ...]
    cases: tuple[Case, ...]
    cines: tuple[CineFlicker, ...]

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the record is not known, expected 1; update edge3vt")
        for case in self.cases:
            if set(case.structures) != set(self.classes[1:]):
                raise ConfigError(f"the case {case.id} has other structures than the classes say; evaluate again")


def chosen(dataset: Dataset, split: str, mode: Mode, limit: int | None = None) -> list[Item]:
    """The items to judge: those of a split, or "all", cines in order. Raises DataError where they cannot be judged."""
    items = [item for item in dataset.items if split == "all" or item.split == split]
    items.sort(key=lambda item: (item.cine is not None, item.patient, item.cine or "", item.frame or 0, item.id))
    items = items[:limit]
    if not items:
        held = sorted({item.split or "none" for item in dataset.items})
        raise DataError(
            f"{dataset.folder}: no picture in the split '{split}' (there are: {', '.join(held)}); deal them out with "
            "edge3vt data split, or take --split all"
        )
    bare = [item for item in items if item.mask_sha256 is None]
    if loose := [item for item in bare if item.cine is None or mode == "truth"] or (bare if bare == items else []):
        raise DataError(
            f"{dataset.folder}: {len(loose)} of {len(items)} pictures of the split '{split}' are not labelled, the "
            f"first is {loose[0].id}; label them, or choose another split"
        )
    return items


def frame_of(dataset: Dataset, item: Item) -> Frame:
    """The item's picture as a frame. Raises DataError."""
    pixels = dataset.picture(item)
    if pixels.shape != (item.height, item.width):
        raise DataError(
            f"{dataset.folder}: the picture of {item.id} is {pixels.shape[1]}x{pixels.shape[0]} px, expected "
            f"{item.width}x{item.height}; audit the set"
        )
    return Frame(0, 0, pixels, region=region_of(item), mm_per_px=item.mm_per_px)


def evaluate(
    sight: Sight,
    dataset: Dataset,
    items: Sequence[Item],
    model: ModelFacts,
    of: SetFacts,
    seed: int | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Record:
    """Judge a model on these items, against the truth that ``of`` names. Raises DataError, EngineError."""
    in_mm = all(item.mm_per_px for item in items)
    watch, cases = FlickerWatch(dataset.classes), []
    for done, item in enumerate(items, start=1):
        frame = frame_of(dataset, item)
        true = None if item.mask_sha256 is None else truth_of(dataset, item, of.truth)
        found = sight.mask(frame, true)
        watch.see(item, found, true)
        if true is not None:
            whole, scale = sight.whole(frame), item.mm_per_px if in_mm else None
            cases.append(measure(item, true, found, frame.bounds, dataset.classes, scale, whole.size / whole.side))
        told(done, len(items))
    names, cines = scored(dataset.classes), watch.cines()
    return Record(
        schema=1,
        edge3vt=__version__,
        made=wall_label(),
        model=model,
        set=of,
        mode=sight.mode,
        size=sight.size,
        seed=seed,
        classes=dataset.classes,
        scored=names,
        unit="mm" if in_mm else "px",
        tolerance=TOLERANCE_MM if in_mm else TOLERANCE_PX,
        summary=summarise(tabulate(cases, dataset.classes[1:]), names, cines),
        worst=tuple(case.id for case in _worst(cases, names)[:PICTURED]),
        cases=tuple(cases),
        cines=cines,
    )


def own_dice(case: Case, names: Sequence[str]) -> float | None:
    """The mean Dice of those of these structures that the case holds."""
    values = [score for name in names if (score := case.structures[name].dice) is not None]
    return sum(values) / len(values) if values else None


def write_record(record: Record, folder: Path) -> None:
    """Write folder/record.json, whole or not at all."""
    write_bytes(folder / RECORD, to_json(record, indent=None).encode())


def read_record(path: Path) -> tuple[Record, Path]:
    """The record in a folder or file, and its folder. Raises ConfigError."""
    file = path / RECORD if path.is_dir() else path
    return read_json(Record, file), file.parent


def _worst(cases: Sequence[Case], names: Sequence[str]) -> list[Case]:
    judged = [(own, case.id, case) for case in cases if (own := own_dice(case, names)) is not None]
    return [case for _, _, case in sorted(judged, key=lambda one: one[:2])]
