"""The parts that screens have in common."""

from __future__ import annotations

import re

import numpy as np
import pytest

from edge3vt.core.frame import Region
from edge3vt.phantom.captions import draw_captions
from edge3vt.phantom.desk import BLACKENED, MEASURED, Desk, Shown, blackened, keys, measured, open_region, scale
from edge3vt.phantom.lettering import Pen

REGION = Region(100, 60, 900, 660)


def desk(seed: int = 0, *, top_mm: float = -2.0, mm_per_px: float = 0.15, first: int = 300) -> Desk:
    imaged = np.zeros((REGION.height, REGION.width), bool)
    imaged[:, first:] = True
    rng = np.random.default_rng(seed)
    shown = Shown("convex", mm_per_px, top_mm, top_mm + REGION.height * mm_per_px, imaged)
    return Desk(Pen(975, 735, 0), REGION, shown, draw_captions(rng, 100.0), rng)


def test_marks_stand_at_whole_centimetres_of_depth() -> None:
    for top_mm in (-7.3, 0.0, 42.0):
        marks = desk(top_mm=top_mm).marks()
        for cm, row in marks:
            assert (row - REGION.y0) * 0.15 + top_mm == pytest.approx(10 * cm)
            assert REGION.y0 <= row <= REGION.y1
        assert [cm for cm, _ in marks] == list(range(marks[0][0], marks[-1][0] + 1))
        assert len(marks) in (9, 10)


@pytest.mark.parametrize("side", [-1, 1])
def test_the_scale_is_longer_every_so_many_centimetres(side: int) -> None:
    drawn = desk()
    scale(drawn, 500, side, 255, short=4, long=12, every=5)
    pixels = drawn.pen.pixels()
    for cm, row in drawn.marks():
        wide = int((pixels[round(row)] > 0).sum())
        assert wide == (12 if cm % 5 == 0 else 4)
        assert (pixels[round(row), 500 + side * 2] > 0) or cm % 5


def test_the_probe_mark_stands_beside_the_sector_or_in_the_region_s_corner() -> None:
    x, y = desk(first=300).corner()
    assert REGION.x0 + 250 < x < REGION.x0 + 300
    x, y = desk(first=0).corner()
    assert (REGION.x0 < x < REGION.x0 + 60, REGION.y0 < y < REGION.y0 + 100) == (True, True)


class Recorder(Pen):
    """A pen that remembers what it wrote and where it dotted."""

    def __init__(self) -> None:
        super().__init__(975, 735, 0)
        self.said: list[str] = []
        self.points: list[tuple[float, float]] = []

    def text(self, x: float, y: float, words: str, *rest: object, **how: object) -> None:
        self.said.append(words)

    def dotted(self, points: list[tuple[float, float]], level: int) -> None:
        self.points += points
        super().dotted(points, level)


def test_a_measurement_says_the_length_that_it_draws() -> None:
    seen = set()
    for seed in range(120):
        plain = desk(seed)
        pen = Recorder()
        measured(Desk(pen, plain.region, plain.shown, plain.words, plain.rng), 200, 16)
        if not pen.points:
            assert not pen.said
            continue
        points = np.array(pen.points)
        match = re.fullmatch(r"(.+?)  (\d+\.\d)mm", pen.said[0])
        assert match
        steps = np.hypot(*np.diff(points, axis=0).T)
        closed = match[1] in ("AC", "HC", "1 C", "ThC")
        length = steps.sum() + steps.mean() * (1 if closed else 2)
        assert float(match[2]) == pytest.approx(length * 0.15, rel=0.03, abs=0.1)
        seen.add(closed)
    assert seen == {False, True}


def test_measurements_and_painted_corners_come_as_often_as_said() -> None:
    lit, painted = 0, 0
    for seed in range(300):
        drawn = desk(seed)
        measured(drawn, 200, 16)
        lit += bool(drawn.pen.pixels().any())
        drawn = desk(seed)
        blackened(drawn)
        pixels = drawn.pen.pixels()
        painted += bool(pixels.any())
        assert pixels.max() <= 1
    assert lit / 300 == pytest.approx(MEASURED, abs=0.08)
    assert painted / 300 == pytest.approx(BLACKENED, abs=0.05)


def test_the_region_is_opened_within_its_frame_and_keys_stay_below() -> None:
    drawn = desk()
    drawn.pen.box((0, 0, 975, 735), 120)
    open_region(drawn, 200)
    keys(drawn, 670, 720, 5, 44, 190)
    pixels = drawn.pen.pixels()
    assert not pixels[REGION.y0 : REGION.y1, REGION.x0 : REGION.x1].any()
    assert (pixels[REGION.y0 - 1, REGION.x0 : REGION.x1] == 200).all()
    assert (pixels[: REGION.y0 - 1] == 120).all()
    assert (pixels[690] == 120).sum() == 5 * 8
