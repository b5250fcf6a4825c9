from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge3vt.core.anatomy import MAX_CLASSES
from edge3vt.core.frame import Crop, Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.picture.mask import place
from edge3vt.picture.outline import colour_of, draw_structures, extent

CROP = Crop(-20, 30, 240, 96)


def disc(size: int = 96, label: int = 1, centre: tuple[int, int] = (50, 40), radius: int = 14) -> Mask:
    return np.asarray(cv2.circle(np.zeros((size, size), np.uint8), centre, radius, label, -1), dtype=np.uint8)


def speckle() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)


def changed(mask: Mask, crop: Crop = CROP, thickness_px: int = 1) -> np.ndarray:
    before = speckle()
    after = before.copy()
    draw_structures(after, mask, crop, thickness_px)
    return np.any(before != after, axis=2)


def widened(region: np.ndarray, by: int) -> np.ndarray:
    return cv2.dilate(region.astype(np.uint8), np.ones((2 * by + 1,) * 2, np.uint8)) > 0


def test_it_draws_on_the_mask_and_nowhere_else() -> None:
    mask = disc()
    placed = place(mask, CROP, (300, 260)) > 0
    touched = changed(mask)
    assert not np.any(touched & ~widened(placed, 3))
    inside = ~widened(~placed, 3)
    assert touched[inside].mean() > 0.95  # a pixel that has the colour already stays as it is


def test_that_test_sees_a_shifted_drawing() -> None:
    placed = place(disc(), CROP, (300, 260)) > 0
    shifted = changed(disc(centre=(52, 40)))
    assert np.any(shifted & ~widened(placed, 3))


def test_the_line_lies_on_the_edge_of_the_mask() -> None:
    picture = np.zeros((300, 260, 3), np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    mask[20:60, 30:70] = 1
    draw_structures(picture, mask, CROP, 1)
    columns, rows = (np.flatnonzero(line > 100) for line in (picture[130, :, 1], picture[:, 100, 1]))
    assert (columns[0], columns[-1] + 1) == pytest.approx((-20 + 30 * 2.5, -20 + 70 * 2.5), abs=1.5)
    assert (rows[0], rows[-1] + 1) == pytest.approx((30 + 20 * 2.5, 30 + 60 * 2.5), abs=1.5)


def test_a_hole_stays_a_hole() -> None:
    mask = disc(radius=20)
    mask[disc(radius=9) > 0] = 0
    x, y = -20 + round(50.5 * 2.5), 30 + round(40.5 * 2.5)
    assert not changed(mask)[y - 8 : y + 8, x - 8 : x + 8].any()


def test_it_returns_what_is_there_in_order() -> None:
    mask = disc(label=4)
    mask[2:5, 80:83] = 2
    assert draw_structures(speckle(), mask, CROP, 2) == [2, 4]
    assert draw_structures(speckle(), np.zeros((96, 96), np.uint8), CROP, 2) == []


@pytest.mark.parametrize(
    "mask", [disc(radius=0), disc(centre=(0, 0)), disc(centre=(95, 95), radius=30), np.full((96, 96), 3, np.uint8)]
)
@pytest.mark.parametrize("crop", [CROP, Crop(-500, -500, 300, 96), Crop(200, 250, 400, 96), Crop(0, 0, 20, 96)])
def test_odd_places_are_drawn_without_complaint(mask: Mask, crop: Crop) -> None:
    placed = place(mask, crop, (300, 260)) > 0
    assert not np.any(changed(mask, crop, 2) & ~widened(placed, 4))


def test_a_fill_shows_what_lies_under_it() -> None:
    picture = np.zeros((300, 260, 3), np.uint8)
    picture[:, 105:] = 200
    draw_structures(picture, disc(radius=20), CROP, 1)
    y = 30 + 100
    assert int(picture[y, 115, 0]) - int(picture[y, 95, 0]) > 100


def test_extent_holds_all_that_is_drawn() -> None:
    mask = disc() | disc(centre=(70, 70), label=2, radius=5)
    around = extent(mask, CROP)
    ys, xs = np.nonzero(changed(mask))
    assert around.x0 - 2 <= xs.min() <= around.x0 + 2
    assert around.x1 - 3 <= xs.max() <= around.x1 + 2
    assert around.y0 - 2 <= ys.min() <= around.y0 + 2
    assert around.y1 - 3 <= ys.max() <= around.y1 + 2


def test_every_class_has_a_colour_of_its_own() -> None:
    colours = [colour_of(label) for label in range(1, MAX_CLASSES)]
    assert len(set(colours)) == len(colours)
    assert all(max(colour) >= 180 for colour in colours)  # to be seen on black


def test_colour_blind_eyes_tell_the_structures_apart() -> None:
    """Deuteranopia and protanopia, Viénot 1999 matrices on linear RGB."""
    deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    colours = (np.array([colour_of(label) for label in range(1, 6)]) / 255) ** 2.2
    for matrix in (np.eye(3), deutan, protan):
        seen = 255 * np.clip(colours @ matrix.T, 0, 1) ** (1 / 2.2)
        gaps = [np.abs(seen[i] - seen[j]).max() for i in range(5) for j in range(i)]
        assert min(gaps) >= 40


def test_dashes_lie_on_the_line_and_leave_it_out_in_turn() -> None:
    whole, dashed = (np.zeros((300, 260, 3), np.uint8) for _ in range(2))
    draw_structures(whole, disc(radius=20), CROP, 2, fill=0)
    draw_structures(dashed, disc(radius=20), CROP, 2, fill=0, dashed=True)
    on = [picture.any(axis=2) for picture in (whole, dashed)]
    assert 0.4 < on[1].sum() / on[0].sum() < 0.7
    assert not np.any(on[1] & ~widened(on[0], 1))


def test_a_speck_can_be_dashed() -> None:
    assert draw_structures(speckle(), disc(radius=0), CROP, 2, dashed=True) == [1]


def test_structures_can_be_left_out() -> None:
    mask = disc(label=4)
    mask[2:5, 80:83] = 2
    picture, before = speckle(), speckle()
    assert draw_structures(picture, mask, CROP, 2, without={4}) == [2]
    assert np.array_equal(picture[60:], before[60:])
