"""What following the vessels is worth, and what the gate lets through: acquire against track, in figures.

``python -m edge3vt.bench.following ENGINE OUT.json [--real FILE_OR_FOLDER ...] [--card record.json]`` runs the loop's
tracker and gate, every frame with its own result, in three ways on the very same pictures: the whole region always
(acquire), closer with looks that only steer (track), and with looks that are shown too (looks).

sweeps     a phantom swept into the view and out of it, by age and site: Dice and diameter by the true width in px of
           the network that sees the whole, overlays in the view (to hide it there is a false hide) and outside (a false
           show), flicker, blinks. Dice is before the gate; a structure that was not found counts as 0
others     phantoms that never hold the view: any overlay is a false show
jumps      from where the view stands to another place within one frame: time until an overlay lies on it there (mean
           Dice of the vessels >= 0.5), of those that had one before
real       files that are not the view: share of frames with an overlay, at most 1 % where the model was not trained on
           the file as a negative (the card's real_negatives, by SHA-256). A picture is shown for HELD frames

The diameter is ``follower.diameter_px``, of the found and of the true mask alike. Exit code 1 for a missed limit.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edge3vt import __version__
from edge3vt.bench.followed import (
    JUMP_LIMIT_MS,
    RATE_HZ,
    Followed,
    Group,
    Jump,
    Real,
    Record,
    followed,
    limits,
    lines,
)
from edge3vt.bench.follower import WAYS, Cine, CineWatch, Follower, Way
from edge3vt.bench.jump import Refinding, jumping, other_place
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import NS_PER_S, wall_label
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import to_json, write_bytes
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.core.frame import Frame, Layout
from edge3vt.core.session import Session
from edge3vt.engine.model import read_model
from edge3vt.engine.open import open_engine, open_model
from edge3vt.phantom.cine import Scene
from edge3vt.picture.clip import Clip
from edge3vt.picture.dicom import open_dicom
from edge3vt.picture.images import SUFFIXES, read_image
from edge3vt.picture.video import open_video

WIDTH, HEIGHT, SECONDS = 1024, 768, 2.0
JUMP_S, JUMP_RATES_HZ = 1.0, (30.0, 60.0)
HELD = 12  # frames of a single picture
VIDEOS = (".mp4", ".mov", ".mpeg", ".mpg", ".avi", ".mkv")


GROUPS = (
    Group("24-36 weeks", "sweep", (24.0, 36.0), "A", 7_150_000, 0.8),
    Group("18-23 weeks", "sweep", (18.0, 23.0), "A", 7_250_000, 0.6),
    Group("site B", "sweep", (18.0, 36.0), "B", 7_350_000),
    Group("others", "other", (18.0, 36.0), "A", 7_450_000),
    Group("others, site B", "other", (18.0, 36.0), "B", 7_550_000),
)
JUMPS = (
    Group("24-36 weeks", "view", (24.0, 36.0), "A", 7_650_000),
    Group("18-23 weeks", "view", (18.0, 23.0), "A", 7_750_000),
)


def follow(session: Session, group: Group, cines: int, told: Callable[[str], None]) -> list[Followed]:
    """Every way through the same ``cines`` phantoms of a group. Raises EngineError."""
    seen: dict[Way, list[Cine]] = {way: [] for way in WAYS}
    for number in range(cines):
        seed = group.first_seed + number
        weeks = float(np.random.default_rng(seed).uniform(*group.weeks))
        scene = Scene(seed, WIDTH, HEIGHT, kind=group.kind, site=group.site, weeks=weeks, duration_s=SECONDS)
        side = max(scene.region.width, scene.region.height)
        scale = session.spec.width / side / scene.mm_per_px
        widths = {CLASS_NAMES[s]: mm * scale for s, mm in scene.anatomy.diameter_mm.items()}
        ways = {way: (Follower(session, way), CineWatch(f"{seed}", widths)) for way in WAYS}
        for index in range(round(SECONDS * RATE_HZ)):
            picture = scene.at(index / RATE_HZ)
            frame = Frame(
                index,
                round(index * NS_PER_S / RATE_HZ),
                picture.pixels,
                region=picture.region,
                mm_per_px=picture.mm_per_px,
            )
            for follower, watch in ways.values():
                watch.see(frame, follower.see(frame), picture.mask, picture.holds_view)
        for way, (_, watch) in ways.items():
            seen[way].append(watch.cine())
        told(f"{group.name}: {number + 1} of {cines} cines")
    return [followed(group, way, own) for way, own in seen.items()]


def jump(session: Session, group: Group, rate_hz: float, cines: int, told: Callable[[str], None]) -> list[Jump]:
    """Every way through the same ``cines`` jumps. Raises EngineError."""
    seen: dict[Way, list[Refinding]] = {way: [] for way in WAYS}
    seed, made = group.first_seed - 1, 0
    while made < cines:
        seed += 1
        weeks = float(np.random.default_rng(seed).uniform(*group.weeks))
        scene = Scene(seed, WIDTH, HEIGHT, kind=group.kind, site=group.site, weeks=weeks, duration_s=2 * JUMP_S)
        there = other_place(scene)
        if there is None:
            continue
        ways = {way: Refinding(Follower(session, way), JUMP_S, rate_hz) for way in WAYS}
        for frame, truth in jumping(scene, there, rate_hz, JUMP_S):
            for refinding in ways.values():
                refinding.see(frame, truth)
        for way, refinding in ways.items():
            seen[way].append(refinding)
        made += 1
        told(f"jump, {group.name}, {rate_hz:g} Hz: {made} of {cines}")
    out = []
    for way, own in seen.items():
        times = tuple(one.found_ms for one in own if one.held_before)
        within = sum(t is not None and t <= JUMP_LIMIT_MS for t in times)
        out.append(Jump(group.name, rate_hz, way, cines, len(times), within, times))
    return out


def real(session: Session, path: Path, trained: Iterable[str], most: int | None = None) -> Real:
    """Every way through a file's first ``most`` frames. Raises DataError, EngineError."""
    followers = {way: Follower(session, way) for way in WAYS}
    shown, frames = dict.fromkeys(WAYS, 0), 0
    for frame in frames_of(path, most):
        frames += 1
        for way, follower in followers.items():
            shown[way] += follower.see(frame).shown
    digest = sha256_file(path)
    shares = {str(way): round(count / max(frames, 1), 4) for way, count in shown.items()}
    return Real(path.name, digest, digest in set(trained), frames, shares)


def frames_of(path: Path, most: int | None = None) -> Iterator[Frame]:
    """The frames of a clip, or of a picture that is held. Raises DataError."""
    if path.suffix.lower() in SUFFIXES:
        pixels = read_image(path)
        layout = Layout.GRAY if pixels.ndim == 2 else Layout.RGB
        for index in range(HELD):
            yield Frame(index, round(index * NS_PER_S / RATE_HZ), pixels, layout)
        return
    clip: Clip = open_video(path) if path.suffix.lower() in VIDEOS else open_dicom(path)
    for index, picture in enumerate(clip.pictures()):
        if index == most:
            return
        yield Frame(
            index,
            picture.time_ns,
            picture.pixels,
            picture.layout,
            picture.full_range,
            picture.epoch,
            picture.region or clip.region,
            picture.mm_per_px or clip.mm_per_px,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m edge3vt.bench.following", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("engine", type=Path, help="an engine folder, or a model in the engine contract, .onnx")
    parser.add_argument("out", type=Path, help="the record to write, .json")
    parser.add_argument(
        "--cines", type=int, default=40, help="of every group of sweeps, and half as many of the others"
    )
    parser.add_argument("--jumps", type=int, default=20, help="of every age and rate")
    parser.add_argument("--real", type=Path, nargs="+", default=[], help="clips and pictures that are not the view")
    parser.add_argument("--frames", type=int, help="only the first so many of each clip")
    parser.add_argument("--card", type=Path, help="the model's record.json, which names its real negatives")
    parser.add_argument("--overwrite", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.out.exists() and not asked.overwrite:
        raise ConfigError(f"{asked.out}: exists already; choose another file or add --overwrite")
    files = [file for path in asked.real for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    files = [file for file in files if file.suffix.lower() in (*SUFFIXES, *VIDEOS, ".dcm")]
    trained = _negatives(asked.card) if asked.card else ()
    session, digest = _opened(asked.engine)
    if session.spec.classes != CLASS_NAMES:
        raise ConfigError(
            f"{asked.engine}: its classes are {', '.join(session.spec.classes)}; the phantom's are others"
        )
    try:
        shown = [_judged(session, file, trained, asked.frames) for file in files]
        sweeps = [
            one
            for group in GROUPS
            if asked.cines
            for one in follow(session, group, -(-asked.cines // (1 if group.kind == "sweep" else 2)), _told)
        ]
        jumps = [
            one
            for group in JUMPS
            for rate_hz in JUMP_RATES_HZ
            if asked.jumps
            for one in jump(session, group, rate_hz, asked.jumps, _told)
        ]
    finally:
        session.close()
    kept = limits(sweeps, jumps, shown)
    record = Record(
        schema=1,
        edge3vt=__version__,
        made=wall_label(),
        model_id=session.spec.model_id,
        engine_sha256=digest,
        rate_hz=RATE_HZ,
        passed=all(limit.passed for limit in kept),
        limits=kept,
        sweeps=tuple(sweeps),
        jumps=tuple(jumps),
        real=tuple(shown),
    )
    write_bytes(asked.out, to_json(record, indent=None).encode())
    print("\n".join(lines(record)))
    return 0 if record.passed else 1


def _opened(path: Path) -> tuple[Session, str]:
    if path.is_dir():
        return open_engine(path), sha256_file(path / "manifest.json")
    model = read_model(path)
    return open_model(model.data, model.spec, "onnxruntime"), model.sha256


def _negatives(card: Path) -> tuple[str, ...]:
    """SHA-256 of the real files that a model was trained on. Raises ConfigError."""
    try:
        told = json.loads(card.read_text(encoding="utf-8"))["real_negatives"]
        return tuple(str(digest) for digest in told.values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{card}: no record that names real_negatives ({error}); give the model's own") from error


def _judged(session: Session, file: Path, trained: Sequence[str], most: int | None) -> Real:
    _told(file.name)
    return real(session, file, trained, most)


def _told(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Edge3vtError as error:
        print(f"following: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
