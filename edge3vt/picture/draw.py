"""The composed frame: the picture in its own colours, the overlay, a legend and a status band.

Pixels outside structures, legend and band stay as they came (rule R1: raw first).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.frame import Crop, Frame, Pixels, Region
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.colour import to_rgb
from edge3vt.picture.outline import colour_of, draw_structures, extent
from edge3vt.picture.text import BACKGROUND, BOLD, Colour, line_height_px, paste, rendered, text_width_px

NOT_FOR_DIAGNOSIS = "not for diagnosis"
PLAIN: Colour = (228, 230, 233)
DIM: Colour = (160, 165, 172)
STATE_COLOURS: dict[State, Colour] = {
    State.LIVE: (96, 214, 130),
    State.AI_LATE: (255, 190, 70),
    State.AI_OFF: (255, 110, 95),
    State.AI_INVALID: (255, 110, 95),
    State.NO_SIGNAL: (255, 110, 95),
    State.FROZEN: (255, 190, 70),
    State.BLACK: (255, 190, 70),
    State.FORMAT_CHANGED: (255, 190, 70),
}
WARM_LATENCIES_MS = 30
WIDEST_STATUS = "AI LATE  -100 ms  no overlay: superior vena cava not found  latency 100.0 ms"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where text goes on pictures of one kind.

    band: the status band; fixed: its last lines, which never change. room: the picture less the band.
    corners: (right, below) for a legend, those beside the ultrasound region first.
    """

    size_px: int
    band: Region
    fixed: tuple[str, ...]
    one_line: bool
    room: Region
    corners: tuple[tuple[bool, bool], ...]

    @property
    def margin_px(self) -> int:
        return self.size_px // 2


class Composer:
    """Draws the frames of one model, in one thread. ``spec`` names its classes and how it was trained.

    The legend stays in its corner until the structures come under it.
    """

    def __init__(self, spec: ModelSpec | None = None) -> None:
        self._names = tuple(name.replace("_", " ") for name in (spec.classes if spec else CLASS_NAMES))
        self._training = spec.training if spec else ""
        self._corner = 0

    def __call__(self, seg: Segmentation) -> Pixels:
        """The frame as a new (H, W, 3) RGB picture."""
        picture = to_rgb(seg.frame)
        statements = tuple(filter(None, (NOT_FOR_DIAGNOSIS, self._training, seg.model_id)))
        layout = _layout(picture.shape[1], picture.shape[0], seg.frame.bounds, statements, self._names)
        if seg.shown and seg.mask is not None and seg.crop is not None:
            present = draw_structures(picture, seg.mask, seg.crop, max(1, round(picture.shape[0] / 450)))
            if present:
                self._draw_legend(picture, layout, tuple(present), extent(seg.mask, seg.crop))
        _draw_status(picture, layout, seg)
        return picture

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

    def _draw_legend(self, picture: Pixels, layout: Layout, present: tuple[int, ...], structures: Region) -> None:
        legend = _legend(present, self._names, layout.size_px)
        places = [_place(legend, layout, corner) for corner in layout.corners]
        if _meet(places[self._corner], structures):
            self._corner = next((i for i, place in enumerate(places) if not _meet(place, structures)), self._corner)
        place = places[self._corner]
        paste(picture[: layout.room.y1], legend, max(place.x0, 0), max(place.y0, 0))


def _place(legend: Pixels, layout: Layout, corner: tuple[bool, bool]) -> Region:
    (height, width), room, margin = legend.shape[:2], layout.room, layout.size_px // 2
    right, below = corner
    x = room.x1 - width - margin if right else room.x0 + margin
    y = room.y1 - height - margin if below else room.y0 + margin
    return Region(x, y, x + width, y + height)


def _meet(a: Region, b: Region) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1


def _draw_status(picture: Pixels, layout: Layout, seg: Segmentation) -> None:
    """The band: state, what is missing and why, latency; and what always stands there."""
    size, margin = layout.size_px, layout.margin_px
    band = picture[layout.band.y0 : layout.band.y1]
    band[:] = _band(layout)
    row = line_height_px(size)
    end = band.shape[1] - margin
    if layout.one_line:
        end -= text_width_px(layout.fixed[0], size) + 2 * margin
    latency = rendered(f"latency {seg.timing.total_ns / NS_PER_MS:.1f} ms", size, DIM)
    if latency.shape[1] > end // 3:
        latency = rendered(f"{seg.timing.total_ns / NS_PER_MS:.1f} ms", size, DIM)
    paste(band[:, :end], latency, max(end - latency.shape[1], 0), 0)
    room = band[:row, : max(end - latency.shape[1] - margin, 0)]
    state, detail = _status(seg)
    x = paste(room, rendered(state, size, STATE_COLOURS[seg.state], BOLD), margin, 0) + margin
    if x + text_width_px(detail, size) > room.shape[1]:
        detail = detail.removeprefix("no overlay: ")
    paste(room, rendered(detail, size, PLAIN), x, 0)


def _status(seg: Segmentation) -> tuple[str, str]:
    """The state with the age of an older mask, and why nothing is drawn."""
    state = seg.state.value
    if not seg.shown:
        return state, f"no overlay: {seg.withheld}" if seg.withheld else "no overlay"
    age_ns = seg.mask_age_ns or 0
    return (f"{state}  -{age_ns / NS_PER_MS:.0f} ms" if age_ns > 0 else state), ""


@lru_cache(maxsize=64)
def _layout(width: int, height: int, bounds: Region, statements: tuple[str, ...], names: tuple[str, ...]) -> Layout:
    """Places that leave the ultrasound region free, where there are any."""
    size = max(10, round(min(height, width) / 52))
    margin, row = size // 2, line_height_px(size)
    together = " · ".join(statements)
    one_line = text_width_px(WIDEST_STATUS, size) + text_width_px(together, size) + 5 * margin <= width
    fixed = (together,) if one_line else _wrapped(statements, size, width - 2 * margin)
    band_height = min(row * (1 if one_line else 1 + len(fixed)), height)
    top = bounds.y1 > height - band_height and bounds.y0 >= band_height
    band = Region(0, 0, width, band_height) if top else Region(0, height - band_height, width, height)

    room = Region(0, band_height if top else 0, width, height if top else height - band_height)

    layout = Layout(size, band, fixed, one_line, room, ())
    legend = _legend(tuple(range(1, len(names))), names, size)
    corners = [(right, below) for below in (False, True) for right in (False, True)]
    corners.sort(key=lambda corner: _meet(_place(legend, layout, corner), bounds))
    return replace(layout, corners=tuple(corners))


def _wrapped(statements: tuple[str, ...], size_px: int, width_px: int) -> tuple[str, ...]:
    lines: list[str] = []
    for statement in statements:
        longer = f"{lines[-1]} · {statement}" if lines else statement
        if lines and text_width_px(longer, size_px) <= width_px:
            lines[-1] = longer
        else:
            lines.append(statement)
    return tuple(lines)


@lru_cache(maxsize=64)
def _band(layout: Layout) -> Pixels:
    """The band with what never changes in it."""
    size, margin, row = layout.size_px, layout.margin_px, line_height_px(layout.size_px)
    band = np.full((layout.band.height, layout.band.width, 3), BACKGROUND, dtype=np.uint8)
    for line, text in enumerate(layout.fixed):
        words = rendered(text, size, PLAIN)
        if layout.one_line:
            paste(band, words, max(layout.band.width - margin - words.shape[1], 0), 0)
        else:
            paste(band, words, margin, row * (line + 1))
    return band


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
