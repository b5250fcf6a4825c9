"""The synthetic view as a clip: rendered before the clock starts, with its exact truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.progress import track

from edge3vt.core.clock import NS_PER_S, Clock
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Layout, Pixels, Region
from edge3vt.core.segmentation import Mask
from edge3vt.phantom.cine import Scene
from edge3vt.picture.clip import Picture
from edge3vt.stream.sources.pace import Replay

MAX_BYTES = 4 << 30
WEEKS = (24.0, 36.0)


class PhantomClip:
    """``scenes`` fetuses of WEEKS one after the other, each swept into the view and out of it, ``loops`` times over.

    Rendering takes about 25 ms a frame of 1024x768 and one byte a pixel. Raises ConfigError for more than MAX_BYTES.
    """

    def __init__(
        self,
        seed: int,
        *,
        seconds: float = 10.0,
        scenes: int = 4,
        width: int = 1024,
        height: int = 768,
        rate_hz: float = 60.0,
        loops: int = 1,
    ) -> None:
        count = max(round(seconds * rate_hz), scenes)
        if count * width * height > MAX_BYTES:
            raise ConfigError(
                f"phantom://{seed}: {count} frames of {width}x{height} need {count * width * height >> 20} MiB, "
                f"expected at most {MAX_BYTES >> 20}; ask for fewer seconds and more loops"
            )
        self.name, self.width, self.height, self.rate_hz = f"phantom {seed}", width, height, rate_hz
        self.region: Region | None = None
        self.mm_per_px: float | None = None
        self.notes: tuple[str, ...] = ()
        self._per_scene = -(-count // scenes)
        self._distinct, self.frames = count, count * loops
        duration_s = self._per_scene / rate_hz
        self._scenes = [
            Scene(seed + i, width, height, kind="sweep", weeks=_weeks(seed + i), duration_s=duration_s)
            for i in range(scenes)
        ]
        indices = track(range(count), "rendering the phantom", console=Console(stderr=True), transient=True)
        self._pixels: list[Pixels] = [self._scene(i).pixels(self._seconds(i)) for i in indices]

    def pictures(self) -> Iterator[Picture]:
        """Every frame in order; each scene is an epoch of its own, with its own region and scale."""
        for index in range(self.frames):
            distinct = index % self._distinct
            scene = self._scene(distinct)
            yield Picture(
                time_ns=round(index * NS_PER_S / self.rate_hz),
                pixels=self._pixels[distinct],
                layout=Layout.GRAY,
                epoch=index // self._distinct * len(self._scenes) + distinct // self._per_scene,
                region=scene.region,
                mm_per_px=scene.mm_per_px,
            )

    def truth(self, index: int) -> tuple[Mask, bool]:
        """(H, W) class indices of frame ``index``, and whether it holds the view."""
        distinct = index % self._distinct
        scene, seconds = self._scene(distinct), self._seconds(distinct)
        return scene.truth(seconds), scene.holds_view(seconds)

    def _scene(self, distinct: int) -> Scene:
        return self._scenes[distinct // self._per_scene]

    def _seconds(self, distinct: int) -> float:
        return distinct % self._per_scene / self.rate_hz


def _weeks(seed: int) -> float:
    return float(np.random.default_rng([seed, 0x3EE]).uniform(*WEEKS))


class PhantomSource(Replay):
    """A PhantomClip as a source; ``truth`` is the clip's."""

    def __init__(self, clip: PhantomClip, clock: Clock, *, paced: bool) -> None:
        super().__init__(clip, clock, paced=paced, decoded=True)
        self.truth = clip.truth
