"""Cines and stills of the phantom: everything drawn from one seed, with the exact mask of every picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.frame import Pixels, Region
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.acoustics import Echoes, System, draw_beam, draw_gain
from edge3vt.phantom.anatomy import Anatomy, Variant, draw_anatomy, thorax_mm
from edge3vt.phantom.body import Plane, draw_view
from edge3vt.phantom.canvas import CELL_MM, CELLS, HALF_MM
from edge3vt.phantom.mother import draw_layers
from edge3vt.phantom.motion import PULSATION, Motion, Pose, draw_motion
from edge3vt.phantom.planes import ARM_CLASSES, OTHER_SHARES, OTHER_VIEWS, OtherView, draw_arm, draw_other
from edge3vt.phantom.scanner import DEPTHS, LINES, Probe, Scanner, Setup, Site, draw_setup
from edge3vt.phantom.site_b import draw_aperture
from edge3vt.phantom.texture import BANK, Field, complex_noise, grain

Kind = Literal["view", "sweep", "other", "arm"]
KINDS: tuple[Kind, ...] = get_args(Kind)
BEAT_STEPS = 8
GRAIN_MM = 0.1  # of a cell of the scatterer field, half of it for small parts
LOST_CONTACT_DB = -80.0


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture: (H, W) uint8 luma, and its truth, (H, W) uint8 class indices.

    The truth of a fetus is empty when the picture is not the view; that of an arm, never the view, is not.
    """

    pixels: Pixels
    mask: Mask
    holds_view: bool
    region: Region
    mm_per_px: float


@dataclass(frozen=True, slots=True)
class Record:
    """What is true of a scene: enough to choose by, and to label it. diameters_mm: by class name, vessels at rest."""

    seed: int
    kind: Kind
    site: Site
    probe: Probe
    view: str  # "three_vessel_trachea", "arm", or one of OTHER_VIEWS; a sweep's is the view it passes
    weeks: float
    variant: str
    mirrored: bool
    angle_deg: float
    heart_rate_bpm: float
    diameters_mm: dict[str, float]


class Scene:
    """One fetus on one scanner, moving: pictures at any time, the same for the same seed on one machine.

    kind "view" holds the view throughout; "sweep" comes from the four chambers, passes the view and goes away;
    "other" never holds it; "arm" shows vessels and a nerve as a linear probe does, with ``classes`` of its own.
    by_hand: gain and depth are changed on the way, and ``Picture.mm_per_px`` with it. What is not given is drawn.
    """

    def __init__(
        self,
        seed: int,
        width: int,
        height: int,
        *,
        kind: Kind = "view",
        site: Site = "A",
        probe: Probe | None = None,
        weeks: float | None = None,
        variant: Variant | None = None,
        other: OtherView | None = None,
        duration_s: float = 2.0,
        by_hand: bool = False,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"scene kind {kind!r}; expected {', '.join(KINDS)}")
        self._rng = np.random.default_rng([seed, 0x3F7])
        self._seed, self.kind, self.site, self.duration_s = seed, kind, site, duration_s
        self._probe: Probe | None = "linear" if kind == "arm" else probe
        self._by_hand = by_hand
        self.anatomy: Anatomy = draw_anatomy(self._rng, weeks, variant)
        self.classes = ARM_CLASSES if kind == "arm" else CLASS_NAMES
        drawn = OTHER_VIEWS[int(self._rng.choice(len(OTHER_VIEWS), p=OTHER_SHARES))]
        self._view: Callable[[float], Plane] | None = None
        self._before: Plane | None = None
        self._after: Plane | None = None
        self._away: OtherView = (other or drawn) if kind == "other" else drawn
        age = self.anatomy.gestational_weeks
        if kind == "arm":
            self._before = draw_arm(self._rng)
        elif kind == "other":
            self._before = draw_other(self._away, self._rng, age)
        else:
            self._view = draw_view(self.anatomy, self._rng)
            if kind == "sweep":
                self._before = draw_other("four_chambers", self._rng, age)
                self._after = draw_other(self._away if self._away != "frozen" else "tissue", self._rng, age)
        self._beats: dict[int, Plane] = {}
        self._scan = 0
        self._draw_scan(width, height)

    def rescan(self, width: int, height: int) -> None:
        """The same fetus on another scanner, from another side: draws scanner, beam and motion anew."""
        self._scan += 1
        self._draw_scan(width, height)

    def _draw_scan(self, width: int, height: int) -> None:
        rng = self._rng
        self._grain_at, self._grain_mm = rng.integers(0, BANK, 2), GRAIN_MM / 2 if self.kind == "arm" else GRAIN_MM
        self.setup: Setup = draw_setup(rng, width, height, site=self.site, probe=self._probe)
        if self.kind == "arm":
            width_mm = float(rng.uniform(28, 50))
        else:
            thorax = thorax_mm(self.anatomy.gestational_weeks)
            low, high = self.setup.widths_mm
            width_mm = float(np.clip(thorax * rng.uniform(0.95, 1.7), low, max(high, 0.95 * thorax)))
        self._scanners: dict[float, Scanner] = {}
        self._width_mm = width_mm
        self.scanner: Scanner = self._scanner(1.0)
        centre, angle = self._placed(rng)
        self.motion: Motion = draw_motion(
            rng, centre, self.duration_s, sweep=self.kind == "sweep", by_hand=self._by_hand, angle=angle
        )
        deepest = float(self.scanner.depth_mm[-1])
        fine = 0.45 if self.kind == "arm" else 1.0  # of the wavelength, for small parts
        self.system: System = draw_beam(rng, deepest, fine) if self.site == "A" else draw_aperture(rng, fine)
        self._gain = draw_gain(rng)
        beside = np.hypot(*(self.scanner.sample_mm - np.array(centre, dtype=np.float32)[:, None, None]))
        depth_mm = float(self.scanner.depth_mm[int(beside.argmin()) // LINES])
        body_mm = 0.55 * thorax_mm(self.anatomy.gestational_weeks)
        self._layers = draw_layers(rng, 1.5 if self.kind == "arm" else depth_mm - body_mm)

    def _placed(self, rng: np.random.Generator) -> tuple[tuple[float, float], float | None]:
        """Where the middle of the plane lies, in mm of the picture, and its angle where that is not free."""
        wide, tall = self.region.width * self.mm_per_px, self.region.height * self.mm_per_px
        if self.kind == "arm":  # the skin lies under the probe
            return (float(rng.uniform(-4, 4)), 18.0), float(np.pi + rng.normal(0, 0.06))
        courses = (self.anatomy.pulmonary_artery, self.anatomy.aortic_arch, np.array(self.anatomy.veins))
        reach = max(float(np.hypot(*course.T).max()) for course in courses) + 3.0
        for _ in range(12):  # the vessels, within ``reach`` of the middle, have to be in the picture
            centre = float(rng.uniform(-0.22, 0.22) * wide), float(rng.uniform(0.32, 0.68) * tall)
            turn = np.linspace(0, 2 * np.pi, 12)
            columns = ((centre[0] + reach * np.cos(turn) + wide / 2) / self.mm_per_px).astype(int)
            rows = ((centre[1] + reach * np.sin(turn)) / self.mm_per_px).astype(int)
            height, width = self.scanner.imaged.shape
            inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
            if inside.all() and self.scanner.imaged[rows, columns].all():
                return centre, None
        return (0.0, 0.52 * tall), None

    @property
    def region(self) -> Region:
        return self.scanner.region

    @property
    def mm_per_px(self) -> float:
        """At the scene's start."""
        return self.scanner.mm_per_px

    @property
    def record(self) -> Record:
        """What is true of the scene as it is scanned now."""
        holds = self._view is not None
        sizes = self.anatomy.diameter_mm if holds else {}
        return Record(
            seed=self._seed,
            kind=self.kind,
            site=self.site,
            probe=self.setup.probe,
            view="three_vessel_trachea" if holds else "arm" if self.kind == "arm" else self._away,
            weeks=round(self.anatomy.gestational_weeks, 2),
            variant=self.anatomy.variant if holds else "none",
            mirrored=self.motion.mirrored,
            angle_deg=round(float(np.degrees(self.motion.angle)) % 360, 1),
            heart_rate_bpm=round(60 * self.motion.beat_hz, 1),
            diameters_mm={CLASS_NAMES[s]: round(d, 3) for s, d in sizes.items()},
        )

    def at(self, seconds: float) -> Picture:
        """Picture and truth at ``seconds``."""
        scanner = self.scanner_at(seconds)
        return Picture(
            self.pixels(seconds), self.truth(seconds), self.holds_view(seconds), scanner.region, scanner.mm_per_px
        )

    def pixels(self, seconds: float) -> Pixels:
        """(H, W) uint8 screen at ``seconds`` from the scene's start."""
        if self._frozen:
            seconds = 0.0
        pose = self.motion.at(seconds)
        gain_db, depth = self.motion.controls(seconds)
        scanner = self._scanner(depth)
        if self.kind == "other" and self._away == "black":
            return scanner.picture(np.zeros((DEPTHS, LINES), np.float32))
        x, y = self._plane(scanner, scanner.sample_mm[0], scanner.sample_mm[1], pose)
        cells = _cells(x, y)
        sums = [np.zeros(cells.shape, np.float32) for _ in range(3)]
        for (tissue, _), share in self._planes(pose):
            for total, field in zip(sums, (tissue.amplitude, tissue.level, tissue.absorption), strict=True):
                total += field.ravel()[cells] if share == 1 else np.float32(share) * field.ravel()[cells]
        amplitude, level, absorption = sums
        self._layers.cover(amplitude, level, absorption, scanner)
        rng = np.random.default_rng([self._seed, 0x401, self._scan, round(seconds * 1e6)])
        gain = self._gain + np.float32(gain_db)
        if self.kind == "other" and self._away == "air":
            gain = gain + np.float32(LOST_CONTACT_DB)
            self._layers.ring(amplitude, scanner)
        noise = complex_noise(rng, (DEPTHS, LINES))
        echoes = Echoes(amplitude, level, absorption, grain(x, y, self._grain_mm, self._grain_at), noise, gain)
        return scanner.picture(self.system.picture(echoes, scanner))

    def holds_view(self, seconds: float) -> bool:
        """Whether the picture at ``seconds`` is the view."""
        return self._view is not None and self.motion.at(seconds).presence > 0.5

    def truth(self, seconds: float) -> Mask:
        """(H, W) class indices at ``seconds``, the same however often and in whatever order it is asked for."""
        truth = np.zeros((self.setup.height, self.setup.width), dtype=np.uint8)
        plane = self._labelled(seconds)
        if plane is None:
            return truth
        scanner, x, y = self._pixel_plane(seconds)
        r = scanner.region
        truth[r.y0 : r.y1, r.x0 : r.x1] = np.where(scanner.imaged, plane[1].mask(x, y), 0)
        return truth

    def field(self, seconds: float) -> dict[int, Field]:
        """Class index -> (h, w) signed distance in mm of the region's pixels to its outline, < 0 inside.

        Known up to 1.5 mm beyond the outline, and not cut by the sector's edge; empty where the truth is.
        """
        plane = self._labelled(seconds)
        if plane is None:
            return {}
        _, x, y = self._pixel_plane(seconds)
        return {label: plane[1].distance(label, x, y) for label in plane[1].labels}

    def scanner_at(self, seconds: float) -> Scanner:
        """The scanner at the depth that is set at ``seconds``."""
        return self._scanner(1.0 if self._frozen else self.motion.controls(seconds)[1])

    @property
    def _frozen(self) -> bool:
        return self.kind == "other" and self._away == "frozen"

    def _labelled(self, seconds: float) -> Plane | None:
        if self.kind == "arm":
            return self._before
        return self._beat(self.motion.at(seconds)) if self.holds_view(seconds) else None

    def _pixel_plane(self, seconds: float) -> tuple[Scanner, Field, Field]:
        scanner = self.scanner_at(seconds)
        across, depth = scanner.pixel_mm
        return scanner, *self._plane(scanner, across[None, :], depth[:, None], self.motion.at(seconds))

    def _plane(self, scanner: Scanner, across: Field, depth: Field, pose: Pose) -> tuple[Field, Field]:
        """Points of a picture in mm of the anatomy, which stays where it is below the probe at every depth."""
        aside, top = np.subtract(scanner.corner_mm, self.scanner.corner_mm).astype(np.float32)
        return pose.to_anatomy(across + aside, depth + top)

    def _planes(self, pose: Pose) -> list[tuple[Plane, float]]:
        if self._view is None:
            assert self._before is not None
            return [(self._before, 1.0)]
        shares = [(self._before, pose.before), (self._after, pose.after)]
        planes = [(plane, share) for plane, share in shares if plane is not None and share > 0]
        return [*planes, (self._beat(pose), pose.presence)] if pose.presence > 0 else planes

    def _beat(self, pose: Pose) -> Plane:
        assert self._view is not None
        beat = round((pose.dilation - 1) / PULSATION * BEAT_STEPS / 2)
        if beat not in self._beats:
            self._beats[beat] = self._view(1 + PULSATION * beat / (BEAT_STEPS / 2))
        return self._beats[beat]

    def _scanner(self, depth: float) -> Scanner:
        if depth not in self._scanners:
            self._scanners[depth] = self.setup.scanner(self._width_mm * depth)
        return self._scanners[depth]


def _cells(x: Field, y: Field) -> NDArray[np.int32]:
    """Flat indices into a tissue map; points beyond it take its edge."""
    scale, half = np.float32(1 / CELL_MM), np.float32(HALF_MM)
    column = np.clip((x + half) * scale, 0, CELLS - 1).astype(np.int32)
    row = np.clip((half - y) * scale, 0, CELLS - 1).astype(np.int32)
    cells: NDArray[np.int32] = row * np.int32(CELLS) + column
    return cells
