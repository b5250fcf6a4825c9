"""The live loop's eye without its clock: crop, engine, tracker and gate, frame by frame, and what it comes to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import cv2
import numpy as np

from edge3vt.bench.flicker import FlickerWatch
from edge3vt.core.anatomy import CLASS_NAMES, SCORED
from edge3vt.core.clock import SystemClock
from edge3vt.core.frame import Crop, CropMode, Frame
from edge3vt.core.metrics import confusion, dice
from edge3vt.core.segmentation import Mask
from edge3vt.core.session import Session
from edge3vt.data.dataset import Item
from edge3vt.picture.crop import acquire
from edge3vt.picture.mask import place
from edge3vt.stream.gate import Gate, sound
from edge3vt.stream.lane import Worker
from edge3vt.stream.tracking import Tracker

Way = Literal["acquire", "track", "looks"]
"""acquire: the whole, always. track: a look at the whole only steers. looks: its own mask is shown as any other's."""
WAYS: tuple[Way, ...] = get_args(Way)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame as it would leave the loop. mask: (H, W), of this frame or, after a look, of the one before."""

    mask: Mask
    shown: bool
    withheld: str
    mode: CropMode


class Follower:
    """Every frame has its result before the next comes. Used by one thread; sessions may be shared."""

    def __init__(self, session: Session, way: Way) -> None:
        spec = session.spec
        self.way = way
        self._worker = Worker(session, SystemClock())
        self._tracker = Tracker(spec.width, spec.classes, "acquire" if way == "acquire" else "track")
        self._gate, self._classes, self._size = Gate(spec.classes), len(spec.classes), spec.width
        self._kept: tuple[Mask, Crop] | None = None
        self._withheld = "no mask yet"

    def see(self, frame: Frame) -> Seen:
        crop = self._tracker.crop(frame)
        result = sound(self._worker.result(frame, crop), self._classes)
        scale = frame.mm_per_px, acquire(frame, self._size).side
        doubt = self._gate.doubt(result, *scale)
        if self._tracker.take(result, not doubt) or (self.way == "looks" and crop.mode == "acquire"):
            self._withheld = self._gate.judge(result, *scale, doubt)
            self._kept = None if result.mask is None else (result.mask, crop)
        shape = frame.height, frame.width
        mask = np.zeros(shape, np.uint8) if self._kept is None else place(*self._kept, shape)
        return Seen(mask, self._kept is not None and not self._withheld, self._withheld, crop.mode)


@dataclass(frozen=True, slots=True)
class Vessel:
    """A structure of a cine: means over the frames that show it. width_px: its true diameter at rest, in px of the
    network that sees the whole. error_mm, bias_mm: of the diameter where it was found, absolute and with its sign."""

    width_px: float
    dice: float
    missed: float
    error_mm: float | None
    bias_mm: float | None


@dataclass(frozen=True, slots=True)
class Cine:
    """blinks: how often the overlay went away while the view was there. flicker: docs/accuracy.md, before the gate."""

    id: str
    view_frames: int
    other_frames: int
    shown_in_view: int
    shown_outside: int
    blinks: int
    closer: int  # frames that were seen in a track crop
    vessels: dict[str, Vessel]
    flicker: dict[str, float | None]


class CineWatch:
    """Holds what one follower makes of one cine against its truth. widths_px: of each structure, as in ``Vessel``."""

    def __init__(self, name: str, widths_px: dict[str, float]) -> None:
        self._name, self._widths_px = name, widths_px
        self._flicker = FlickerWatch(CLASS_NAMES)
        self._rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)  # Dice, diameters true and found
        self._shown: list[tuple[bool, bool]] = []
        self._closer = 0

    def see(self, frame: Frame, seen: Seen, truth: Mask, holds_view: bool) -> None:
        self._shown.append((holds_view, seen.shown))
        self._closer += seen.mode == "track"
        if not holds_view:
            return
        assert frame.mm_per_px is not None, "a phantom has a scale"
        size = frame.width, frame.height
        item = Item(
            f"{self._name}-{frame.index}", "", None, self._name, "", *size, None, (), cine="c", frame=frame.index
        )
        self._flicker.see(item, seen.mask, truth)
        scores = dice(confusion(truth, seen.mask, len(CLASS_NAMES)))
        for label in SCORED:
            true_mm = diameter_px(truth, label) * frame.mm_per_px
            if true_mm:
                found_mm = diameter_px(seen.mask, label) * frame.mm_per_px
                self._rows[CLASS_NAMES[label]].append((float(scores[label]), true_mm, found_mm))

    def cine(self) -> Cine:
        in_view = [shown for holds, shown in self._shown if holds]
        outside = [shown for holds, shown in self._shown if not holds]
        blinks = sum(before and not after for before, after in pairwise(in_view))
        flicker = next((cine.flicker for cine in self._flicker.cines()), {})
        return Cine(
            id=self._name,
            view_frames=len(in_view),
            other_frames=len(outside),
            shown_in_view=sum(in_view),
            shown_outside=sum(outside),
            blinks=blinks,
            closer=self._closer,
            vessels={name: _vessel(rows, self._widths_px[name]) for name, rows in self._rows.items()},
            flicker={CLASS_NAMES[s]: flicker.get(CLASS_NAMES[s]) for s in SCORED},
        )


def diameter_px(mask: Mask, label: int) -> float:
    """Of the largest circle that lies within the structure's largest piece: a tube's width where it is widest; or 0.

    Twice the largest distance of a pixel's middle to one outside, less the half pixel on either side.
    """
    x, y, width, height = cv2.boundingRect(cv2.inRange(mask, label, label))
    if not width:
        return 0.0
    part = np.pad(cv2.inRange(mask[y : y + height, x : x + width], label, label), 1)
    _, pieces, boxes, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    largest = 1 + int(np.argmax(boxes[1:, cv2.CC_STAT_AREA]))
    inside = cv2.distanceTransform((pieces == largest).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 2 * float(inside.max()) - 1


def _vessel(rows: Sequence[tuple[float, float, float]], width_px: float) -> Vessel:
    table = np.array(rows)
    found = table[:, 2] > 0
    errors = table[found, 2] - table[found, 1]
    return Vessel(
        width_px=round(width_px, 2),
        dice=round(float(table[:, 0].mean()), 4),
        missed=round(float(1 - found.mean()), 4),
        error_mm=round(float(np.abs(errors).mean()), 4) if found.any() else None,
        bias_mm=round(float(errors.mean()), 4) if found.any() else None,
    )
