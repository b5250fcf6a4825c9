"""A view that changes place from one frame to the next, planted in a phantom, and how soon it is found again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edge3vt.bench.follower import Follower
from edge3vt.core.anatomy import CLASS_NAMES, Structure
from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.core.frame import Frame
from edge3vt.core.metrics import confusion, dice
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.cine import Scene
from edge3vt.phantom.motion import Motion

VESSELS = (Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA)
LEAST_MM = 25.0  # of a jump
WHOLE = 0.9  # of the vessels has to be in the picture at the other place
FOUND = 0.5  # mean Dice of the three vessels of an overlay that is at its place


def other_place(scene: Scene) -> Motion | None:
    """The scene's motion at the place furthest away that has all vessels in the picture, half a turn on; or None."""
    here = scene.motion
    wide, tall = scene.region.width * scene.mm_per_px, scene.region.height * scene.mm_per_px
    places = [(x * wide, y * tall) for x in (-0.22, 0.0, 0.22) for y in (0.35, 0.5, 0.65)]
    before = np.isin(scene.truth(0.0), VESSELS).sum()
    for place in sorted(places, key=lambda p: -float(np.hypot(*np.subtract(p, here.centre_mm)))):
        if np.hypot(*np.subtract(place, here.centre_mm)) < LEAST_MM:
            break
        scene.motion = replace(here, centre_mm=place, angle=here.angle + np.pi)
        whole = np.isin(scene.truth(0.0), VESSELS).sum() >= WHOLE * before
        there, scene.motion = scene.motion, here
        if whole:
            return there
    return None


def jumping(scene: Scene, there: Motion, rate_hz: float, seconds: float) -> Iterator[tuple[Frame, Mask]]:
    """``seconds`` of the scene where it is, and as many after the jump, with the truth."""
    half = round(seconds * rate_hz)
    here = scene.motion
    for index in range(2 * half):
        scene.motion = here if index < half else there
        picture = scene.at(index / rate_hz)
        yield (
            Frame(
                index,
                round(index * NS_PER_S / rate_hz),
                picture.pixels,
                region=picture.region,
                mm_per_px=picture.mm_per_px,
            ),
            picture.mask,
        )
    scene.motion = here


class Refinding:
    """One follower's way through a jump."""

    def __init__(self, follower: Follower, jump_s: float, rate_hz: float) -> None:
        self._follower = follower
        self._jump_ns, self._period_ns = round(jump_s * NS_PER_S), round(NS_PER_S / rate_hz)
        self.held_before = False  # an overlay was there at the last frame before the jump
        self.found_ms: float | None = None

    def see(self, frame: Frame, truth: Mask) -> None:
        seen = self._follower.see(frame)
        right = seen.shown and self._mean(truth, seen.mask) >= FOUND
        if frame.captured_ns < self._jump_ns:
            self.held_before = right
        elif right and self.found_ms is None:  # a frame is out no later than the next one comes
            self.found_ms = (frame.captured_ns + self._period_ns - self._jump_ns) / NS_PER_MS

    @staticmethod
    def _mean(truth: Mask, found: Mask) -> float:
        return float(np.mean(dice(confusion(truth, found, len(CLASS_NAMES)))[list(VESSELS)]))
