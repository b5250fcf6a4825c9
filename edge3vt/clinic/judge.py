"""How right the measurements are: on phantoms that no training saw, whose anatomy is known.

``python -m edge3vt.clinic.judge ENGINE OUT.json [--fetuses N]`` measures the same cines twice, with the true masks on
the network's grid, and with the engine's through the loop, its gate included; so the one tells of the measuring alone,
the other of the whole. Nothing was tuned on these seeds: that was done on 9,000,000 and up.

Held against the truth: PA/Ao against the anatomy's; widths against its diameters at the moment's dilation; V or U, the
sides, the count and the order against what was drawn. The operator sets the fetal left once a cine, as one of the four
sides of the screen. Shares shown are of all frames, for each of them holds the view. Exit code 1 for a missed limit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from edge3vt import __version__
from edge3vt.clinic.arches import DIRECTIONS
from edge3vt.clinic.cine import cine
from edge3vt.clinic.judged import GROUPS, Group, Judged, Masks, Record, Truth, limits, share, tally
from edge3vt.clinic.measure import AO, NAMES, PA, SVC, TRACHEA, FrameMeasure, measured
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import NS_PER_S, wall_label
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import to_json, write_bytes
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Mask
from edge3vt.engine.open import open_engine
from edge3vt.phantom.anatomy import Anatomy
from edge3vt.phantom.cine import Scene
from edge3vt.picture.crop import acquire
from edge3vt.picture.view import Side
from edge3vt.stream.lane import Lane, ThreadLane
from edge3vt.stream.runner import offline

WIDTH, HEIGHT, SECONDS, RATE_HZ = 1024, 768, 2.0, 15.0
MASKS: tuple[Masks, ...] = get_args(Masks)


Fetus = dict[Masks, tuple[list[FrameMeasure], list[Truth], Truth]]
"""With either masks: its frames, what was true at each, and what is true at rest."""


def judge(lane: Lane, group: Group, fetuses: int, told: Callable[[str], None]) -> list[Judged]:
    """A group with true masks and with the engine's. Raises EngineError."""
    seen = []
    for number in range(fetuses):
        seen.append(watched(lane, group, group.first_seed + number))
        told(f"{group.name}: {number + 1} of {fetuses} fetuses")
    return summed(group, seen)


def watched(lane: Lane, group: Group, seed: int) -> Fetus:
    """One fetus, measured in every frame of its cine."""
    weeks = float(np.random.default_rng(seed).uniform(*group.weeks))
    scene = Scene(seed, WIDTH, HEIGHT, weeks=weeks, duration_s=SECONDS)
    left = fetal_left(scene)
    true: list[FrameMeasure] = []
    found: list[FrameMeasure] = []
    truths = []
    for seg in offline(_frames(scene), lane):
        seconds = seg.frame.captured_ns / NS_PER_S
        truths.append(true_values(scene.anatomy, scene.motion.at(seconds).dilation))
        crop = acquire(seg.frame, lane.spec.width)
        exact = replace(
            seg,
            mask=on_grid(scene.truth(seconds), crop),
            mask_ns=seg.frame.captured_ns,
            crop=crop,
            scores=(1.0,) * len(CLASS_NAMES),
            shown=True,
            withheld="",
        )
        true.append(measured(exact, lane.spec.classes, left))
        found.append(measured(seg, lane.spec.classes, left))
    at_rest = true_values(scene.anatomy)
    return {"true": (true, truths, at_rest), "engine": (found, truths, at_rest)}


def summed(group: Group, seen: Sequence[Fetus]) -> list[Judged]:
    """All fetuses of a group, with either masks."""
    out = []
    for masks in MASKS:
        frames = [pair for one in seen for pair in zip(*one[masks][:2], strict=True)]
        whole = [(cine(one[masks][0]).values, one[masks][2]) for one in seen]
        out.append(
            Judged(
                group=group.name,
                masks=masks,
                fetuses=len(seen),
                frames=len(frames),
                overlay=share([not found.uncounted for found, _ in frames]),
                by_frame={name: tally(name, [(f.values[name], t[name]) for f, t in frames]) for name in NAMES},
                by_cine={name: tally(name, [(values[name], t[name]) for values, t in whole]) for name in NAMES},
            )
        )
    return out


def _frames(scene: Scene) -> Iterator[Frame]:
    for index in range(round(SECONDS * RATE_HZ)):
        captured_ns = round(index * NS_PER_S / RATE_HZ)
        picture = scene.at(captured_ns / NS_PER_S)
        yield Frame(index, captured_ns, picture.pixels, region=picture.region, mm_per_px=picture.mm_per_px)


def on_grid(truth: Mask, crop: Crop) -> Mask:
    """A (H, W) mask at the middles of the crop's pixels; 0 outside the picture."""
    middles = ((2 * np.arange(crop.size) + 1) * crop.side) // (2 * crop.size)
    rows, columns = middles + crop.y, middles + crop.x
    seen = np.zeros((crop.size, crop.size), np.uint8)
    (down,), (across,) = (
        np.nonzero((at >= 0) & (at < end)) for at, end in zip((rows, columns), truth.shape, strict=True)
    )
    seen[np.ix_(down, across)] = truth[np.ix_(rows[down], columns[across])]
    return seen


def fetal_left(scene: Scene) -> Side:
    """The side of the screen that lies nearest to the fetal left at the start."""
    pose = scene.motion.at(0.0)
    across = -np.cos(pose.angle) if pose.mirrored else np.cos(pose.angle)
    left = np.array([across, np.sin(pose.angle)])
    return max(DIRECTIONS, key=lambda side: float(left @ np.array(DIRECTIONS[side])))


def true_values(anatomy: Anatomy, dilation: float = 1.0) -> Truth:
    """By NAMES; the vessels at rest, or as wide as a beat makes them."""
    wide = {PA: dilation, AO: dilation, SVC: 2 - dilation, TRACHEA: 1.0}
    values: Truth = {f"{CLASS_NAMES[s]}_width": anatomy.diameter_mm[s] * factor for s, factor in wide.items()}
    values["pa_ao"] = anatomy.diameter_mm[PA] / anatomy.diameter_mm[AO]
    duct_right = anatomy.variant == "right_arch_right_duct"
    values["arches"] = "V" if anatomy.arch_right == duct_right else "U"
    values["arch_side"] = "right" if anatomy.arch_right else "left"
    values["duct_side"] = "right" if duct_right else "left"
    values["vessels"] = float(2 + len(anatomy.veins))
    values["order"] = _true_order(anatomy)
    return values


def _true_order(anatomy: Anatomy) -> str:
    """By the same definition as the measured one: along the axis from the spine to between the arches' heart ends."""
    starts = {PA: anatomy.pulmonary_artery[0], AO: anatomy.aortic_arch[0], SVC: np.array(anatomy.veins[0])}
    spine = np.array(anatomy.spine)
    way = (starts[PA] + starts[AO]) / 2 - spine
    front = way / np.hypot(*way)
    ahead = {s: float((at - spine) @ front) + anatomy.diameter_mm[s] / 2 for s, at in starts.items()}
    return ", ".join(CLASS_NAMES[s].replace("_", " ") for s in sorted(ahead, key=lambda s: ahead[s]))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edge3vt.clinic.judge", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("engine", type=Path, help="an engine folder")
    parser.add_argument("out", type=Path, help="the record to write, .json")
    parser.add_argument("--fetuses", type=int, default=100, help="of either age group")
    parser.add_argument("--overwrite", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.fetuses < 1:
        raise ConfigError(f"--fetuses {asked.fetuses}: expected at least one")
    if asked.out.exists() and not asked.overwrite:
        raise ConfigError(f"{asked.out}: exists already; choose another file or add --overwrite")
    manifest = asked.engine / "manifest.json"
    digest = sha256_file(manifest) if manifest.exists() else ""
    lane = ThreadLane(partial(open_engine, asked.engine))
    try:
        if lane.spec.classes != CLASS_NAMES:
            raise ConfigError(f"{asked.engine}: its classes are {', '.join(lane.spec.classes)}; the view's are others")
        groups = [one for group in GROUPS for one in judge(lane, group, asked.fetuses, _told)]
        model_id = lane.spec.model_id
    finally:
        lane.close()
    kept = limits(groups)
    passed = all(limit.passed for limit in kept)
    record = Record(1, __version__, wall_label(), model_id, digest, SECONDS, RATE_HZ, passed, kept, tuple(groups))
    write_bytes(asked.out, to_json(record).encode())
    for limit in kept:
        print(f"{'passed' if limit.passed else 'MISSED'}: {limit.name}: {limit.value} ({limit.limit})")
    return 0 if passed else 1


def _told(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Edge3vtError as error:
        print(f"judge: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
