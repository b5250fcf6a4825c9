"""The composed frame: the picture in its own colours, the overlay, a legend and a status band.

Pixels outside structures, legend and band stay as they came (rule R1: raw first).
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import lru_cache
from statistics import median

import numpy as np

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.core.frame import Crop, Frame, Pixels, Region
from edge3vt.core.segmentation import UNCONFIRMED, Segmentation, State, Timing, Verdict
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.band import AMBER, NOT_FOR_DIAGNOSIS, PLAIN, Layout, draw_band, draw_banner, layout_of
from edge3vt.picture.colour import to_rgb
from edge3vt.picture.outline import colour_of, draw_structures, extent
from edge3vt.picture.spare import Spares
from edge3vt.picture.text import BACKGROUND, line_height_px, paste, rendered
from edge3vt.picture.view import View

OLDEST_SHOWN_MS = 100.0  # rule R2: an older mask is not drawn; a quarter of a beat at 150 a minute
NORMAL_PERIODS = 2  # rule R2: an older mask has a dashed outline
USUAL_PERIOD_NS = NS_PER_S // 60
DRAWN_IN = (State.LIVE, State.AI_LATE)
WARM_LATENCIES_MS = 30
NO_SIGNAL = ("NO SIGNAL", "last picture, not live")
OPERATORS = View()


class Composer:
    """Draws the frames of one model, in one thread. ``spec`` names its classes and how it was trained.

    It trusts nobody about a mask's age: one older than ``oldest_ms``, or of a later frame, is not drawn, said so and
    counted in ``refused``. The legend stays in its corner until the structures come under it.
    """

    def __init__(self, spec: ModelSpec | None = None, *, oldest_ms: float = OLDEST_SHOWN_MS) -> None:
        self._names = tuple(name.replace("_", " ") for name in (spec.classes if spec else CLASS_NAMES))
        self._training = spec.training if spec else ""
        self._oldest_ns = round(oldest_ms * NS_PER_MS)
        self._corner = 0
        self._period = Period()
        self._last: tuple[int, int] | None = None
        self._beat = 0
        self._spares = Spares()
        self.refused = 0

    def __call__(self, seg: Segmentation, view: View = OPERATORS) -> Pixels:
        """The frame as an (H, W, 3) RGB picture of the caller's own, twice as wide with the untouched one beside it."""
        frame = seg.frame
        if (frame.epoch, frame.captured_ns) != self._last:
            self._last, self._beat = (frame.epoch, frame.captured_ns), self._beat + 1
            self._period.add(frame)
        if seg.shown and (doubt := self._doubt(seg)):
            seg = replace(seg, shown=False, withheld=doubt)
            self.refused += 1
        view = view.at(frame.epoch)
        picture = to_rgb(frame, self._spares.take(frame.height, frame.width))
        raw = picture.copy() if view.beside else None
        statements = tuple(filter(None, (NOT_FOR_DIAGNOSIS, self._training, seg.model_id)))
        layout = layout_of(picture.shape[1], picture.shape[0], frame.bounds, statements)
        old = (seg.mask_age_ns or 0) > (NORMAL_PERIODS + 0.5) * self._period.ns  # in whole periods: capture times vary
        if seg.shown and not view.hidden and seg.mask is not None and seg.crop is not None:
            thickness = max(1, round(picture.shape[0] / 450))
            present = draw_structures(
                picture, seg.mask, seg.crop, thickness, fill=view.fill, dashed=old, without=view.off
            )
            if present:
                self._draw_legend(picture, layout, frame.bounds, tuple(present), extent(seg.mask, seg.crop))
        if seg.withheld == UNCONFIRMED and frame.region is not None:
            _draw_box(picture, frame.bounds, max(2, round(picture.shape[0] / 300)))
        if seg.state is State.NO_SIGNAL:
            draw_banner(picture, layout, frame.bounds, NO_SIGNAL)
        draw_band(picture, layout, seg, self._detail(seg, view), self._beat)
        return picture if raw is None else np.hstack((raw, picture))

    def warm(self, width: int, height: int) -> None:
        """Render ahead what pictures of this size will need: rendering text for the first time takes a frame or two."""
        labels = (
            np.arange(height * width, dtype=np.uint32).reshape(height, width) * len(self._names) // (height * width)
        )
        side = min(width, height)
        seg = Segmentation(
            frame=Frame(0, 0, np.zeros((height, width), np.uint8)),
            mask=labels[:side, :side].astype(np.uint8),
            mask_ns=0,
            crop=Crop(0, 0, side, side),
            verdict=Verdict.ON_TIME,
            reason="",
            emitted_late=False,
            state=State.LIVE,
            scores=(),
            shown=True,
            withheld="",
            model_id="",
        )
        for tenths in range(WARM_LATENCIES_MS * 10):
            total_ns = tenths * NS_PER_MS // 10
            seg = replace(seg, timing=Timing(total_ns=total_ns), shown=tenths == 0)
            self(seg)
        self._last, self._period = None, Period()

    def _doubt(self, seg: Segmentation) -> str:
        """Why a mask that is to be shown must not be."""
        if seg.state not in DRAWN_IN:
            return seg.state.value.lower()
        if seg.mask_age_ns is None or seg.mask_age_ns < 0:
            return "mask without a time"
        return "mask too old" if seg.mask_age_ns > self._oldest_ns else ""

    def _detail(self, seg: Segmentation, view: View) -> str:
        """The age of an older mask, why nothing is drawn, and what the operator has chosen not to see."""
        said = []
        if not seg.shown:
            said.append(f"no overlay: {seg.withheld}" if seg.withheld else "no overlay")
        elif view.hidden:
            said.append("overlay hidden")
        else:
            if seg.mask_age_ns:
                said.append(f"overlay -{seg.mask_age_ns / NS_PER_MS:.0f} ms")
            said += [f"{self._names[label]} off" for label in sorted(view.off) if label < len(self._names)]
        if view.fetal_left:
            said.append(f"fetal left: {view.fetal_left}")
        return "  ".join(said)

    def _draw_legend(
        self, picture: Pixels, layout: Layout, bounds: Region, present: tuple[int, ...], structures: Region
    ) -> None:
        legend = _legend(present, self._names, layout.size_px)
        places = [_place(legend, layout, corner) for corner in _corners(layout, bounds, self._names)]
        if _meet(places[self._corner], structures):
            self._corner = next((i for i, place in enumerate(places) if not _meet(place, structures)), self._corner)
        place = places[self._corner]
        paste(picture[: layout.room.y1], legend, max(place.x0, 0), max(place.y0, 0))


class Period:
    """The time between two frames of the source, by the last ones of an epoch; frames that nobody saw count too."""

    def __init__(self) -> None:
        self._before: Frame | None = None
        self._each: deque[float] = deque(maxlen=9)
        self.ns: float = USUAL_PERIOD_NS

    def add(self, frame: Frame) -> None:
        before, self._before = self._before, frame
        if before is None or before.epoch != frame.epoch:
            self._each.clear()
            self.ns = USUAL_PERIOD_NS
        elif frame.index > before.index and frame.captured_ns > before.captured_ns:
            self._each.append((frame.captured_ns - before.captured_ns) / (frame.index - before.index))
            self.ns = median(self._each)


def _draw_box(picture: Pixels, box: Region, thickness: int) -> None:
    """The border of a region, inside it."""
    part = picture[box.y0 : box.y1, box.x0 : box.x1]
    for side in (part[:thickness], part[-thickness:], part[:, :thickness], part[:, -thickness:]):
        side[:] = AMBER


@lru_cache(maxsize=64)
def _corners(layout: Layout, bounds: Region, names: tuple[str, ...]) -> tuple[tuple[bool, bool], ...]:
    """(right, below) for a legend, those beside the ultrasound region first."""
    legend = _legend(tuple(range(1, len(names))), names, layout.size_px)
    corners = [(right, below) for below in (False, True) for right in (False, True)]
    return tuple(sorted(corners, key=lambda corner: _meet(_place(legend, layout, corner), bounds)))


def _place(legend: Pixels, layout: Layout, corner: tuple[bool, bool]) -> Region:
    (height, width), room, margin = legend.shape[:2], layout.room, layout.size_px // 2
    right, below = corner
    x = room.x1 - width - margin if right else room.x0 + margin
    y = room.y1 - height - margin if below else room.y0 + margin
    return Region(x, y, x + width, y + height)


def _meet(a: Region, b: Region) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1


@lru_cache(maxsize=256)
def _legend(labels: tuple[int, ...], names: tuple[str, ...], size_px: int) -> Pixels:
    """A panel with a swatch and a name for each structure."""
    margin, row = size_px // 2, line_height_px(size_px)
    words = [rendered(names[label], size_px, PLAIN) for label in labels]
    width = max((word.shape[1] for word in words), default=0) + size_px + 3 * margin
    panel = np.full((row * len(labels) + margin, width, 3), BACKGROUND, dtype=np.uint8)
    for line, (label, word) in enumerate(zip(labels, words, strict=True)):
        y = margin // 2 + line * row
        swatch = (row - size_px) // 2
        panel[y + swatch : y + swatch + size_px, margin : margin + size_px] = colour_of(label)
        paste(panel, word, 2 * margin + size_px, y)
    return panel
