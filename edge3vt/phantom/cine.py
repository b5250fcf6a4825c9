"""Cines and stills of the phantom: everything drawn from one seed, with the exact mask of every picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.frame import Pixels, Region
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.acoustics import Beam, draw_beam, draw_shading, echo_picture
from edge3vt.phantom.anatomy import Anatomy, draw_anatomy
from edge3vt.phantom.motion import Motion, Pose, draw_motion
from edge3vt.phantom.scanner import DEPTHS, LINES, Scanner, draw_scanner
from edge3vt.phantom.tissue import CELL_MM, CELLS, HALF_MM, OTHER_VIEWS, TissueMap, draw_other, draw_view

BEAT_STEPS = 8
GRAIN = 1024  # cells of the scatterer field
GRAIN_MM = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture: (H, W) uint8 luma, and its truth, (H, W) uint8 class indices, empty when it is not the view."""

    pixels: Pixels
    mask: Mask
    holds_view: bool


class Scene:
    """One fetus on one scanner, moving: pictures at any time, the same for the same seed on one machine.

    kind "view" holds the view throughout, "sweep" loses it at both ends, "other" never holds it.
    """

    def __init__(self, seed: int, width: int, height: int, *, kind: str = "view", duration_s: float = 2.0) -> None:
        if kind not in ("view", "sweep", "other"):
            raise ValueError(f"scene kind {kind!r}; expected view, sweep or other")
        self._rng = np.random.default_rng([seed, 0x3F7])
        self.kind, self.duration_s = kind, duration_s
        self.anatomy: Anatomy = draw_anatomy(self._rng)
        self._view = draw_view(self.anatomy, self._rng) if kind != "other" else None
        self._other = draw_other(self._rng.choice(np.array(OTHER_VIEWS)), self._rng) if kind != "view" else None
        self._beats: dict[int, TissueMap] = {}
        self._grain = _complex_noise(self._rng, (GRAIN, GRAIN))
        self.rescan(width, height)

    def rescan(self, width: int, height: int) -> None:
        """The same fetus on another scanner, from another side: draws scanner, beam and motion anew."""
        self.scanner: Scanner = draw_scanner(self._rng, width, height)
        size_mm = (self.region.width * self.mm_per_px, self.region.height * self.mm_per_px)
        centre = (float(self._rng.uniform(-0.14, 0.14) * size_mm[0]), float(self._rng.uniform(0.42, 0.58) * size_mm[1]))
        self.motion: Motion = draw_motion(self._rng, centre, self.duration_s, sweep=self.kind == "sweep")
        self.beam: Beam = draw_beam(self._rng, self.scanner.depth_step_mm * DEPTHS)
        self._shading = draw_shading(self._rng, DEPTHS, LINES)

    @property
    def region(self) -> Region:
        return self.scanner.region

    @property
    def mm_per_px(self) -> float:
        return self.scanner.mm_per_px

    def at(self, seconds: float) -> Picture:
        """Picture and truth at ``seconds``."""
        return Picture(self.pixels(seconds), self.truth(seconds), self.holds_view(seconds))

    def pixels(self, seconds: float) -> Pixels:
        """(H, W) uint8 screen at ``seconds`` from the scene's start; its noise follows the order of the calls."""
        pose = self.motion.at(seconds)
        presence = self._presence(pose)
        x, y = _to_anatomy(self.scanner.sample_mm[0], self.scanner.sample_mm[1], pose)
        cells = _cells(x, y)
        amplitude, absorption = np.zeros(cells.shape, np.float32), np.zeros(cells.shape, np.float32)
        for tissue, share in ((self._tissue(pose), presence), (self._other, 1 - presence)):
            if tissue is not None and share > 0:
                amplitude += np.float32(share) * tissue.amplitude.ravel()[cells]
                absorption += np.float32(share) * tissue.absorption.ravel()[cells]
        grain = self._grain.ravel()[
            (np.round(y / GRAIN_MM).astype(np.int32) % GRAIN) * GRAIN + np.round(x / GRAIN_MM).astype(np.int32) % GRAIN
        ]
        noise = _complex_noise(self._rng, (DEPTHS, LINES))
        step, spacing = self.scanner.depth_step_mm, self.scanner.line_spacing_mm
        polar = echo_picture(amplitude, absorption, grain, noise, self.beam, self._shading, step, spacing)
        return self.scanner.picture(polar)

    def holds_view(self, seconds: float) -> bool:
        """Whether the picture at ``seconds`` is the view."""
        return self._presence(self.motion.at(seconds)) > 0.5

    def _presence(self, pose: Pose) -> float:
        return 0.0 if self._view is None else pose.presence if self._other is not None else 1.0

    def _tissue(self, pose: Pose) -> TissueMap | None:
        if self._view is None:
            return None
        beat = round((pose.dilation - 1) / 0.05 * BEAT_STEPS / 2)
        if beat not in self._beats:
            self._beats[beat] = self._view(1 + 0.05 * beat / (BEAT_STEPS / 2))
        return self._beats[beat]

    def truth(self, seconds: float) -> Mask:
        """(H, W) class indices at ``seconds``, the same however often and in whatever order it is asked for."""
        truth = np.zeros((self.scanner.height, self.scanner.width), dtype=np.uint8)
        pose = self.motion.at(seconds)
        tissue = self._tissue(pose)
        if tissue is None or not self.holds_view(seconds):
            return truth
        across, depth = self.scanner.pixel_mm
        x, y = _to_anatomy(across[None, :], depth[:, None], pose)
        r = self.region
        truth[r.y0 : r.y1, r.x0 : r.x1] = np.where(self.scanner.imaged, tissue.labels.ravel()[_cells(x, y)], 0)
        return truth


def still(seed: int, size: int, *, kind: str = "view") -> Picture:
    """One square picture of ``size`` px, the region alone, at a random moment."""
    scene = Scene(seed, size, size, kind=kind)
    return scene.at(float(np.random.default_rng([seed, 0x571]).uniform(0, 2)))


def _to_anatomy(
    across: NDArray[np.float32], depth: NDArray[np.float32], pose: Pose
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Millimetres of the picture to millimetres of the anatomy; arrays broadcast."""
    dx, dy = across - np.float32(pose.centre_mm[0]), depth - np.float32(pose.centre_mm[1])
    if pose.mirrored:
        dx = -dx
    c, s = np.float32(np.cos(pose.angle)), np.float32(np.sin(pose.angle))
    return c * dx + s * dy, c * dy - s * dx


def _cells(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.int32]:
    """Flat indices into a tissue map; points beyond it take its edge."""
    scale, half = np.float32(1 / CELL_MM), np.float32(HALF_MM)
    column = np.clip((x + half) * scale, 0, CELLS - 1).astype(np.int32)
    row = np.clip((half - y) * scale, 0, CELLS - 1).astype(np.int32)
    cells: NDArray[np.int32] = row * np.int32(CELLS) + column
    return cells


def _complex_noise(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.complex64]:
    """Circular complex Gaussian noise of unit power."""
    pair = rng.standard_normal((*shape, 2), dtype=np.float32) * np.float32(np.sqrt(0.5))
    noise: NDArray[np.complex64] = pair.view(np.complex64)[..., 0]
    return noise
