"""The scanner: where its beams run, and the conversion of their echoes to a picture on its screen.

Curvatures, openings and apertures are the usual ones of abdominal, phased and linear probes, rounded; how often each
is used, zoomed and narrowed is our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.frame import Pixels, Region
from edge3vt.phantom.desk import Shown
from edge3vt.phantom.furniture import Layout, draw_layout, furnished

Field = NDArray[np.float32]
Probe = Literal["convex", "sector", "linear"]
Site = Literal["A", "B"]
DEPTHS, LINES = 512, 256  # samples along a beam, and beams
BARE_BELOW_PX = 500
"""A smaller picture is a region already cut out: no furniture."""
MARGIN = 0.03
"""Share of the beams that runs on beyond either side of the region, so that no blur ends at its edge."""
COVERED = 0.7
"""Share of the region's middle row that the sector covers at least, as far as the probe opens."""
_WIDEST = {"convex": np.radians(40), "sector": np.radians(45), "linear": np.radians(20)}


@dataclass(frozen=True, slots=True, eq=False)
class Scanner:
    """A probe's picture on a screen of ``width`` x ``height``, at one depth.

    Millimetres have their origin at the top middle of the region, across to the right and in depth downwards.
    corner_mm: where that lies beside and below the middle of the probe's face. line_spacing_mm: (DEPTHS,) distance of
    neighbouring beams, in the middle. sample_mm: (2, DEPTHS, LINES) across and depth of each polar sample. pixel_mm:
    the region's pixel centres, as an axis across and one in depth. imaged: (h, w) pixels of the region inside the
    sector, also those that furniture covers. depth_mm: (DEPTHS,) depth of each sample below the probe's face.
    furniture: (height, width) the screen without its picture; where it is not 0 inside the region, it lies over the
    picture.
    """

    width: int
    height: int
    region: Region
    mm_per_px: float
    depth_step_mm: float
    line_spacing_mm: Field
    sample_mm: Field
    corner_mm: tuple[float, float]
    pixel_mm: tuple[Field, Field]
    imaged: NDArray[np.bool_]
    depth_mm: Field
    furniture: Pixels
    _places: NDArray[np.intp]  # flat indices of the screen that the picture fills
    _cells: NDArray[np.intp]  # and of the polar sample above and to the left of each
    _below: Field  # its distance from that sample, in samples
    _right: Field

    def picture(self, polar: Field) -> Pixels:
        """(height, width) uint8 screen from a (DEPTHS, LINES) picture of 0..1, interpolated linearly."""
        flat = polar.ravel()
        left, right, low_left, low_right = (flat[k:].take(self._cells) for k in (0, 1, LINES, LINES + 1))
        for start, end, share in (
            (left, right, self._right),
            (low_left, low_right, self._right),
            (left, low_left, self._below),
        ):
            end -= start
            end *= share
            start += end
        left *= np.float32(255)
        left += np.float32(0.5)
        np.clip(left, 0, 255, out=left)
        screen = self.furniture.copy()
        screen.reshape(-1)[self._places] = left.astype(np.uint8)
        return screen


@dataclass(frozen=True, slots=True)
class Setup:
    """A machine, and what of its picture stays while the depth is changed by hand.

    half_angle: opening to each side, in radians. curvature_mm: radius of the probe's face, 0 for a flat one.
    aperture_mm: width of a flat face, else 0. zoom_mm: depth of the zoomed box's middle, None for the whole sector.
    aside: how far the zoomed box lies beside the sector's middle, -1..1. rise: share of a curved face that is on the
    screen. reach: depth of the sector's end as a share of the region's. layout: its furniture, None without any.
    """

    width: int
    height: int
    site: Site
    probe: Probe
    region: Region
    half_angle: float
    curvature_mm: float
    aperture_mm: float
    zoom_mm: float | None
    aside: float
    rise: float
    reach: float
    layout: Layout | None

    @property
    def widths_mm(self) -> tuple[float, float]:
        """Region widths, smallest and largest, at which such a probe is used in pregnancy."""
        ranges = {"convex": (60.0, 130.0), "sector": (60.0, 120.0), "linear": (40.0, 75.0)}
        low, high = ranges[self.probe]
        return (0.75 * low, 0.85 * high) if self.zoom_mm is not None else (low, high)

    def scanner(self, width_mm: float) -> Scanner:
        """This machine with the depth set so that its region is ``width_mm`` wide."""
        region = self.region
        mm_per_px = width_mm / region.width
        across = (np.arange(region.width, dtype=np.float32) + np.float32(0.5)) * np.float32(mm_per_px)
        across -= np.float32(width_mm / 2)
        depth = (np.arange(region.height, dtype=np.float32) + np.float32(0.5)) * np.float32(mm_per_px)
        height_mm = region.height * mm_per_px
        half, top_mm, aside_mm = self._box(width_mm, height_mm)
        x, z = across + np.float32(aside_mm), depth + np.float32(top_mm)

        start, stop, first, last = self._extent(x, z, half)
        step = (stop - start) / (DEPTHS - 1)

        u, v = self._polar(x[None, :], z[:, None], half)
        u -= np.float32(start)
        u *= np.float32(1 / step)
        v -= np.float32(first)
        v *= np.float32((LINES - 1) / (last - first))
        imaged = (u >= 0) & (u <= DEPTHS - 1) & (v >= 0) & (v <= LINES - 1)

        depths = (start + np.arange(DEPTHS) * step).astype(np.float32)
        face, beam, spacing = self._beams(np.linspace(first, last, LINES), depths, half)
        face -= np.array([[aside_mm], [top_mm]], np.float32)
        samples = face[:, None, :] + depths[None, :, None] * beam[:, None, :]

        if self.layout is None:
            furniture = np.zeros((self.height, self.width), np.uint8)
        else:
            furniture = furnished(self.layout, Shown(self.probe, mm_per_px, top_mm, top_mm + height_mm, imaged))
        seen = imaged & (furniture[region.y0 : region.y1, region.x0 : region.x1] == 0)
        pixels = np.flatnonzero(seen)
        rows, columns = np.divmod(pixels, region.width)
        u, v = u.ravel().take(pixels), v.ravel().take(pixels)
        i, j = np.minimum(u.astype(np.intp), DEPTHS - 2), np.minimum(v.astype(np.intp), LINES - 2)
        return Scanner(
            width=self.width,
            height=self.height,
            region=region,
            mm_per_px=mm_per_px,
            depth_step_mm=step,
            line_spacing_mm=spacing,
            sample_mm=samples,
            corner_mm=(aside_mm, top_mm),
            pixel_mm=(across, depth),
            imaged=imaged,
            depth_mm=depths,
            furniture=furniture,
            _places=(rows + region.y0) * self.width + columns + region.x0,
            _cells=i * LINES + j,
            _below=u - i.astype(np.float32),
            _right=v - j.astype(np.float32),
        )

    def _box(self, width_mm: float, height_mm: float) -> tuple[float, float, float]:
        """Half angle, depth of the region's top below the face's middle, and how far its middle lies aside."""
        middle = height_mm / 2 if self.zoom_mm is None else max(self.zoom_mm, height_mm / 2 + 3)
        half, arm, wanted_mm = self.half_angle, self.curvature_mm + middle, COVERED * width_mm / 2
        if self.aperture_mm:
            wanted = float(np.arctan((wanted_mm - self.aperture_mm / 2) / middle))
        else:
            wanted = float(np.arctan(wanted_mm / arm))
        half = max(half, min(wanted, float(_WIDEST[self.probe])))
        if self.zoom_mm is None:
            return half, -self.rise * self.curvature_mm * (1 - float(np.cos(half))), 0.0
        return half, middle - height_mm / 2, self.aside * max(arm * float(np.tan(half)) - wanted_mm, 0.0)

    def _extent(self, x: Field, z: Field, half: float) -> tuple[float, float, float, float]:
        """First and last depth in mm, first and last beam from -1 to 1, that the region needs."""
        depth, line = self._polar(*_rim(x, z), half)
        pixel_mm = float(z[1] - z[0])
        end = np.inf if self.zoom_mm is not None else float(z[0]) + self.reach * len(z) * pixel_mm
        first, last = max(float(line.min()), -1.0), min(float(line.max()), 1.0)
        margin = MARGIN * (last - first)
        return (
            max(float(depth.min()), 0.0),
            min(float(depth.max()) + pixel_mm, end),
            max(first - margin, -1.0),
            min(last + margin, 1.0),
        )

    def _beams(self, at: NDArray[np.float64], depth_mm: Field, half: float) -> tuple[Field, Field, Field]:
        """Where beams (-1..1) leave the face in the probe's own mm, their directions, and their spacing by depth."""
        if self.aperture_mm:
            angles = np.arctan(at * np.tan(half))
            face = np.stack([at * self.aperture_mm / 2, np.zeros_like(at)])
            spacing = (at[1] - at[0]) * (self.aperture_mm / 2 + depth_mm * np.tan(half))
        else:
            angles = at * half
            face = self.curvature_mm * np.stack([np.sin(angles), np.cos(angles) - 1])
            spacing = (at[1] - at[0]) * half * (self.curvature_mm + depth_mm)
        beam = np.stack([np.sin(angles), np.cos(angles)])
        return face.astype(np.float32), beam.astype(np.float32), spacing.astype(np.float32)

    def _polar(self, x: Field, z: Field, half: float) -> tuple[Field, Field]:
        """Depth below the face in mm, and beam from -1 at the left to 1, of points in the probe's own millimetres."""
        line: Field
        depth: Field
        if self.aperture_mm:
            slope = np.float32(np.tan(half))
            line = x / (z * slope + np.float32(self.aperture_mm / 2))
            depth = z * np.sqrt(1 + (line * slope) ** 2)
        else:
            r = np.float32(self.curvature_mm)
            depth = np.sqrt(x * x + (z + r) ** 2)
            depth -= r
            line = np.arctan(x / (z + r))
            line *= np.float32(1 / half)
        return depth, line


def _rim(x: Field, z: Field) -> tuple[Field, Field]:
    """Points all along a rectangle's rim, and the one where the beam in the middle enters it."""
    left, right, top, bottom = (
        np.full(len(w), v[i], np.float32) for v, w, i in ((x, z, 0), (x, z, -1), (z, x, 0), (z, x, -1))
    )
    middle = np.clip(np.zeros(1, np.float32), x[0], x[-1])
    return np.concatenate([x, x, left, right, middle]), np.concatenate([top, bottom, z, z, z[:1]])


def draw_setup(
    rng: np.random.Generator,
    width: int,
    height: int,
    *,
    site: Site = "A",
    probe: Probe | None = None,
    bare: bool | None = None,
) -> Setup:
    """A machine as obstetric services have them, mostly convex; ``bare``: the region alone fills the screen.

    Site B's machines stand elsewhere: other furniture, tighter curves, more phased probes.
    """
    if bare is None:
        bare = min(width, height) < BARE_BELOW_PX
    shares = {"A": (0.84, 0.08, 0.08), "B": (0.7, 0.2, 0.1)}[site]
    probes: tuple[Probe, ...] = ("convex", "sector", "linear")
    drawn = probes[int(rng.choice(3, p=shares))]
    probe = drawn if probe is None else probe
    opening, narrowed = rng.uniform(25, 40), rng.uniform(0.45, 0.95) if rng.uniform() < 0.55 else 1.0
    curvature = rng.uniform(40, 60) if site == "A" else rng.uniform(36, 50)
    zoomed, zoom_mm = rng.uniform() < (0.5 if probe == "convex" else 0.25), rng.uniform(55, 100)
    flat, steered = rng.uniform(38, 50), rng.uniform(8, 20) if rng.uniform() < 0.5 else 0.0
    phased, tip = rng.uniform(36, 45), rng.uniform(3, 8)
    half = {"convex": opening * narrowed, "sector": phased, "linear": steered}[probe]
    aside, rise, reach = rng.uniform(-1, 1), rng.choice([0.0, 1.05, rng.uniform(0, 1)]), rng.uniform(0.95, 1.12)
    layout = None if bare else draw_layout(rng, width, height, site)
    return Setup(
        width=width,
        height=height,
        site=site,
        probe=probe,
        region=Region(0, 0, width, height) if layout is None else layout.region,
        half_angle=float(np.radians(half)),
        curvature_mm=float({"convex": curvature, "sector": tip, "linear": 0.0}[probe]),
        aperture_mm=float(flat) if probe == "linear" else 0.0,
        zoom_mm=float(zoom_mm) if zoomed and probe != "linear" else None,
        aside=float(aside),
        rise=float(rise),
        reach=float(reach),
        layout=layout,
    )
