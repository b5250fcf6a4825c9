"""The status band: heartbeat, state, what is missing and why, latency; and what always stands there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.frame import Pixels, Region
from edge3vt.core.segmentation import Segmentation, State
from edge3vt.picture.text import BACKGROUND, BOLD, Colour, line_height_px, panel, paste, rendered, text_width_px

NOT_FOR_DIAGNOSIS = "not for diagnosis"
PLAIN: Colour = (228, 230, 233)
DIM: Colour = (160, 165, 172)
GREEN: Colour = (96, 214, 130)
AMBER: Colour = (255, 190, 70)
RED: Colour = (255, 110, 95)
STATE_COLOURS: dict[State, Colour] = {
    State.LIVE: GREEN,
    State.AI_LATE: AMBER,
    State.AI_OFF: RED,
    State.AI_INVALID: RED,
    State.NO_SIGNAL: RED,
    State.FROZEN: AMBER,
    State.BLACK: AMBER,
    State.FORMAT_CHANGED: AMBER,
}
BEATS = 24  # places of the heartbeat's dot: at 60 Hz it passes two and a half times a second
WIDEST_STATUS = "AI LATE 100 ms  no overlay: superior vena cava not found  latency 100.0 ms"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where text goes on pictures of one kind.

    band: the status band; fixed: its last lines, which never change. room: the picture less the band.
    """

    size_px: int
    band: Region
    fixed: tuple[str, ...]
    one_line: bool
    room: Region

    @property
    def margin_px(self) -> int:
        return self.size_px // 2


@lru_cache(maxsize=64)
def layout_of(width: int, height: int, bounds: Region, statements: tuple[str, ...]) -> Layout:
    """A band that leaves ``bounds``, the ultrasound region, free where there is room beside it."""
    size = max(10, round(min(height, width) / 52))
    margin, row = size // 2, line_height_px(size)
    together = " · ".join(statements)
    status = text_width_px(WIDEST_STATUS, size) + _heartbeat(0, size).shape[1]
    one_line = status + text_width_px(together, size) + 6 * margin <= width
    fixed = (together,) if one_line else _wrapped(statements, size, width - 2 * margin)
    band_height = min(row * (1 if one_line else 1 + len(fixed)), height)
    top = bounds.y1 > height - band_height and bounds.y0 >= band_height
    band = Region(0, 0, width, band_height) if top else Region(0, height - band_height, width, height)
    room = Region(0, band_height if top else 0, width, height if top else height - band_height)
    return Layout(size, band, fixed, one_line, room)


def draw_band(picture: Pixels, layout: Layout, seg: Segmentation, detail: str, beat: int) -> None:
    """Draw the band. detail: what there is to say beside the state; beat: pictures so far, for the heartbeat."""
    size, margin = layout.size_px, layout.margin_px
    band = picture[layout.band.y0 : layout.band.y1]
    band[:] = _band(layout)
    end = band.shape[1] - margin
    if layout.one_line:
        end -= text_width_px(layout.fixed[0], size) + 2 * margin
    latency = rendered(f"latency {seg.timing.total_ns / NS_PER_MS:.1f} ms", size, DIM)
    if latency.shape[1] > end // 3:
        latency = rendered(f"{seg.timing.total_ns / NS_PER_MS:.1f} ms", size, DIM)
    paste(band[:, :end], latency, max(end - latency.shape[1], 0), 0)
    room = band[: line_height_px(size), : max(end - latency.shape[1] - margin, 0)]
    x = paste(room, _heartbeat(beat % BEATS, size), margin, 0) + margin
    x = paste(room, _chip(state_text(seg), STATE_COLOURS[seg.state], size), x, 0) + margin
    for note in seg.notes:
        x = paste(room, rendered(note, size, AMBER, BOLD), x, 0) + margin
    if x + text_width_px(detail, size) > room.shape[1]:
        detail = detail.removeprefix("no overlay: ")
    paste(room, rendered(detail, size, PLAIN), x, 0)


def state_text(seg: Segmentation) -> str:
    """The state as it stands on the picture: AI LATE 33 ms, AI OFF: HANG."""
    age_ns = seg.mask_age_ns
    if seg.state is State.AI_LATE and age_ns is not None:
        return f"{seg.state.value} {age_ns / NS_PER_MS:.0f} ms"
    return f"{seg.state.value}: {seg.code}" if seg.code else seg.state.value


def draw_banner(picture: Pixels, layout: Layout, bounds: Region, lines: tuple[str, ...]) -> Region:
    """A notice across the middle of the ultrasound picture, which nobody overlooks; returns where it is."""
    size = layout.size_px
    while size < 3 * layout.size_px and _banner(lines, size + 1).shape[1] < 0.8 * bounds.width:
        size += 1
    banner = _banner(lines, size)
    x = max((bounds.x0 + bounds.x1 - banner.shape[1]) // 2, 0)
    y = max((bounds.y0 + bounds.y1 - banner.shape[0]) // 2, 0)
    paste(picture, banner, x, y)
    return Region(x, y, x + banner.shape[1], y + banner.shape[0])


@lru_cache(maxsize=64)
def _banner(lines: tuple[str, ...], size_px: int) -> Pixels:
    return panel(lines, size_px, RED, BOLD)


@lru_cache(maxsize=512)
def _chip(text: str, colour: Colour, size_px: int) -> Pixels:
    """The state as dark letters on its colour: seen from across the room."""
    words = rendered(text, size_px, BACKGROUND, BOLD, colour)
    edge = np.full((words.shape[0], size_px // 2, 3), colour, dtype=np.uint8)
    return np.hstack((edge, words, edge[:, : size_px // 3]))


@lru_cache(maxsize=8 * BEATS)
def _heartbeat(place: int, size_px: int) -> Pixels:
    """A dot at its place on a line; one that stands still shows that the pictures do."""
    step = max(size_px // 7, 1)
    picture = np.full((line_height_px(size_px), (BEATS + 2) * step, 3), BACKGROUND, dtype=np.uint8)
    middle, reach = picture.shape[0] // 2, max(size_px // 5, 2)
    picture[middle - 1 : middle + 1] = DIM
    picture[middle - reach : middle + reach, place * step : (place + 3) * step] = PLAIN
    return picture


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
