"""What FP16 and each flavour of INT8 do to the masks, held against FP32 and the truth; ONNX Runtime is the referee.

``python -m edge3vt.bench.referee MODEL.onnx TABLE.json SET OUT`` writes OUT/referee.json and, under OUT/worst, the
cases that lost most. The network sees the whole region. Measures are those of docs/accuracy.md, on the picture's own
pixels. ``--keep-float tensorrt-fp16=smooth1,stem`` keeps layers of a flavour in floats. Exit code 1 for a missed limit.

alike          mean Dice between the mask of FP32 and that of the other, over the cases whose true structure is at least
               12 px of the network's input wide; each structure has to reach 0.97
newly missed   share of the true structures that FP32 finds and the other does not; at most 0.5 % of all
loss           FP32's mean Dice to the truth less the other's, in points (Dice x 100): at most 0.3 as a mean over
               the structures, and 1.0 for each structure over the cases where it is small (below 12 px)

The flavour for the CPU runs as ONNX Runtime fuses it, the others in floats, rounded where the pairs stand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from edge3vt import __version__
from edge3vt.bench.accuracy import Case, measure, scored, truth_of
from edge3vt.bench.holding import Candidate, Held, candidate
from edge3vt.bench.record import SetFacts, chosen, frame_of, own_dice
from edge3vt.bench.worst import pictured
from edge3vt.calibrate.flavour import Flavour
from edge3vt.calibrate.half import halved
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.reference import ReferenceSession
from edge3vt.calibrate.table import CalibrationTable
from edge3vt.core.clock import wall_label
from edge3vt.core.digest import sha256_bytes, sha256_file
from edge3vt.core.documents import read_json, suggestion, write_json
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.metrics import confusion, dice
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import MANIFEST, Dataset, Item, read_dataset
from edge3vt.engine.model import Model, read_model
from edge3vt.engine.onnxruntime import version
from edge3vt.picture.crop import acquire, cut
from edge3vt.picture.images import write_image
from edge3vt.picture.mask import make_mask, place

RECORD, WORST = "referee.json", "worst"
PICTURED = 3  # cases of each candidate
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)


@dataclass(frozen=True, slots=True)
class Referee:
    """scored: the structures that limits and means are over."""

    schema: int
    edge3vt: str
    made: str
    runtime: str
    model: str
    model_sha256: str
    table_sha256: str
    set: SetFacts
    size: int
    cases: int
    scored: tuple[str, ...]
    passed: bool
    candidates: tuple[Candidate, ...]

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the referee's record is not known, expected 1; update edge3vt")


class Eye:
    """A model, and what it makes of crops."""

    def __init__(self, model_bytes: bytes, model: Model, *, fused: bool = False) -> None:
        self.session = ReferenceSession(model_bytes, model.spec, fused=fused)
        self._logits = np.zeros(model.spec.logits_shape, np.float32)
        self._view = np.zeros((1, 1), np.float32)

    def sees(self, frame: Frame, crop: Crop) -> tuple[Mask, float | None]:
        """The (H, W) mask of the frame, and the view's logit where the model has one."""
        pixels = np.zeros((1, 1, crop.size, crop.size), np.uint8)
        cut(frame, crop, pixels[0, 0])
        self.session.run(pixels, self._logits, self._view)
        mask = place(make_mask(self._logits, self.session.spec.stride)[0], crop, (frame.height, frame.width))
        return mask, float(self._view[0, 0]) if self.session.has_view else None


def candidates(
    model: Model, table: CalibrationTable, keep_float: Mapping[Flavour, Sequence[str]]
) -> dict[str, tuple[bytes, tuple[str, ...]]]:
    """FP16 alone, and every flavour: the ONNX file of each, and what it keeps in floats."""
    made: dict[str, tuple[bytes, tuple[str, ...]]] = {"fp16": (halved(model.data), ())}
    for flavour in FLAVOURS:
        kept = tuple(keep_float.get(flavour, ()))
        made[flavour] = (insert(model.data, table, flavour, kept), kept)
    return made


def judge(
    eyes: Mapping[str, Eye],
    dataset: Dataset,
    items: Sequence[Item],
    told: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Held]:
    """Every eye on every item; that of "fp32" is what the others are held against. Raises DataError, EngineError."""
    held = {name: Held() for name in eyes}
    in_mm, classes = all(item.mm_per_px for item in items), dataset.classes
    for done, item in enumerate(items, start=1):
        frame, true = frame_of(dataset, item), truth_of(dataset, item, "drawn")
        crop = acquire(frame, eyes["fp32"].session.spec.width)
        seen = {name: eye.sees(frame, crop) for name, eye in eyes.items()}
        exact, logit = seen["fp32"]
        for name, (mask, own) in seen.items():
            scale = item.mm_per_px if in_mm else None
            case = measure(item, true, mask, frame.bounds, classes, scale, crop.size / crop.side)
            alike = dice(confusion(exact, mask, len(classes)))[1:]
            held[name].add(case, alike, None if logit is None or own is None else abs(own - logit))
        told(done, len(items))
    return held


def referee(
    model: Model,
    table: CalibrationTable,
    dataset: Dataset,
    split: str,
    keep_float: Mapping[Flavour, Sequence[str]],
    told: Callable[[int, int], None] = lambda done, total: None,
    limit: int | None = None,
) -> tuple[Referee, dict[str, Held], dict[str, Eye]]:
    """The record, and what it was made of."""
    if model.spec.classes != dataset.classes:
        raise ConfigError(f"{model.spec.model_id} and {dataset.folder} have different classes; take a set of its own")
    items = chosen(dataset, split, "whole", limit)
    made = candidates(model, table, keep_float)
    eyes = {"fp32": Eye(model.data, model)}
    eyes |= {name: Eye(data, model, fused=name == "cpu") for name, (data, _) in made.items()}
    held = judge(eyes, dataset, items, told)
    names = scored(dataset.classes)
    found = tuple(
        candidate(name, sha256_bytes(data), kept, held, names, dataset.classes[1:])
        for name, (data, kept) in made.items()
    )
    record = Referee(
        schema=1,
        edge3vt=__version__,
        made=wall_label(),
        runtime=f"onnxruntime {version()}",
        model=model.spec.model_id,
        model_sha256=model.sha256,
        table_sha256=table.sha256,
        set=SetFacts(dataset.folder.resolve().name, sha256_file(dataset.folder / MANIFEST), split, "drawn"),
        size=model.spec.width,
        cases=len(items),
        scored=names,
        passed=all(gate.passed for one in found for gate in one.gates),
        candidates=found,
    )
    return record, held, eyes


def lost_most(held: Mapping[str, Held], name: str, names: Sequence[str]) -> list[Case]:
    """The cases whose mean Dice to the truth fell most from FP32, the worst first."""
    pairs = zip(held["fp32"].cases, held[name].cases, strict=True)
    losses = [((own_dice(a, names) or 0) - (own_dice(b, names) or 0), b.id, b) for a, b in pairs]
    return [case for loss, _, case in sorted(losses, key=lambda one: (-one[0], one[1]))[:PICTURED] if loss > 0]


def lines(record: Referee) -> list[str]:
    """For people: every limit of every candidate, then the verdicts."""
    out = [f"{record.model}, {record.cases} pictures of {record.set.name}, {record.runtime}"]
    for one in record.candidates:
        kept = f", in floats: {', '.join(one.keep_float)}" if one.keep_float else ""
        out.append(f"{one.name}{kept}")
        for gate in one.gates:
            out.append(f"  {'held  ' if gate.passed else 'MISSED'} {gate.name}: {gate.value:.4f}, limit {gate.limit:g}")
        out.append(f"  {one.advice}")
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edge3vt.bench.referee", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path, help="the FP32 model")
    parser.add_argument("table", type=Path, help="its calibration table")
    parser.add_argument("set", type=Path, help="a data set folder with masks")
    parser.add_argument("out", type=Path, help=f"the folder for {RECORD} and {WORST}/")
    parser.add_argument("--split", default="test", help="train, validation, test, or all")
    parser.add_argument("--limit", type=int, help="only the first so many pictures")
    parser.add_argument("--keep-float", action="append", default=[], metavar="FLAVOUR=LAYER,LAYER")
    parser.add_argument("--overwrite", action="store_true")
    asked = parser.parse_args(arguments)
    if (asked.out / RECORD).exists() and not asked.overwrite:
        raise ConfigError(f"{asked.out / RECORD}: exists already; choose another folder or add --overwrite")
    model, table = read_model(asked.model), read_json(CalibrationTable, asked.table)
    dataset = read_dataset(asked.set)
    kept = _kept(asked.keep_float)
    record, held, eyes = referee(model, table, dataset, asked.split, kept, _told, asked.limit)
    for stale in (asked.out / WORST).glob("*.png"):
        stale.unlink()
    items = {item.id: item for item in dataset.items}
    for name in held.keys() - {"fp32"}:
        for case in lost_most(held, name, record.scored):
            frame, true = frame_of(dataset, items[case.id]), truth_of(dataset, items[case.id], "drawn")
            mask, _ = eyes[name].sees(frame, acquire(frame, record.size))
            picture = pictured(frame, true, mask, case, own_dice(case, record.scored))
            write_image(asked.out / WORST / f"{name}-{case.id}.png", picture)
    write_json(record, asked.out / RECORD)
    print("\n".join(lines(record)))
    return 0 if record.passed else 1


def _kept(texts: Sequence[str]) -> dict[Flavour, tuple[str, ...]]:
    """FLAVOUR=LAYER,LAYER of the command line. Raises ConfigError."""
    kept: dict[Flavour, tuple[str, ...]] = {}
    for text in texts:
        name, _, layers = text.partition("=")
        flavour = next((flavour for flavour in FLAVOURS if flavour == name), None)
        if flavour is None or not layers:
            raise ConfigError(f"--keep-float {text}: expected FLAVOUR=LAYER,LAYER{suggestion(name, FLAVOURS)}")
        kept[flavour] = tuple(layers.split(","))
    return kept


def _told(done: int, total: int) -> None:
    if done % 50 == 0 or done == total:
        print(f"{done} of {total} pictures", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Edge3vtError as error:
        print(f"referee: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
