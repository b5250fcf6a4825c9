"""Cases of the phantom as a data set's items: each a fetus, drawn from its own seed and nothing else."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import to_json
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels, Region
from edge3vt.core.machine import usable_cores
from edge3vt.data.dataset import MANIFEST, PARTIAL, Item, read_dataset
from edge3vt.data.writer import DatasetWriter, write_item
from edge3vt.phantom.annotator import Annotator, draw_annotator
from edge3vt.phantom.cine import Scene
from edge3vt.phantom.contour import apart, outlines
from edge3vt.phantom.planes import ARM_CLASSES
from edge3vt.picture.images import encoded_png

CONTOURS, TRUTH = "contours", "truth"
FOLDERS = (CONTOURS, TRUTH)
"""Beside a data set's own: outlines finer than a pixel, and the exact masks where an annotator drew the others."""
SOURCE = "edge3vt phantom"
SWEPT, BY_HAND = 0.4, 0.4
"""Shares of the cines: of those with the view, that come to it and leave it again; with gain and depth changed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What every case of a set has in common. views: share of the cases that show the view.

    seconds, rate_hz: of each case's cine; 0 seconds: ``pictures`` single ones, each from another side. annotators: how
    many people draw the masks, 0 for exact ones. keep_outside: leave the scanner's screen around the region.
    """

    width: int
    height: int
    site: Literal["A", "B"] = "A"
    probe: Literal["convex", "sector", "linear"] | None = None
    weeks: tuple[float, float] | None = None
    views: float = 0.7
    arm: bool = False
    pictures: int = 1
    seconds: float = 0.0
    rate_hz: float = 15.0
    labelled: bool = True
    annotators: int = 0
    keep_outside: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One fetus, or one arm, to be written into ``folder``."""

    folder: Path
    seed: int
    plan: Plan

    @property
    def name(self) -> str:
        return f"{self.plan.site}{self.seed:09d}"

    @property
    def first_id(self) -> str:
        return f"{self.name}-0000" if self.plan.seconds else f"{self.name}-0"


def classes_of(plan: Plan) -> tuple[str, ...]:
    """The class names of a set, background first."""
    return ARM_CLASSES if plan.arm else CLASS_NAMES


def write_cases(cases: Sequence[Case], writer: DatasetWriter) -> Iterator[Case]:
    """Render the cases that ``writer`` does not hold yet, on all cores; yields each when it is there.

    Raises DataError where a file cannot be written.
    """
    missing = [case for case in cases if not writer.has(case.first_id)]
    yield from (case for case in cases if writer.has(case.first_id))
    workers = min(usable_cores(), len(missing))
    if workers <= 1:
        for case in missing:
            writer.take(write_case(case)[1])
            yield case
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _ignore_interrupts) as pool:
        try:
            for future in as_completed([pool.submit(write_case, case) for case in missing]):
                case, items = future.result()
                writer.take(items)
                yield case
        except BrokenProcessPool as error:
            where = missing[0].folder
            raise DataError(
                f"{where}: a worker was ended, perhaps for want of memory; repeat the command, it goes on"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def write_case(case: Case) -> tuple[Case, list[Item]]:
    """Write the files of one case; depends on its seed and the plan alone."""
    plan, rng = case.plan, np.random.default_rng([case.seed, 0xCA5E])
    shows, swept = rng.uniform() < plan.views, rng.uniform() < SWEPT
    by_hand = bool(plan.seconds) and float(np.random.default_rng([case.seed, 0x4A2D]).uniform()) < BY_HAND
    weeks = None if plan.weeks is None else float(rng.uniform(*plan.weeks))
    kind: Literal["view", "sweep", "other", "arm"] = "view" if shows else "other"
    if plan.arm:
        kind = "arm"
    elif shows and swept and plan.seconds:
        kind = "sweep"
    scene = Scene(
        case.seed,
        plan.width,
        plan.height,
        kind=kind,
        site=plan.site,
        probe=plan.probe,
        weeks=weeks,
        duration_s=plan.seconds or 2.0,
        by_hand=by_hand,
    )
    person, who = None, 0
    if plan.annotators:
        who = int(np.random.default_rng([case.seed, 0xA77]).integers(plan.annotators)) + 1
        person = draw_annotator(np.random.default_rng([who, 0xA770]))
    items = []
    if plan.seconds:
        for frame in range(round(plan.seconds * plan.rate_hz)):
            id = f"{case.name}-{frame:04d}"
            items.append(_write(case, scene, id, frame / plan.rate_hz, person, who, case.name, frame))
    else:
        for side in range(plan.pictures):
            if side:
                scene.rescan(plan.width, plan.height)
            seconds = float(rng.uniform(0, scene.duration_s))
            items.append(_write(case, scene, f"{case.name}-{side}", seconds, person, who, None, side))
    return case, items


def _write(
    case: Case,
    scene: Scene,
    id: str,
    seconds: float,
    person: Annotator | None,
    who: int,
    cine: str | None,
    place: int,
) -> Item:
    """The ``place``-th item of a case: its outlines and its exact mask first, so that they are there when it is."""
    picture = scene.at(seconds)
    mask = picture.mask if case.plan.labelled else None
    facts = _facts(scene, seconds, picture.region, picture.holds_view)
    if mask is not None:
        outlined = {"schema": 1, "unit": "px", "outlines": _outlines(scene, seconds, picture.region)}
        _write_file(case.folder / CONTOURS / f"{id}.json", to_json(outlined, indent=None).encode())
    if mask is not None and person is not None:
        _write_file(case.folder / TRUTH / f"{id}.png", encoded_png(mask))
        mask = person.annotate(mask, picture.mm_per_px, np.random.default_rng([case.seed, place, 0xA770]))
        facts["annotator"] = str(who)
    return write_item(
        case.folder,
        scene.classes,
        id,
        picture.pixels if case.plan.keep_outside else _blanked(picture.pixels, picture.region),
        mask,
        patient=f"phantom-{case.name}",
        source=SOURCE,
        mm_per_px=picture.mm_per_px,
        cine=cine,
        frame=None if cine is None else place,
        facts=facts,
    )


def _blanked(pixels: Pixels, r: Region) -> Pixels:
    inside = np.zeros_like(pixels)
    inside[r.y0 : r.y1, r.x0 : r.x1] = pixels[r.y0 : r.y1, r.x0 : r.x1]
    return inside


def _facts(scene: Scene, seconds: float, region: Region, holds_view: bool) -> dict[str, float | str]:
    record = scene.record
    facts: dict[str, float | str] = {
        "seed": str(record.seed),
        "kind": record.kind,
        "view": "yes" if holds_view else "no",
        "shows": record.view,
        "site": record.site,
        "probe": record.probe,
        "region": f"{region.x0},{region.y0},{region.x1},{region.y1}",
        "seconds": round(seconds, 6),
        "angle_deg": record.angle_deg,
        "mirrored": "yes" if record.mirrored else "no",
    }
    if record.kind != "arm":
        facts |= {"weeks": record.weeks, "variant": record.variant, "heart_rate_bpm": record.heart_rate_bpm}
        facts["beat"] = round(scene.motion.at(seconds).dilation, 4)
    if record.diameters_mm:
        facts["arch_passes_trachea"] = "right" if scene.anatomy.arch_right else "left"
    return facts | {f"true_{name}_mm": size for name, size in record.diameters_mm.items()}


def _outlines(scene: Scene, seconds: float, region: Region) -> dict[str, list[list[list[float]]]]:
    """Class name -> outlines as points of the whole picture, the first pixel's centre at 0.5, 0.5."""
    corner, imaged = np.array([region.x0, region.y0]), scene.scanner_at(seconds).imaged
    return {
        scene.classes[label]: [np.round(outline + corner, 3).tolist() for outline in outlines(field, imaged)]
        for label, field in sorted(apart(scene.field(seconds)).items())
    }


def merge(folder: Path, shards: Sequence[Path], cases: int | None) -> tuple[Item, ...]:
    """Put the data sets in ``shards`` together in ``folder``: the very files that one run would have written.

    cases: how many there have to be. Raises DataError for shards that do not belong together, or are not all.
    """
    sets = [read_dataset(shard) for shard in shards]
    first = sets[0]
    for other in sets[1:]:
        if (other.name, other.classes) != (first.name, first.classes):
            raise DataError(f"{other.folder}: part of '{other.name}', not of '{first.name}'; name parts of one set")
    seen = Counter(item.id for part in sets for item in part.items)
    if twice := [id for id, count in seen.items() if count > 1]:
        raise DataError(f"{len(twice)} pictures stand in two parts, {twice[0]} for one; name every part once")
    found = len({item.patient for part in sets for item in part.items})
    if cases is not None and found != cases:
        raise DataError(f"{found} cases in {len(sets)} parts, expected {cases}; name every part once")
    request = {"merge": " ".join(sorted(str(shard) for shard in shards))}
    with DatasetWriter(folder, first.name, first.classes, resume=True, request=request) as writer:
        for part in sets:
            new = [item for item in part.items if not writer.has(item.id)]
            for item in new:
                _copy(part.folder, folder, item)
            writer.take(new)
        return writer.items


def _copy(source: Path, target: Path, item: Item) -> None:
    """Copy the files of one item; refuse those that are not what the manifest says."""
    wanted = {f"pictures/{item.id}.png": item.picture_sha256, f"masks/{item.id}.png": item.mask_sha256}
    for name in (*wanted, f"{CONTOURS}/{item.id}.json", f"{TRUTH}/{item.id}.png"):
        path, sha256 = source / name, wanted.get(name)
        if path.exists() and (sha256 is None or sha256_file(path) == sha256):
            _write_file(target / name, path.read_bytes())
        elif sha256 is not None:
            raise DataError(f"{path}: missing or not what its data set was made with; make that part again")


def tidy(folder: Path) -> None:
    """Remove what is empty, half-written or of no data set in the folders beside a data set's own."""
    unfinished = (folder / PARTIAL).exists()
    for name in FOLDERS:
        if not (folder / name).is_dir():
            continue
        if not unfinished and not (folder / MANIFEST).exists():
            shutil.rmtree(folder / name)
            continue
        for path in (folder / name).glob(".*.part"):
            path.unlink()
        if not unfinished and not any((folder / name).iterdir()):
            (folder / name).rmdir()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _write_file(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); choose another output") from error


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the workers
