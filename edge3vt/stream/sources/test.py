"""A scripted source for drills: the frame's number stands in the pixels as a bar code, faults come as written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edge3vt.core.clock import NS_PER_MS, NS_PER_S, Clock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame, Layout, Pixels, Region
from edge3vt.stream.barcode import LEAST_HEIGHT, LEAST_WIDTH, draw
from edge3vt.stream.sources.raw import CorruptError, Tally, checked_region, shaped
from edge3vt.stream.sources.script import Step, parse_faults, steps

PATTERNS = ("speckle", "bars", "flat")
TRAVEL = 256
"""Rows that the picture wanders through before it begins again."""
MARK = Region(8, 32, 40, 64)
"""A red square in colour layouts, so that exchanged channels show."""
RED_CB_CR = 85, 255


@dataclass(frozen=True, slots=True)
class Pattern:
    """What test:// can be asked for. code: what the bar code holds, the frame's number or its capture time in ms.

    present: the device is there while this file is. faults: see ``script.FORMS``.
    """

    pattern: str = "speckle"
    rate_hz: float = 60.0
    width: int = 1024
    height: int = 768
    layout: Layout = Layout.GRAY
    full_range: bool = True
    seconds: float | None = None
    faults: str = ""
    code: Literal["frame", "ms"] = "frame"
    present: Path | None = None
    region: Region | None = None
    mm_per_px: float | None = None


class PatternSource:
    """Frames as the script says, each when it is due; unpaced, at once. Raises ConfigError for what cannot be drawn."""

    def __init__(self, pattern: Pattern, clock: Clock, *, paced: bool = True) -> None:
        self.name = f"test://{pattern.pattern}"
        if pattern.pattern not in PATTERNS:
            raise ConfigError(f"{self.name}: no such pattern; known: {', '.join(PATTERNS)}")
        if not 0 < pattern.rate_hz <= 1000:
            raise ConfigError(f"{self.name}: rate is {pattern.rate_hz:g}, expected 0 to 1000 Hz")
        self._pattern, self._clock, self._paced = pattern, clock, paced
        self._faults = parse_faults(pattern.faults, self.name)
        self.width, self.height, self.rate_hz = pattern.width, pattern.height, pattern.rate_hz
        self.frames = None if pattern.seconds is None else round(pattern.seconds * pattern.rate_hz)
        self.notes: tuple[str, ...] = ()
        self.tally = Tally()
        sizes = [fault.value for fault in self._faults if fault.kind == "size"]
        for width, height in ((pattern.width, pattern.height), *sizes):
            self._check_size(int(width), int(height))
        checked_region(pattern.region, pattern.width, pattern.height, self.name)
        self._check_present()

    def __iter__(self) -> Iterator[Frame]:
        asked, start_ns = self._pattern, self._clock.now_ns()
        index, epoch, base, last = 0, 0, np.empty((0, 0), np.uint8), None
        for step in steps(self._faults, asked.rate_hz, asked.width, asked.height, self.frames):
            captured_ns = start_ns + step.time_ns
            if self._paced:
                self._clock.sleep_until_ns(captured_ns)
            self._check_present()
            match step.kind:
                case "hang":
                    while True:
                        self._clock.sleep_until_ns(self._clock.now_ns() + NS_PER_S)
                case "lost":
                    raise DataError(f"{self.name}: the device is gone, as the script says")
                case "exit":
                    os._exit(step.code)
            if base.shape != (step.height + TRAVEL, step.width):
                epoch += bool(base.size)
                base = _base(asked.pattern, step.width, step.height)
            if step.kind != "frozen" or last is None or last.size == 0:
                last = self._buffer(base, step, captured_ns)
            try:
                pixels = shaped(last[:-1] if step.kind == "corrupt" else last, asked.layout, step.width, step.height)
            except CorruptError as error:
                self.tally.add(str(error))
                continue
            yield Frame(
                index=index,
                captured_ns=captured_ns,
                pixels=pixels,
                layout=asked.layout,
                full_range=asked.full_range,
                epoch=epoch,
                region=asked.region,
                mm_per_px=asked.mm_per_px,
            )
            index += 1

    def _buffer(self, base: Pixels, step: Step, captured_ns: int) -> Pixels:
        """The picture's bytes as a device would give them."""
        pattern = self._pattern
        black, white = (0, 255) if pattern.full_range else (16, 235)
        if step.kind == "black":
            luma = np.full((step.height, step.width), black, np.uint8)
        else:
            top = step.number * 3 % TRAVEL
            luma = base[top : top + step.height].copy()
            if not pattern.full_range:
                luma = np.asarray(cv2.convertScaleAbs(luma, alpha=219 / 255, beta=16), dtype=np.uint8)
            draw(luma, captured_ns // NS_PER_MS if pattern.code == "ms" else step.number, black=black, white=white)
        return _laid_out(luma, pattern.layout, coloured=step.kind != "black").reshape(-1)

    def _check_size(self, width: int, height: int) -> None:
        even = self._pattern.layout not in (Layout.NV12, Layout.YUYV) or not (width % 2 or height % 2)
        if not (LEAST_WIDTH <= width <= 4096 and max(LEAST_HEIGHT, MARK.y1) <= height <= 4096 and even):
            raise ConfigError(
                f"{self.name}: {width}x{height} {self._pattern.layout.value}, expected {LEAST_WIDTH}x{MARK.y1} to "
                f"4096x4096 px, even for yuyv and nv12"
            )

    def _check_present(self) -> None:
        path = self._pattern.present
        if path is not None and not path.exists():
            raise DataError(f"{self.name}: no such device ({path}); plug it in")


def _base(pattern: str, width: int, height: int) -> Pixels:
    """(height + TRAVEL, width) grey levels; each frame is a part of it, a few rows further on."""
    rows = height + TRAVEL
    match pattern:
        case "speckle":
            noise = np.random.default_rng(0).rayleigh(40.0, (rows, width))
            return np.minimum(noise, 255).astype(np.uint8)
        case "bars":
            return ((np.arange(rows)[:, None] // 8 + np.arange(width) // 32) * 16 % 256).astype(np.uint8)
        case _:
            return np.full((rows, width), 96, np.uint8)


def _laid_out(luma: Pixels, layout: Layout, *, coloured: bool) -> Pixels:
    """The luma as a picture of ``layout``: grey, with MARK in red where the layout has colours."""
    height, width = luma.shape
    mark = np.s_[MARK.y0 : MARK.y1, MARK.x0 : MARK.x1]
    match layout:
        case Layout.GRAY:
            return luma
        case Layout.RGB | Layout.BGR:
            pixels = np.asarray(cv2.cvtColor(luma, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
            if coloured:
                pixels[mark] = (200, 30, 30) if layout is Layout.RGB else (30, 30, 200)
            return pixels
        case Layout.YUYV:
            pixels = np.full((height, width, 2), 128, np.uint8)
            pixels[..., 0] = luma
            if coloured:
                pixels[mark] = np.tile(
                    np.array([[76, RED_CB_CR[0]], [76, RED_CB_CR[1]]], np.uint8), (MARK.width // 2, 1)
                )
            return pixels
        case Layout.NV12:
            pixels = np.full((height * 3 // 2, width), 128, np.uint8)
            pixels[:height] = luma
            if coloured:
                pixels[mark] = 76
                pixels[height + MARK.y0 // 2 : height + MARK.y1 // 2, MARK.x0 : MARK.x1] = np.tile(
                    np.array(RED_CB_CR, np.uint8), MARK.width // 2
                )
            return pixels
