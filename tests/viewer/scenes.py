"""Pictures and masks that a pixel tells apart, as the loop gives them out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.frame import Crop, Frame, Region
from edge3vt.core.segmentation import Mask, Segmentation, State, Timing, Verdict
from edge3vt.core.spec import ModelSpec

WIDTH, HEIGHT, REGION = 320, 240, Region(60, 20, 300, 220)
CROP = Crop(80, 20, 200, 100)  # two pixels of the picture to one of the mask
CLOCK = SystemClock()
PERIOD_NS = NS_PER_S // 60
SPEC = ModelSpec(1, "student", "1", CLASS_NAMES, 400, 400, 4, True, True, "trained on synthetic images")
TIMING = Timing(1 * NS_PER_MS, 800_000, 7 * NS_PER_MS, 500_000, 1_500_000, 11 * NS_PER_MS)


def grey(index: int) -> int:
    """The grey level of a picture, which tells its neighbours apart."""
    return 60 + index * 37 % 120


def frame(index: int, **others: Any) -> Frame:
    """A grey picture with a smooth ramp, in a darker screen."""
    pixels = np.full((HEIGHT, WIDTH), 20, np.uint8)
    region = REGION
    ramp = np.linspace(0, 40, region.width).astype(np.uint8)
    pixels[region.y0 : region.y1, region.x0 : region.x1] = grey(index) + ramp
    known: dict[str, Any] = {"index": index, "captured_ns": CLOCK.now_ns(), "pixels": pixels, "region": region}
    return Frame(**(known | others))


def mask() -> Mask:
    """Two structures, one with a hole."""
    labels = np.zeros((100, 100), np.uint8)
    labels[20:60, 20:50] = 1
    labels[35:45, 30:40] = 0
    labels[65:85, 60:80] = 2
    return labels


def seg(index: int, **others: Any) -> Segmentation:
    """A picture with its own mask, shown, but for ``others``."""
    shot = others.pop("frame", None) or frame(index)
    whole = Segmentation(
        frame=shot,
        mask=mask(),
        mask_ns=shot.captured_ns,
        crop=CROP,
        verdict=Verdict.ON_TIME,
        reason="",
        emitted_late=False,
        state=State.LIVE,
        scores=(0.9,) * 6,
        shown=True,
        withheld="",
        model_id="student-x 1a2b3c4d",
        timing=TIMING,
    )
    return replace(whole, **others)


def withheld(index: int, why: str = "not the view", **others: Any) -> Segmentation:
    return seg(index, shown=False, withheld=why, **others)
