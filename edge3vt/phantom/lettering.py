"""A pen for what a scanner writes and draws around its picture."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge3vt.core.frame import Pixels

if TYPE_CHECKING:
    from PIL import ImageFont

Anchor = Literal["la", "ra", "ma"]
Box = tuple[float, float, float, float]


class Pen:
    """Draws on a grey screen; sizes are pixels of a screen 735 px high and shrink with it, places are real pixels.

    dots: letters of a fixed dot matrix, as on older machines.
    """

    def __init__(self, width: int, height: int, ground: int, *, dots: bool = False) -> None:
        from PIL import Image, ImageDraw

        self.width, self.height, self.dots = width, height, dots
        self.unit = min(width / 975, height / 735)
        self._image = Image.new("L", (width, height), ground)
        self._draw = ImageDraw.Draw(self._image)

    def pixels(self) -> Pixels:
        """(height, width) uint8, a copy."""
        return np.array(self._image)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        level: int,
        *,
        anchor: Anchor = "la",
        bold: bool = False,
        spaced: float = 0.0,
    ) -> None:
        """Write with the top at ``y``. spaced: more room after each letter, as a share of the size."""
        font = _font(max(round(size * self.unit), 7), self.dots)
        gap = spaced * size * self.unit
        wide = font.getlength(words) + gap * max(len(words) - 1, 0)
        x -= {"la": 0.0, "ma": wide / 2, "ra": wide}[anchor]
        for part in words if spaced else [words]:
            for shift in (0, 1) if bold else (0,):
                self._draw.text((round(x) + shift, round(y)), part, font=font, fill=level)
            x += font.getlength(part) + gap

    def lines(
        self,
        x: float,
        y: float,
        rows: list[str],
        size: float,
        level: int,
        *,
        pitch: float = 1.25,
        anchor: Anchor = "la",
        bold: bool = False,
        spaced: float = 0.0,
    ) -> None:
        """Rows of text below each other, ``pitch`` sizes apart."""
        for i, words in enumerate(rows):
            below = i * pitch * size * self.unit
            self.text(x, y + below, words, size, level, anchor=anchor, bold=bold, spaced=spaced)

    def box(self, at: Box, level: int | None, edge: int | None = None) -> None:
        """A filled or framed rectangle."""
        x0, y0, x1, y1 = (round(v) for v in at)
        if x1 > x0 and y1 > y0:
            self._draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=level, outline=edge)

    def shade(self, at: Box, first: int, last: int, *, across: bool = False) -> None:
        """A rectangle whose level runs from ``first`` at the top (or left) to ``last``."""
        from PIL import Image

        x0, y0, x1, y1 = (round(v) for v in at)
        if x1 <= x0 or y1 <= y0:
            return
        ramp = np.linspace(first, last, x1 - x0 if across else y1 - y0).round().astype(np.uint8)
        ramp = ramp[None, :] if across else ramp[:, None]
        self._image.paste(Image.fromarray(np.broadcast_to(ramp, (y1 - y0, x1 - x0)).copy()), (x0, y0))

    def ring(self, x: float, y: float, radius: float, level: int, *, filled: bool = False) -> None:
        r = radius * self.unit
        at = (x - r, y - r, x + r, y + r)
        self._draw.ellipse(at, fill=level if filled else None, outline=level)

    def shape(self, points: list[tuple[float, float]], level: int, *, filled: bool = True) -> None:
        """A closed polygon."""
        if filled:
            self._draw.polygon(points, fill=level)
        else:
            self._draw.line([*points, points[0]], fill=level)

    def arc(self, at: Box, first_degrees: float, last_degrees: float, level: int) -> None:
        self._draw.arc(at, first_degrees, last_degrees, fill=level)

    def dotted(self, points: list[tuple[float, float]], level: int) -> None:
        """A dot at each point."""
        size = 1 if self.unit < 1.4 else 2
        for x, y in points:
            self.box((round(x), round(y), round(x) + size, round(y) + size), level)

    def cross(self, x: float, y: float, arm: float, level: int, *, turned: bool = False) -> None:
        a, x, y = round(arm * self.unit), round(x), round(y)
        strokes = [(x - a, y - a, x + a, y + a), (x - a, y + a, x + a, y - a)] if turned else []
        for stroke in strokes or [(x - a, y, x + a, y), (x, y - a, x, y + a)]:
            self._draw.line(stroke, fill=level)


@lru_cache(maxsize=64)
def _font(size_px: int, dots: bool) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    if dots and 9 <= size_px <= 13:  # its letters are 11 px high and cannot be scaled
        return ImageFont.load_default_imagefont()
    return ImageFont.load_default(size_px)
