"""Where the engine looks: the whole region until vessels are found, then closer, and the whole again now and then.

A pure state machine: frames ask for their crop, results tell what was seen; neither has to come in time or at all.
The square stands still while what was found stays well inside it, for every move resamples the picture anew and makes
the mask flicker. A look at the whole while a track holds only steers: its mask is coarser, and to show it in turn
with the track's would flicker. So it is shown only where the track has nothing. A look that finds the vessels elsewhere
is tried: one frame is cut there, as closely as the track's, and the better of the two is followed. Where the gate
believed the whole and then nothing of the track, the closer look is the worse one, and is left for longer each time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edge3vt.core.anatomy import CLASS_NAMES, Structure
from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.frame import Crop, Frame, Region
from edge3vt.picture.crop import acquire, track
from edge3vt.stream.lane import LaneResult

CropPolicy = Literal["acquire", "track"]
VESSELS = (Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA)


@dataclass(frozen=True, slots=True)
class TrackRules:
    """Thresholds, our own choice; what they do is measured by ``bench.following``."""

    score: float = 0.5  # of a structure that counts as found; the gate asks for more
    view_logit: float = -2.0  # below it there is nothing to follow; the gate's own is higher
    vessels: int = 2  # found, to follow them
    lost_after: int = 2  # results in a row with fewer
    look_ns: int = 250 * NS_PER_MS  # between two looks at the whole region
    answer_ns: int = 100 * NS_PER_MS  # a look without a result is repeated after it
    doubts: int = 3  # of the gate in a row, to go back to the whole where that was believed
    whole_ns: int = 1000 * NS_PER_MS  # of no closer look, where that was the worse one; twice as long each time,
    longest_ns: int = 8000 * NS_PER_MS  # up to this
    slack: float = 0.1  # of the square's side: how far the wanted square may stray before the square follows
    resize: float = 0.15  # likewise its side
    apart: float = 0.3  # of the square's side: how far a look's square lies off that shows another candidate


class Tracker:
    """Gives each frame its crop. size: of the network's input. classes: those of the model."""

    def __init__(
        self, size: int, classes: tuple[str, ...], policy: CropPolicy = "track", rules: TrackRules | None = None
    ) -> None:
        self.policy, self._size, self._rules = policy, size, rules or TrackRules()
        self._vessels = tuple(VESSELS) if classes == CLASS_NAMES else tuple(range(1, len(classes)))
        self._needed = self._rules.vessels if classes == CLASS_NAMES else 1
        self._picture: tuple[int, Region, float | None] | None = None
        self._since_ns = 0
        self._square: Crop | None = None
        self._misses = 0
        self._held = 0.0  # evidence of the track's last result
        self._doubts = 0  # of the track's last results, in a row
        self._worked = False  # whether any result of the track was believed
        self._whole_believed = False  # the last look at the whole
        self._pause_ns = self._rules.whole_ns
        self._closer_ns = 0  # no closer look before it
        self._looked_ns = 0
        self._asked_ns: int | None = None
        self._trial: Crop | None = None  # another place, to be tried
        self._tried: Crop | None = None  # and where a result of it is awaited

    @property
    def following(self) -> bool:
        """Whether a closer square is held."""
        return self._square is not None

    def crop(self, frame: Frame) -> Crop:
        """The crop for a frame that is offered now, within the frame's own bounds.

        Another epoch, region or scale drops the track at once: what is known is of another picture.
        """
        whole = acquire(frame, self._size)
        if self.policy == "acquire":
            return whole
        picture = frame.epoch, frame.bounds, frame.mm_per_px
        if picture != self._picture:
            self._picture, self._since_ns = picture, frame.captured_ns
            self._closer_ns, self._pause_ns = 0, self._rules.whole_ns
            self._drop()
        if self._square is None:
            return whole
        if self._trial is not None:
            self._tried, self._trial = self._trial, None
            return self._tried
        if self._due(frame.captured_ns):
            self._asked_ns = frame.captured_ns
            return whole
        return self._square

    def take(self, result: LaneResult, believed: bool) -> bool:
        """Learn from the next result. Whether its mask is to be judged and shown; False: it only steered.

        believed: the gate has no doubt of it. A result of an earlier picture (epoch, region, scale) teaches nothing
        and is not to be shown.
        """
        if self.policy == "acquire":
            return True
        if self._picture is None or result.epoch != self._picture[0] or result.captured_ns < self._since_ns:
            return False
        evidence = self._evidence(result)
        evidence += believed and evidence > 0
        if result.crop.mode == "track":
            return self._tracked(result, evidence, believed)
        return self._looked(result, evidence, believed)

    def _due(self, now_ns: int) -> bool:
        if self._asked_ns is not None:
            return now_ns - self._asked_ns >= self._rules.answer_ns
        return now_ns - self._looked_ns >= self._rules.look_ns

    def _tracked(self, result: LaneResult, evidence: float, believed: bool) -> bool:
        if self._square is None:
            return False  # of a track that was given up since
        if result.crop == self._tried:
            self._tried = None
            if evidence <= self._held:
                return False
            self._square = result.crop
        elif self._apart(result.crop):
            return False  # of a place that was left since
        self._held = evidence
        self._misses = 0 if evidence else self._misses + 1
        self._doubts = 0 if believed else self._doubts + 1
        if believed:
            self._worked, self._pause_ns = True, self._rules.whole_ns
        if self._misses >= self._rules.lost_after or (self._whole_believed and self._doubts >= self._rules.doubts):
            self._leave(result.captured_ns)
        elif evidence:
            self._follow(self._wanted(result))
        return True

    def _looked(self, result: LaneResult, evidence: float, believed: bool) -> bool:
        if self._square is not None and self._asked_ns is None:
            return False  # asked for before there was a track
        self._looked_ns, self._asked_ns, self._whole_believed = result.captured_ns, None, believed
        if self._square is None and result.captured_ns < self._closer_ns:
            self._closer_ns = self._closer_ns if believed else 0
            return True
        if not evidence:
            return self._square is None or bool(result.error)
        wanted = self._wanted(result)
        if self._square is None or not self._held:
            self._drop()
            self._square, self._held = wanted, evidence
            return True
        if wanted is not None and self._apart(wanted):
            self._trial = wanted
        return False

    def _leave(self, now_ns: int) -> None:
        """Back to the whole; for a while, where that is believed and no closer look was."""
        if self._whole_believed and not self._worked:
            self._closer_ns = now_ns + self._pause_ns
            self._pause_ns = min(2 * self._pause_ns, self._rules.longest_ns)
        self._drop()

    def _evidence(self, result: LaneResult) -> float:
        """Scores of the vessels found and the view's chance, summed; 0 for too few, or for clearly not the view."""
        if result.mask is None or (result.view is not None and not result.view >= self._rules.view_logit):
            return 0.0
        found = [result.scores[v] for v in self._vessels if result.scores[v] >= self._rules.score]
        if len(found) < self._needed:
            return 0.0
        return sum(found) + (1.0 if result.view is None else 1 / (1 + math.exp(-result.view)))

    def _wanted(self, result: LaneResult) -> Crop | None:
        assert result.mask is not None, "evidence comes of a mask"
        assert self._picture is not None, "and of this picture"
        _, bounds, mm_per_px = self._picture
        half = np.ascontiguousarray(result.mask[::2, ::2])  # near enough, at a quarter of the time
        return track(half, replace(result.crop, size=len(half)), bounds, self._size, mm_per_px)

    def _follow(self, wanted: Crop | None) -> None:
        """Move the square only where what was found strays from its middle, or outgrows it."""
        square = self._square
        if square is None or wanted is None:
            return
        strayed = _distance(square, wanted) > self._rules.slack * square.side
        if strayed or abs(wanted.side - square.side) > self._rules.resize * square.side:
            self._square = wanted

    def _apart(self, crop: Crop) -> bool:
        return self._square is not None and _distance(self._square, crop) > self._rules.apart * self._square.side

    def _drop(self) -> None:
        self._square, self._misses, self._held, self._doubts, self._worked = None, 0, 0.0, 0, False
        self._asked_ns = self._trial = self._tried = None


def _distance(one: Crop, other: Crop) -> float:
    """Of the middles, along the axis where it is larger, in px of the frame."""
    return max(
        abs(one.x + one.side / 2 - other.x - other.side / 2), abs(one.y + one.side / 2 - other.y - other.side / 2)
    )
