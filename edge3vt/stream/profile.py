"""Where the ultrasound picture lies on a screen: from the source, a named profile, or found; and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame, Layout, Region
from edge3vt.core.shipped import find
from edge3vt.picture.colour import to_rgb
from edge3vt.picture.screen import screen

GRID = (4, 2)  # cells of a landmark, across and down
TOLERANCE = 16  # grey levels by which each cell's mean may differ: a capture card's gain and range
MATCHED = 0.6  # of a profile's landmarks: a patient's name and the settings change
LANDMARKS = 6
FOUND_WIDTH_PX = 975  # the width of the screens that picture.screen was tried on
RETRY_FRAMES = 30  # between two looks for a profile that fits
SMALLEST_PX = 32
UNKNOWN, FOUND = "the whole picture", "found"


@dataclass(frozen=True, slots=True)
class Landmark:
    """A rectangle of the screen and the mean grey level of its 4 x 2 cells, row by row."""

    region: tuple[int, int, int, int]
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """One probe or preset of one scanner on one capture card: how its screen looks. Lengths in pixels of it.

    region: x0, y0, x1, y1 of the ultrasound picture, half-open. furniture: what tells this screen from others of its
    size; none means any.
    """

    schema: Literal[1]
    name: str
    width: int
    height: int
    region: tuple[int, int, int, int]
    mm_per_px: float | None = None
    furniture: tuple[Landmark, ...] = ()

    def __post_init__(self) -> None:
        _check(self.region, self.width, self.height, "region")
        if min(self.region[2] - self.region[0], self.region[3] - self.region[1]) < SMALLEST_PX:
            raise ConfigError(f"region is {_told(self.region)}, expected at least {SMALLEST_PX} px a side; correct it")
        if self.mm_per_px is not None and not 0.005 <= self.mm_per_px <= 2:
            raise ConfigError(f"mm_per_px is {self.mm_per_px:g}, expected 0.005 to 2; measure it on the depth scale")
        for mark in self.furniture:
            _check(mark.region, self.width, self.height, "a landmark")
            if len(mark.levels) != GRID[0] * GRID[1] or not all(0 <= level <= 255 for level in mark.levels):
                raise ConfigError(f"a landmark has the levels {mark.levels}, expected 8 of 0 to 255")

    def likeness(self, frame: Frame) -> float:
        """The share of landmarks that the frame shows; 0 for another size, 0.5 for a profile without any."""
        if (frame.width, frame.height) != (self.width, self.height):
            return 0.0
        if not self.furniture:
            return 0.5
        alike = [
            all(abs(a - b) <= TOLERANCE for a, b in zip(_levels(frame, mark.region), mark.levels, strict=True))
            for mark in self.furniture
        ]
        return sum(alike) / len(alike)


@dataclass(frozen=True, slots=True)
class Found:
    """The sector's box in a picture. confidence: 0 to 1, how alike it was from picture to picture, and how filled."""

    region: Region
    confidence: float


@dataclass(frozen=True, slots=True)
class Placement:
    """The region in force. origin: "source", "profile NAME", "found" or UNKNOWN. sure: needs nobody's confirmation."""

    region: Region | None
    mm_per_px: float | None
    origin: str
    confidence: float
    sure: bool


def read_profile(name: str, working: Path = Path()) -> Profile:
    """The profile that a FILE or a NAME of profiles/ means. Raises ConfigError naming file, key and remedy."""
    return read_toml(Profile, find("profile", name, working))


def chosen(profiles: Iterable[Profile], frame: Frame) -> tuple[Profile, float] | None:
    """The profile that fits the frame best, with its likeness; None where none fits."""
    fits = [(profile.likeness(frame), profile) for profile in profiles]
    best = max(fits, key=lambda fit: fit[0], default=None)
    if best is None or not (best[0] >= MATCHED or (best[0] > 0 and not best[1].furniture)):
        return None
    return best[1], best[0]


def learnt(name: str, frames: Sequence[Frame], region: Region, mm_per_px: float | None = None) -> Profile:
    """A profile from a few frames of a screen: what stands still around the region is its furniture.

    Raises ConfigError where the region lies outside the picture.
    """
    height, width = frames[0].height, frames[0].width
    sides = (region.x0, region.y0, region.x1, region.y1)
    _check(sides, width, height, "region")
    across, down = max(width // 16, 8), max(height // 16, 8)
    marks: list[tuple[float, Landmark]] = []
    for y in range(0, height - down + 1, down):
        for x in range(0, width - across + 1, across):
            box = (x, y, x + across, y + down)
            if x < region.x1 and region.x0 < box[2] and y < region.y1 and region.y0 < box[3]:
                continue
            seen = np.array([_levels(frame, box) for frame in frames])
            if int(np.ptp(seen, axis=0).max()) <= TOLERANCE // 4:
                levels = seen[0].tolist()
                marks.append((float(np.ptp(seen[0])), Landmark(box, tuple(levels))))
    marks.sort(key=lambda mark: -mark[0])
    return Profile(
        1, name, width, height, sides, mm_per_px, tuple(mark for told, mark in marks[:LANDMARKS] if told > 4)
    )


def as_toml(profile: Profile) -> str:
    """The document that ``read_profile`` reads."""
    sides, scale = list(profile.region), profile.mm_per_px
    lines = [f"schema = {profile.schema}", f"name = {json.dumps(profile.name)}", f"width = {profile.width}"]
    lines += [f"height = {profile.height}", f"region = {sides}  # x0, y0, x1, y1 of the ultrasound picture"]
    lines += [] if scale is None else [f"mm_per_px = {scale}"]
    for mark in profile.furniture:
        lines += ["", "[[furniture]]", f"region = {list(mark.region)}", f"levels = {list(mark.levels)}"]
    return "\n".join(lines) + "\n"


def found(frames: Sequence[Frame]) -> Found | None:
    """The sector in a few frames of one format; None where they hold none. About 0.2 s a frame: not for the loop."""
    boxes, filled = [], []
    for frame in frames:
        rgb = to_rgb(frame)
        scale = max(frame.width / FOUND_WIDTH_PX, 1.0)
        size = (round(frame.width / scale), round(frame.height / scale))
        small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        try:
            inside = screen(f"frame {frame.index}", small if frame.layout is not Layout.GRAY else small[..., 0]).inside
        except DataError:
            return None
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if not len(rows):
            return None
        box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        boxes.append(np.round(box * scale).astype(int))
        part = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        levels = cv2.blur(small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 1], (9, 9))
        filled.append(float((np.asarray(levels) > 8)[part].mean()))
    if not boxes:
        return None
    x0, y0, x1, y1 = (int(side) for side in np.median(np.array(boxes), axis=0))
    region = Region(x0, y0, x1, y1).clipped(frames[0].width, frames[0].height)
    if min(region.width, region.height) < SMALLEST_PX:
        return None
    alike = min(overlap(region, Region(*(int(side) for side in box))) for box in boxes)
    return Found(region, alike * min(float(np.median(filled)) / 0.6, 1.0))


class Framing:
    """Gives each frame its region: the source's own, else that of a profile, else what was found. Pure."""

    def __init__(self, profiles: Sequence[Profile] = ()) -> None:
        self._profiles = tuple(profiles)
        self._size: tuple[int, int] | None = None
        self._placed: Placement | None = None
        self._wait = 0
        self._again = False  # one that was found holds no more, and it is looked for
        self.placement = Placement(None, None, UNKNOWN, 0.0, sure=True)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the last frame's picture."""
        return self._size

    @property
    def unconfirmed(self) -> bool:
        """The region in force was found and nobody has confirmed it, or one is looked for again: show no overlay."""
        again = self.placement.origin == UNKNOWN and self._again
        return again or (self.placement.origin == FOUND and not self.placement.sure)

    @property
    def searching(self) -> bool:
        """Neither source nor profile tells: ``found`` is to be asked, beside the loop, and its answer placed here."""
        return self._placed is None and self.placement.origin == UNKNOWN

    def step(self, frame: Frame) -> Frame:
        """The frame with region and scale; ``placement`` then says whence."""
        if (frame.width, frame.height) != self._size:
            self._size = (frame.width, frame.height)
            self.renew()
        if frame.region is not None:
            self.placement = Placement(frame.region, frame.mm_per_px, "source", 1.0, sure=True)
            return frame
        if self._profiles and (self._placed is None or self._placed.origin == FOUND):
            self._wait -= 1
            if self._wait < 0:
                self._wait = RETRY_FRAMES
                self._choose(frame)
        if self._placed is None:
            self.placement = Placement(None, frame.mm_per_px, UNKNOWN, 0.0, sure=False)
            return frame
        placed = self._placed
        self.placement = placed
        return replace(frame, region=placed.region, mm_per_px=frame.mm_per_px or placed.mm_per_px)

    def place(self, found: Found, width: int, height: int) -> bool:
        """Take what was found in pictures of that size; False where the size has changed since, or a profile fits."""
        if (width, height) != self._size or self._placed is not None:
            return False
        self._placed, self._again = Placement(found.region, None, FOUND, found.confidence, sure=False), False
        self.placement = self._placed
        return True

    def nothing(self) -> None:
        """None was found: the whole picture it is."""
        self._again = False

    def confirm(self) -> None:
        """Somebody has looked at the region that was found, and it is right."""
        if self._placed is not None:
            self._placed = self.placement = replace(self._placed, sure=True)

    def renew(self) -> None:
        """The layout has changed: what was chosen or found holds no more."""
        self._again = self._again or (self._placed is not None and self._placed.origin == FOUND)
        self._placed, self._wait = None, 0
        self.placement = Placement(None, None, UNKNOWN, 0.0, sure=False)

    def _choose(self, frame: Frame) -> None:
        fit = chosen(self._profiles, frame)
        if fit is not None:
            profile, likeness = fit
            origin = f"profile {profile.name}"
            self._placed = Placement(Region(*profile.region), profile.mm_per_px, origin, likeness, sure=True)


def _levels(frame: Frame, box: tuple[int, int, int, int]) -> list[int]:
    part = (slice(box[1], box[3]), slice(box[0], box[2]))
    coloured = frame.layout in (Layout.RGB, Layout.BGR)
    luma = replace(frame, pixels=frame.pixels[part]).luma if coloured else frame.luma[part]
    return [int(level) for level in np.asarray(cv2.resize(luma, GRID, interpolation=cv2.INTER_AREA)).ravel()]


def overlap(a: Region, b: Region) -> float:
    """Intersection over union."""
    both = max(min(a.x1, b.x1) - max(a.x0, b.x0), 0) * max(min(a.y1, b.y1) - max(a.y0, b.y0), 0)
    return both / max(a.width * a.height + b.width * b.height - both, 1)


def _check(sides: tuple[int, int, int, int], width: int, height: int, what: str) -> None:
    x0, y0, x1, y1 = sides
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ConfigError(f"{what} is {_told(sides)}, outside its picture of {width}x{height} px; correct it")


def _told(sides: tuple[int, int, int, int]) -> str:
    return ",".join(map(str, sides))
