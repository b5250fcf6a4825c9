"""What the picture of the source says of itself: repeated, frozen, black, gone, another format, depth or screen.

Pure: frames and times in, findings out. Looks at a subsample of the picture; levels and shares are our own choice,
tried on phantom cines and real clips, unless a source is named.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.core.frame import Frame, Layout, Pixels, Region
from edge3vt.core.segmentation import State
from edge3vt.stream.rhythm import Rhythm
from edge3vt.stream.sample import Sample, changed_share, coloured_share, same, sample
from edge3vt.stream.sector import Sector

DIGITAL, ANALOGUE = 2, 6  # grey levels by which the mean of 8 px of the same picture may differ
FROZEN_NS, FROZEN_FRAMES = NS_PER_S, 10  # both, of the same picture: the reliability reference's fault 6
NOTICE_NS = 500 * NS_PER_MS  # how long FORMAT CHANGED stands
COLOUR_HOLD_NS = NS_PER_S  # colour of flow comes and goes with the beat
COLOUR_SHARE = 0.002  # of the region in changing colour
BLACK_SHARE = 0.002  # of the region may be lit in a black picture
FURNITURE = 24  # grey levels
FURNITURE_SHARE = 0.06  # of what is around the region, changed for good, is another layout
FURNITURE_FRAMES = 3
AROUND_LEAST = 100  # levels, else nothing can be said of them


@dataclass(frozen=True, slots=True)
class Seen:
    """What one frame, or its absence, says.

    state: of the source, None while there is nothing to say. repeat_of: index of the first frame with this very
    picture. epoch: grows whenever an older mask no longer fits. changed: why it grew with this frame, else empty.
    withheld: why no overlay may be shown on this picture, else empty.
    """

    state: State | None
    repeat_of: int | None
    epoch: int
    changed: str = ""
    withheld: str = ""

    @property
    def worth_inferring(self) -> bool:
        """Black, frozen, repeated or unsuitable pictures are not for the engine."""
        return self.repeat_of is None and not self.withheld


@dataclass(slots=True)
class _Scene:
    """What is remembered within an epoch. anchor: the first frame with the present picture."""

    anchor: Sample
    anchor_index: int
    anchor_ns: int
    around: Pixels
    repeats: int = 0
    moves: int = 0
    coloured_ns: int | None = None
    sector: Sector = field(default_factory=Sector)


class Watch:
    """One source's frames in order. ``tolerance``: grey levels of noise that capture adds, DIGITAL or ANALOGUE.

    The region of a frame has to be set before it is shown here: what lies outside is furniture.
    """

    def __init__(self, tolerance: int = DIGITAL) -> None:
        self._tolerance = tolerance
        self._rhythm = Rhythm()
        self._epoch = 0
        self._scene: _Scene | None = None
        self._source: tuple[int, Region | None] | None = None
        self._format: tuple[int, int, Layout, bool] | None = None
        self._notice_until_ns = 0
        self._lost = False

    def step(self, frame: Frame, now_ns: int) -> Seen:
        """The next frame that has come."""
        self._rhythm.arrived(now_ns)
        new = sample(frame)
        changed, scene = self._beginning(frame, now_ns), self._scene
        if scene is not None and not changed and same(scene.anchor, new, self._tolerance):
            scene.repeats += 1
        else:
            if scene is not None and not changed:
                if coloured_share(scene.anchor, new, self._tolerance) > COLOUR_SHARE:
                    scene.coloured_ns = now_ns
                scene.anchor, scene.anchor_index, scene.anchor_ns, scene.repeats = new, frame.index, now_ns, 0
                scene.sector.add(new.inside)
                changed = self._moved(scene, new)
            if scene is None or changed:
                self._epoch += scene is not None
                scene = self._scene = _Scene(new, frame.index, now_ns, new.around)
                scene.sector.add(new.inside)
        return self._seen(scene, new, now_ns, changed)

    def silence(self, now_ns: int) -> Seen | None:
        """No frame is there: NO SIGNAL once the loss window has passed, else None. Take all that has come first."""
        self._lost = self._lost or self._rhythm.lost(now_ns)
        return Seen(State.NO_SIGNAL, None, self._epoch, withheld="no signal") if self._lost else None

    @property
    def interval_ns(self) -> float:
        """The running mean of the time between frames."""
        return self._rhythm.interval_ns

    def wake_ns(self) -> int | None:
        """When ``silence`` has something to say if nothing comes; None before the first frame, or once it was said."""
        return None if self._lost else self._rhythm.lost_at_ns()

    def _beginning(self, frame: Frame, now_ns: int) -> str:
        """Why nothing from before this frame holds any more, or empty."""
        form = (frame.width, frame.height, frame.layout, frame.full_range)
        source = (frame.epoch, frame.region)
        was_form, was_source, was_lost = self._format, self._source, self._lost
        self._format, self._source, self._lost = form, source, False
        if was_form is None or was_source is None:
            return ""
        if was_form != form:
            self._notice_until_ns = now_ns + NOTICE_NS
            return f"format changed: {_told(was_form)} to {_told(form)}"
        if was_lost:
            return "signal back"
        if was_source != source:
            return "region changed" if was_source[0] == source[0] else "source changed"
        return ""

    def _moved(self, scene: _Scene, new: Sample) -> str:
        """Why this picture, of the same format, is of another layout or depth, or empty."""
        other = len(new.around) >= AROUND_LEAST and changed_share(scene.around, new.around, FURNITURE) > FURNITURE_SHARE
        scene.moves = scene.moves + 1 if other else 0
        if scene.moves >= FURNITURE_FRAMES:
            return "layout changed"
        return "picture leapt" if scene.sector.leapt else ""

    def _seen(self, scene: _Scene, new: Sample, now_ns: int, changed: str) -> Seen:
        repeat_of = scene.anchor_index if scene.repeats else None
        state, withheld = None, ""
        if new.lit_share <= BLACK_SHARE:
            state, withheld = State.BLACK, "the picture is black"
        elif scene.repeats >= FROZEN_FRAMES and now_ns - scene.anchor_ns >= FROZEN_NS:
            state, withheld = State.FROZEN, "the picture does not change"
        elif now_ns < self._notice_until_ns:
            state = State.FORMAT_CHANGED
        if not withheld and scene.coloured_ns is not None and now_ns - scene.coloured_ns < COLOUR_HOLD_NS:
            withheld = "colour Doppler"
        if not withheld and scene.sector.dual:
            withheld = "dual screen"
        return Seen(state, repeat_of, self._epoch, changed, withheld)


def _told(form: tuple[int, int, Layout, bool]) -> str:
    return f"{form[0]}x{form[1]} {form[2].name}{'' if form[3] else ' of limited range'}"
