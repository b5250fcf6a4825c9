"""The pen that scanners' screens are written with."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.phantom.lettering import Anchor, Pen


def inked(pen: Pen) -> tuple[int, int, int, int]:
    """First and last column, first and last row that are not black."""
    rows, columns = np.nonzero(pen.pixels())
    return int(columns.min()), int(columns.max()), int(rows.min()), int(rows.max())


@pytest.mark.parametrize(("anchor", "places"), [("la", (300, 420)), ("ra", (180, 300)), ("ma", (240, 360))])
@pytest.mark.parametrize("spaced", [0.0, 0.2])
def test_text_stands_where_its_anchor_says(anchor: Anchor, places: tuple[int, int], spaced: float) -> None:
    pen = Pen(975, 735, 0)
    pen.text(300, 100, "MI 0.6 TIs", 20, 200, anchor=anchor, spaced=spaced)
    x0, x1, y0, y1 = inked(pen)
    if anchor == "ma":
        assert (x0 + x1) / 2 == pytest.approx(300, abs=3)
    assert places[0] - 40 <= x0 < x1 <= places[1] + 40
    assert (x0 >= 299) if anchor == "la" else (x1 <= 301 or anchor == "ma")
    assert 100 <= y0 < y1 <= 126
    assert pen.pixels().max() == 200


def test_sizes_shrink_with_the_screen_but_stay_legible() -> None:
    tall = []
    for height in (735, 512, 300):
        pen = Pen(1400, height, 0)
        pen.text(10, 10, "HIFLM", 20, 255)
        tall.append(inked(pen)[3] - inked(pen)[2])
    assert tall[0] > tall[1] > tall[2] >= 4


def test_dots_are_another_lettering() -> None:
    pens = [Pen(975, 735, 0, dots=dots) for dots in (False, True)]
    for pen in pens:
        pen.text(10, 10, "GAIN 42", 12, 255)
    smooth, dots = (pen.pixels() for pen in pens)
    assert (smooth != dots).any()
    assert set(np.unique(dots)) == {0, 255}


def test_bold_and_spaced_letters_take_more() -> None:
    counts, ends = [], []
    for bold, spaced in ((False, 0.0), (True, 0.0), (False, 0.3)):
        pen = Pen(975, 735, 0)
        pen.lines(10, 10, ["Har-low", "Gn 3"], 20, 255, bold=bold, spaced=spaced)
        counts.append(int((pen.pixels() > 128).sum()))
        ends.append(inked(pen)[1])
    assert counts[1] > 1.2 * counts[0]
    assert ends[2] > ends[0] + 20


def test_shapes_fill_the_pixels_asked_for() -> None:
    pen = Pen(100, 80, 0)
    pen.box((10, 20, 30, 25), 50)
    pen.shade((40, 10, 50, 60), 200, 100)
    pen.shade((60, 10, 70, 20), 0, 90, across=True)
    pen.dotted([(5.2, 5.7)], 90)
    pixels = pen.pixels()
    assert (pixels[20:25, 10:30] == 50).all()
    assert (pixels[:, :40] == 50).sum() == 100
    assert (pixels[10, 40:50] == 200).all()
    assert (pixels[59, 40:50] == 100).all()
    assert (np.diff(pixels[10:60, 45].astype(int)) <= 0).all()
    assert pixels[15, 60:70].tolist() == list(range(0, 91, 10))
    assert pixels[6, 5] == 90
    before = pen.pixels()
    pen.box((10, 10, 10, 20), 255)  # nothing to fill
    pen.shade((10, 10, 10, 20), 255, 255)
    np.testing.assert_array_equal(pen.pixels(), before)


def test_a_cross_is_upright_or_turned() -> None:
    for turned in (False, True):
        pen = Pen(975, 735, 0)
        pen.cross(100, 100, 6, 255, turned=turned)
        pixels = pen.pixels()
        assert pixels[100, 106] == (0 if turned else 255)
        assert pixels[106, 106] == (255 if turned else 0)
