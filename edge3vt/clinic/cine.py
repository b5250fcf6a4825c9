"""What the frames of a cine agree on: the median of those that earn a value, with its spread, or their common word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from edge3vt.clinic.confidence import EARNED, Value, judged, ramp
from edge3vt.clinic.measure import NAMES, WIDTHS, FrameMeasure

LEAST_FRAMES = 5
LEAST_SHARE = 0.2  # of the frames that count
AGREED = 0.75  # of the frames with a word: the least that have to say the same
WIDEST = 0.5  # of the median: the most that low and high may lie apart


@dataclass(frozen=True, slots=True)
class Robust:
    """One measurement over a cine. frames: those that earned it. value: their median, or the word of most.

    low, high: 10th and 90th percentile of numbers; None for words. withheld: why there is no value.
    """

    value: float | str | None
    low: float | None
    high: float | None
    frames: int
    confidence: float
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class CineMeasure:
    """Frames of one epoch: nothing is held together across a change of source or format. counted: of its frames.

    unit: of the widths; where only some of the frames have a scale, widths are those of these frames.
    """

    epoch: int
    first_frame: int
    last_frame: int
    frames: int
    counted: int
    unit: str
    values: dict[str, Robust]


def cines(frames: Sequence[FrameMeasure]) -> tuple[CineMeasure, ...]:
    """One for each epoch, in order."""
    return tuple(cine(tuple(own)) for _, own in groupby(frames, key=lambda frame: frame.epoch))


def cine(frames: Sequence[FrameMeasure]) -> CineMeasure:
    """Frames of one epoch, at least one."""
    counted = [frame for frame in frames if not frame.uncounted]
    unit = "mm" if any(frame.unit == "mm" for frame in counted or frames) else "px"
    scaled = [frame for frame in counted if frame.unit == unit]
    values = {
        name: robust([frame.values[name] for frame in (scaled if name in WIDTHS else counted)], frames[-1])
        for name in NAMES
    }
    return CineMeasure(
        frames[0].epoch, frames[0].frame, frames[-1].frame, len(frames), len(counted), unit, _consistent(values)
    )


def robust(values: Sequence[Value], last: FrameMeasure) -> Robust:
    """Of the frames that count. last: of the cine, which tells why where none counts."""
    if not values:
        return Robust(None, None, None, 0, 0.0, f"no frame counts ({last.uncounted or 'none has a scale'})")
    earned = [value for value in values if value.value is not None]
    if not earned:
        ((why, _),) = Counter(value.withheld for value in values).most_common(1)
        return Robust(None, None, None, 0, max(value.confidence for value in values), why)
    enough = (
        (float(np.median([value.confidence for value in earned])), "its frames are not sure of it"),
        (ramp(len(earned), 0, 2 * LEAST_FRAMES), f"earned in {len(earned)} frames, {LEAST_FRAMES} are needed"),
        (
            ramp(len(earned) / len(values), 0, 2 * LEAST_SHARE),
            f"earned in {len(earned)} of {len(values)} frames only",
        ),
    )
    numbers = [value.value for value in earned if isinstance(value.value, float)]
    if numbers:
        middle = float(np.median(numbers))
        low, high = (round(float(v), 4) for v in np.percentile(numbers, (10, 90)))
        spread = (1 - ramp((high - low) / middle, 0, 2 * WIDEST), f"it varies from {low:g} to {high:g}")
        found = judged(middle, *enough, spread)
        if found.withheld:
            return Robust(None, None, None, len(earned), found.confidence, found.withheld)
        return Robust(found.value, low, high, len(earned), found.confidence)
    words = Counter(str(value.value) for value in earned)
    ((word, most),) = words.most_common(1)
    share = most / len(earned)
    agreed = (
        ramp(share, 2 * AGREED - 1, 1),
        f"the frames disagree: {', '.join(f'{w} in {n}' for w, n in words.items())}",
    )
    value = next(value.value for value in earned if str(value.value) == word)
    found = judged(value if value is not None else word, *enough, agreed)
    return Robust(found.value, None, None, len(earned), found.confidence, found.withheld)


def _consistent(values: dict[str, Robust]) -> dict[str, Robust]:
    """Sides on which duct and arch pass fit a V or a U, or none of the three is told."""
    told = [values[name].value for name in ("arches", "arch_side", "duct_side")]
    if None in told or (told[0] == "V") == (told[1] == told[2]):
        return values
    words = "the sides do not fit the shape of the arches"
    withheld = {
        name: Robust(None, None, None, values[name].frames, min(values[name].confidence, EARNED / 2), words)
        for name in ("arches", "arch_side", "duct_side")
    }
    return values | withheld
