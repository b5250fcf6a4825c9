"""The record of ``bench.following``: what each way of looking came to, and which limits it kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edge3vt.bench.follower import Cine, Way
from edge3vt.core.anatomy import CLASS_NAMES, SCORED
from edge3vt.core.errors import ConfigError
from edge3vt.phantom.cine import Kind
from edge3vt.phantom.scanner import Site

RATE_HZ = 30.0
JUMP_LIMIT_MS = 500.0
FALSE_SHOW = 0.01  # of the frames of a real clip
BINS_PX = (0.0, 6.0, 12.0, float("inf"))


@dataclass(frozen=True, slots=True)
class Group:
    """overlay: the share of view frames that has to have one."""

    name: str
    kind: Kind
    weeks: tuple[float, float]
    site: Site
    first_seed: int
    overlay: float | None = None


@dataclass(frozen=True, slots=True)
class Bin:
    """Structures of cines whose width_px lies in [least_px, below_px); means over the cines. None: nothing to tell."""

    structure: str
    least_px: float
    below_px: float | None
    cines: int
    dice: float
    missed: float
    error_mm: float | None
    bias_mm: float | None


@dataclass(frozen=True, slots=True)
class Followed:
    """One way through a group. Shares are of frames, flicker a mean over structures of means over cines."""

    group: str
    way: Way
    cines: int
    view_frames: int
    other_frames: int
    shown_in_view: float | None
    shown_outside: float | None
    least_shown: float | None
    closer: float
    dice: dict[str, float]
    dice_mean: float | None
    flicker: float | None
    blinks_per_s: float | None
    bins: tuple[Bin, ...]
    cases: tuple[Cine, ...]


@dataclass(frozen=True, slots=True)
class Jump:
    """held: cines with an overlay before; found_ms: of these, to the frame with one at the new place; null: never."""

    group: str
    rate_hz: float
    way: Way
    cines: int
    held: int
    within_limit: int
    found_ms: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Real:
    """A file that is not the view. trained_on: as a negative."""

    name: str
    sha256: str
    trained_on: bool
    frames: int
    shown: dict[str, float]


@dataclass(frozen=True, slots=True)
class Limit:
    name: str
    value: float
    limit: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Record:
    """engine_sha256: of the engine's manifest, or of the ONNX file."""

    schema: int
    edge3vt: str
    made: str
    model_id: str
    engine_sha256: str
    rate_hz: float
    passed: bool
    limits: tuple[Limit, ...]
    sweeps: tuple[Followed, ...]
    jumps: tuple[Jump, ...]
    real: tuple[Real, ...]

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the record is not known, expected 1; update edge3vt")


def followed(group: Group, way: Way, cines: Sequence[Cine]) -> Followed:
    view, other = sum(c.view_frames for c in cines), sum(c.other_frames for c in cines)
    vessels = [(name, v) for c in cines for name, v in c.vessels.items()]
    names = [CLASS_NAMES[s] for s in SCORED]
    dice = {name: _mean([v.dice for own, v in vessels if own == name]) for name in names}
    flickers = [_mean([f for c in cines if (f := c.flicker.get(name)) is not None]) for name in names]
    bins = []
    for name in names:
        for least, below in pairwise(BINS_PX):
            own = [v for n, v in vessels if n == name and least <= v.width_px < below]
            if own:
                errors = [v.error_mm for v in own if v.error_mm is not None]
                biases = [v.bias_mm for v in own if v.bias_mm is not None]
                top = None if below == float("inf") else below
                share = _mean([v.dice for v in own]), _mean([v.missed for v in own])
                bins.append(Bin(name, least, top, len(own), share[0] or 0, share[1] or 0, _mean(errors), _mean(biases)))
    return Followed(
        group=group.name,
        way=way,
        cines=len(cines),
        view_frames=view,
        other_frames=other,
        shown_in_view=round(sum(c.shown_in_view for c in cines) / view, 4) if view else None,
        shown_outside=round(sum(c.shown_outside for c in cines) / other, 4) if other else None,
        least_shown=group.overlay,
        closer=round(sum(c.closer for c in cines) / max(view + other, 1), 4),
        dice={name: value for name, value in dice.items() if value is not None},
        dice_mean=_mean([value for value in dice.values() if value is not None]),
        flicker=_mean([f for f in flickers if f is not None]),
        blinks_per_s=round(sum(c.blinks for c in cines) / view * RATE_HZ, 4) if view else None,
        bins=tuple(bins),
        cases=tuple(cines),
    )


def limits(sweeps: Sequence[Followed], jumps: Sequence[Jump], real: Sequence[Real]) -> tuple[Limit, ...]:
    """Of every way: overlays in the view, jumps found again in time, and no overlay on what is not the view."""
    found = [
        Limit(
            f"overlay, {one.group}, {one.way}",
            one.shown_in_view,
            f">= {one.least_shown:g}",
            one.shown_in_view >= one.least_shown,
        )
        for one in sweeps
        if one.least_shown is not None and one.shown_in_view is not None
    ]
    for jump in jumps:
        if jump.held:
            share, name = jump.within_limit / jump.held, f"found again, {jump.group}, {jump.rate_hz:g} Hz, {jump.way}"
            found.append(Limit(name, round(share, 4), f"= 1 within {JUMP_LIMIT_MS:g} ms", share == 1))
    for file in real:
        if not file.trained_on:
            found.extend(
                Limit(f"false show, {file.name}, {way}", share, f"<= {FALSE_SHOW:g}", share <= FALSE_SHOW)
                for way, share in file.shown.items()
            )
    return tuple(found)


def lines(record: Record) -> list[str]:
    """For people."""
    out = [f"{record.model_id}, {record.rate_hz:g} Hz"]
    for one in record.sweeps:
        shares = ", ".join(
            f"{name} {value:.3f}"
            for name, value in (
                ("Dice", one.dice_mean),
                ("overlay in view", one.shown_in_view),
                ("outside", one.shown_outside),
                ("flicker", one.flicker),
                ("blinks/s", one.blinks_per_s),
            )
            if value is not None
        )
        out.append(f"{one.group}, {one.way} ({one.cines} cines): {shares}")
    for jump in record.jumps:
        slowest = max((t for t in jump.found_ms if t is not None), default=0)
        out.append(
            f"jump, {jump.group}, {jump.rate_hz:g} Hz, {jump.way}: {jump.within_limit} of {jump.held} within "
            f"{JUMP_LIMIT_MS:g} ms, slowest {slowest:.0f} ms, {jump.found_ms.count(None)} never"
        )
    for file in record.real:
        shown = ", ".join(f"{way} {share:.3f}" for way, share in file.shown.items())
        out.append(f"{file.name}{' (trained on)' if file.trained_on else ''}, {file.frames} frames: {shown}")
    return out + [f"MISSED {one.name}: {one.value:g}, limit {one.limit}" for one in record.limits if not one.passed]


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
