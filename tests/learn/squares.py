"""Sets that a small network learns in seconds: bright squares of two sizes on a dark ground."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.data.writer import DatasetWriter
from edge3vt.learn.recipe import Recipe, Schedule

CLASSES = ("background", "large", "small")
SIDE = 96
REGION = "8,16,88,80"
MILD: dict[str, Any] = {
    "sector_share": 0.0, "turn_share": 0.0, "haze_share": 0.0, "shadow_share": 0.0, "close_share": 0.0,
    "speckle_share": 0.0, "blur_share": 0.0, "codec_share": 0.0, "range_share": 0.0,
}  # fmt: skip


def square(seed: int, moved: int = 0) -> tuple[Pixels, Mask]:
    """A picture and its mask; ``moved`` shifts the squares by so many px, as the next frame of a cine would."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[16:80, 8:88] = rng.integers(10, 40, (64, 80), dtype=np.uint8)
    mask = np.zeros_like(pixels)
    y, x = rng.integers((20, 12), (28, 20))
    mask[y : y + 28, x + moved : x + moved + 28] = 1
    y, x = rng.integers((22, 54), (50, 66))
    mask[y : y + 16, x + moved : x + moved + 16] = 2
    pixels[mask > 0] += 150
    return pixels, mask


def make_squares(folder: Path, count: int = 12, *, cines: int = 0, view: str | None = None, first: int = 0) -> Path:
    """Labelled stills, a quarter of them for validation; or ``cines`` unlabelled cines of three frames."""
    facts: dict[str, float | str] = {"region": REGION} | ({} if view is None else {"view": view})
    with DatasetWriter(folder, folder.name, CLASSES, resume=False) as writer:
        for n in range(0 if cines else count):
            pixels, mask = square(first + n)
            split = "validation" if n % 4 == 3 else "train"
            writer.add(
                f"{folder.name}-{n}", pixels, mask, patient=f"{folder.name}-p{n}", source="test", split=split,
                mm_per_px=0.5 if n % 2 else None, facts=facts,
            )  # fmt: skip
        for n in range(cines):
            for frame in range(3):
                pixels, _ = square(1000 + n, frame)
                writer.add(
                    f"{folder.name}-{n}-{frame}", pixels, None, patient=f"{folder.name}-p{n}", source="test",
                    cine=f"c{n}", frame=frame, facts=facts,
                )  # fmt: skip
    return folder


def recipe(data: Path, **changes: Any) -> Recipe:
    """A training of seconds on such a set."""
    from edge3vt.data.augment import Augmentation

    wanted: dict[str, Any] = {
        "schema": 1,
        "name": "test",
        "network": "student-s",
        "size": 64,
        "data": (str(data),),
        "training": "trained on squares",
        "schedule": Schedule(steps=12, every=6, patience=9, warmup=2, batch=4, cooldown=0.5),
        "augmentation": Augmentation(**MILD),
    }
    return Recipe(**(wanted | changes))
