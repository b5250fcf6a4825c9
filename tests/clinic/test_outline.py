"""Contours and masks, from one to the other."""

from __future__ import annotations

import numpy as np

from edge3vt.clinic.outline import SMALLEST_PX, contours_of, insides, mask_of
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.metrics import confusion, dice
from edge3vt.viewer.drawing import Contour, crossing
from tests.clinic.planning import SIDE, vessels

NAMES = CLASS_NAMES[1:]


def test_a_mask_comes_back_nearly_as_it_was() -> None:
    for seed in range(6):
        mask = vessels(seed)
        contours = contours_of(mask, CLASS_NAMES, NAMES)
        assert all(crossing(contour.points) is None for contour in contours)
        assert max(len(contour.points) for contour in contours) < 80  # few enough to be moved by hand
        back = mask_of(contours, CLASS_NAMES, SIDE, SIDE)
        assert dice(confusion(mask, back, 6))[1:].min() > 0.95
        assert abs(int((back > 0).sum()) / int((mask > 0).sum()) - 1) < 0.01


def test_crumbs_holes_and_the_edge() -> None:
    mask = np.zeros((40, 50), np.uint8)
    mask[5:15, 5:15], mask[8:11, 8:11] = 1, 0
    mask[20:23, 20:23] = 2  # 9 pixels
    mask[30:, 40:] = 3
    mask[20:30, 30] = 4  # a line one pixel wide
    contours = contours_of(mask, CLASS_NAMES, NAMES)
    assert SMALLEST_PX > 9
    assert sorted(contour.structure for contour in contours) == ["pulmonary_artery", "superior_vena_cava"]
    drawn = insides(contours, 50, 40)
    assert drawn["pulmonary_artery"].sum() >= 96
    assert all(0 <= x <= 50 and 0 <= y <= 40 for contour in contours for x, y in contour.points)


def test_thin_lines_keep_their_pixels() -> None:
    mask = np.zeros((40, 50), np.uint8)
    mask[10, 5:45] = 1
    mask[10:30, 44] = 1
    (contour,) = contours_of(mask, CLASS_NAMES, NAMES)
    assert crossing(contour.points) is None


def test_where_structures_overlap_the_smaller_lies_on_top() -> None:
    big = Contour("aortic_arch", ((0, 0), (20, 0), (20, 20), (0, 20)))
    small = Contour("trachea", ((5, 5), (10, 5), (10, 10), (5, 10)))
    for contours in ((big, small), (small, big)):
        mask = mask_of(contours, CLASS_NAMES, 20, 20)
        assert (mask[7, 7], mask[15, 15]) == (4, 2)
