"""The pixel oracle: reads from a composed picture which frame it shows, and which frame its drawn mask came from.

Nothing but pixels: the source writes its capture time into the picture as a bar code, a scripted engine finds the
code's white bars, and so the overlay tints the bars of the frame that it was computed from. Where the two codes differ,
the mask is as old as they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3vt.core.frame import Frame, Pixels, Region
from edge3vt.core.segmentation import State
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.band import NOT_FOR_DIAGNOSIS, STATE_COLOURS, layout_of
from edge3vt.picture.text import BACKGROUND, BOLD, rendered
from edge3vt.stream.barcode import CELLS, ROWS, place, read

WIDTH, HEIGHT = 640, 480
SPEC = ModelSpec(1, "scripted", "1", ("background", "bright"), WIDTH, WIDTH, 2, True, True, "")
"""Of the engine: its crop is the picture, pixel by pixel, and a bar of the code is three of its cells wide."""
TINT = 18  # levels of blue over red inside a structure: a quarter of sky blue gives 37, a grey picture 0
LINE = 80  # likewise on its outline: 147
SOLID = 0.75  # of an outline's rows; a dashed one covers two fifths
MARGIN = 4  # px around the code that its outline reaches
LEGEND = (0.3, 0.1)  # of the width and the height, in a corner: more than a legend of one class takes
THIN = 5  # of so many rows, one is searched for an overlay that is not on the code
OLDEST_MS, NORMAL_PERIODS = 100, 2  # rule R2


@dataclass(frozen=True, slots=True)
class Sight:
    """What stands in one picture, seen at ``at_ns``.

    code: of the frame, its capture time in ms; None where none can be read. drawn: there is an overlay. origin: the
    code of the frame that it came from; None where it is no code: of garbage. dashed: its outline. said: the state
    in letters, None where none is read. altered: pixels outside overlay and status area that are not the source's;
    None where the source's are not known.
    """

    at_ns: int
    code: int | None
    drawn: bool
    origin: int | None
    dashed: bool
    said: State | None
    altered: int | None

    @property
    def age_ms(self) -> int | None:
        """Of the mask, by the two codes."""
        return None if self.code is None or self.origin is None else self.code - self.origin

    @property
    def ai_gone(self) -> bool:
        """The picture says that there is no AI, or that what it gives is worth nothing."""
        return self.said in (State.AI_OFF, State.AI_INVALID)

    @property
    def lost(self) -> bool:
        """The picture says that the source is gone."""
        return self.said is State.NO_SIGNAL


def look(picture: Pixels, at_ns: int, source: Pixels | None = None, spec: ModelSpec = SPEC) -> Sight:
    """Read an (H, W, 3) RGB picture. source: the (H, W) picture that it was composed from."""
    height, width = picture.shape[:2]
    at = place(width, height)
    band, size_px, overlaid, plain = _areas(width, height, spec)
    tint = np.subtract(picture[: at.y1 + MARGIN, :, 2], picture[: at.y1 + MARGIN, :, 0], dtype=np.int16)
    thin = picture[band.y1 % height : band.y0 or height : THIN]  # an overlay that is not on the code
    drawn = bool(
        (tint[:, at.x0 - MARGIN : at.x1 + MARGIN] > TINT).any()
        or (cv2.subtract(thin[..., 2], thin[..., 0]) > TINT).any()
    )
    altered = None
    if source is not None:
        apart = np.asarray(cv2.absdiff(picture, cv2.cvtColor(source, cv2.COLOR_GRAY2RGB)), dtype=np.uint8)
        differs = (apart[..., 0] | apart[..., 1] | apart[..., 2]).astype(np.bool_)
        altered = int(np.count_nonzero(differs & (overlaid if drawn else plain)))
    return Sight(
        at_ns=at_ns,
        code=read(np.asarray(picture[..., 1])),
        drawn=drawn,
        origin=read(_bars(tint, at)) if drawn else None,
        dashed=drawn and _covered(tint, at) < SOLID,
        said=_said(picture[band.y0 : band.y1], size_px),
        altered=altered,
    )


def warm(sizes: Iterable[tuple[int, int]] = ((WIDTH, HEIGHT),), spec: ModelSpec = SPEC) -> None:
    """Render ahead what ``look`` compares with, for pictures of these sizes: fonts are not for two threads at once."""
    for width, height in sizes:
        _, size_px, _, _ = _areas(width, height, spec)
        for state in State:
            _words(state, size_px)


def wrong(sight: Sight, period_ms: float) -> str:
    """What rule R2 has against the overlay of a picture, or empty. Half a period is allowed for how captures vary."""
    if not sight.drawn:
        return ""
    age = sight.age_ms
    if age is None:
        return "drawn garbage" if sight.origin is None else "a mask on a picture without a code"
    if age < 0:
        return "a mask of a later frame"
    if age > OLDEST_MS + 1:  # codes hold whole ms
        return "a mask older than 100 ms"
    marked = sight.dashed and sight.said is State.AI_LATE
    return "an old mask without its mark" if age > (NORMAL_PERIODS + 0.5) * period_ms + 1 and not marked else ""


class Originals:
    """A source whose last ``kept`` pictures are remembered, as copies, by their code. Read in one thread.

    given: the capture time of every frame that came, by its code; of the last ones where it is not to ``remember``.
    """

    def __init__(self, frames: Iterable[Frame], kept: int = 128, *, remember: bool = True) -> None:
        self._frames, self._kept, self._remember = frames, kept, remember
        self._pictures: dict[int, Pixels] = {}
        self.given: dict[int, int] = {}

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            code = read(frame.luma)
            if code is not None:
                self.given[code] = frame.captured_ns
                self._pictures[code] = frame.luma.copy()
                if len(self._pictures) > self._kept:
                    oldest = next(iter(self._pictures))
                    del self._pictures[oldest]
                    if not self._remember:
                        del self.given[oldest]
            yield frame

    def of(self, picture: Pixels) -> Pixels | None:
        """The source's picture that this one shows; None where its code is none of the last ones."""
        code = read(np.asarray(picture[..., 1]))
        return None if code is None else self._pictures.get(code)


@lru_cache(maxsize=8)
def _areas(width: int, height: int, spec: ModelSpec) -> tuple[Region, int, NDArray[np.bool_], NDArray[np.bool_]]:
    """The status band, the height of its letters, and the pixels to be the source's: with an overlay, without one."""
    at = place(width, height)
    statements = tuple(filter(None, (NOT_FOR_DIAGNOSIS, spec.training, spec.model_id)))
    layout = layout_of(width, height, Region(0, 0, width, height), statements)
    plain = np.ones((height, width), np.bool_)
    plain[layout.band.y0 : layout.band.y1] = False
    overlaid = plain.copy()
    overlaid[at.y0 : at.y1 + MARGIN, at.x0 - MARGIN : at.x1 + MARGIN] = False
    legend = round(LEGEND[0] * width), round(LEGEND[1] * height)
    for rows in (
        slice(layout.room.y0, layout.room.y0 + legend[1]),
        slice(layout.room.y1 - legend[1], layout.room.y1),
    ):
        overlaid[rows, : legend[0]] = overlaid[rows, width - legend[0] :] = False
    return layout.band, layout.size_px, overlaid, plain


def _bars(tint: NDArray[np.int16], at: Region) -> Pixels:
    """The tinted bars as a code of their own, white on black."""
    side = at.width // CELLS
    middles = at.x0 + side * np.arange(CELLS) + side // 2
    level = np.median(np.stack([tint[4 : ROWS - 4, middles - 1], tint[4 : ROWS - 4, middles]]), axis=(0, 1))
    bars = np.zeros((ROWS, tint.shape[1]), np.uint8)
    bars[: at.y1, at.x0 : at.x1] = np.where(level > TINT, 255, 0).astype(np.uint8).repeat(side)
    return bars


def _covered(tint: NDArray[np.int16], at: Region) -> float:
    """The share of rows on which the code's first and last bar, white and alone, have their outlines."""
    side = at.width // CELLS
    edges = (at.x0, at.x0 + side, at.x1 - side, at.x1)
    return float(np.mean([tint[3 : ROWS - 3, x - 2 : x + 3].max(axis=1) > LINE for x in edges]))


def _said(line: Pixels, size_px: int) -> State | None:
    """The state whose letters stand on its colour; what follows them (an age, a code) is not read."""
    for state, colour in STATE_COLOURS.items():
        words = _words(state, size_px)
        columns = np.flatnonzero((line[: len(words)] == colour).all(axis=(0, 2)))
        if len(columns):
            x = int(columns[0]) + size_px // 2
            part = line[: len(words), x : x + words.shape[1]]
            if part.shape == words.shape and np.array_equal(part, words):
                return state
    return None


@lru_cache(maxsize=64)
def _words(state: State, size_px: int) -> Pixels:
    """Without their end, which the next letter changes."""
    words = rendered(state.value, size_px, BACKGROUND, BOLD, STATE_COLOURS[state])
    return words[:, : words.shape[1] * 3 // 4]
