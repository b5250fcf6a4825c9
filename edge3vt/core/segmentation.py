"""What the live loop gives out for a frame: its mask or an older one, how old, and why there may be none."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from edge3vt.core.frame import Crop, Frame, Pixels

Mask = NDArray[np.uint8]
UNCONFIRMED = "region not confirmed"
"""Why nothing is drawn while the region was found in the picture and nobody has looked at it: the box is, instead."""


class Verdict(Enum):
    """The fate of the frame's own mask. A miss is a value, never an exception."""

    ON_TIME = "on_time"
    LATE = "late"
    SKIPPED = "skipped"


class State(Enum):
    """What the status line says. LIVE covers "nothing found": the AI works, there is just nothing to show.

    The last four speak of the source: nothing comes, the same picture comes, it is black, its size or layout is new.
    """

    LIVE = "LIVE"
    AI_LATE = "AI LATE"
    AI_OFF = "AI OFF"
    AI_INVALID = "AI INVALID"
    NO_SIGNAL = "NO SIGNAL"
    FROZEN = "FROZEN?"
    BLACK = "BLACK"
    FORMAT_CHANGED = "FORMAT CHANGED"


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time went, in ns; a stage that did not happen is 0. total_ns: capture to hand-over."""

    age_ns: int = 0  # capture -> seen by the loop
    prepare_ns: int = 0  # crop and resize
    infer_ns: int = 0
    mask_ns: int = 0  # logits -> mask
    compose_ns: int = 0
    total_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """One frame, as it leaves the loop.

    mask: (S, S) uint8 class indices on the grid of ``crop``, None when there is none to speak of; drawn only if
    ``shown``. mask_ns: capture time of the frame that the mask was computed from. withheld: why nothing is drawn.
    verdict speaks of the frame's own mask, emitted_late of the frame's delivery. code: why AI is off, HANG say; empty
    while it is not. picture: (H, W, 3) RGB uint8,
    composed, new for each frame and not written to again; None where nobody composes.
    """

    frame: Frame
    mask: Mask | None
    mask_ns: int | None
    crop: Crop | None
    verdict: Verdict
    reason: str
    emitted_late: bool
    state: State
    scores: tuple[float, ...]
    shown: bool
    withheld: str
    model_id: str
    timing: Timing = field(default_factory=Timing)
    code: str = ""
    notes: tuple[str, ...] = ()
    picture: Pixels | None = None

    @property
    def mask_age_ns(self) -> int | None:
        """Capture-to-capture age of the mask: 0 for the frame's own mask, None without a mask."""
        return None if self.mask_ns is None else self.frame.captured_ns - self.mask_ns
