from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.frame import Frame, Layout, Region
from edge3vt.picture.blank import blanked
from edge3vt.picture.colour import to_rgb

SHAPES = {
    Layout.GRAY: (48, 64),
    Layout.RGB: (48, 64, 3),
    Layout.BGR: (48, 64, 3),
    Layout.YUYV: (48, 64, 2),
    Layout.NV12: (72, 64),
}


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("full_range", [True, False])
def test_inside_stays_and_outside_is_black(layout: Layout, full_range: bool) -> None:
    pixels = np.random.default_rng(0).integers(40, 200, SHAPES[layout], dtype=np.uint8)
    frame = Frame(0, 0, pixels, layout, full_range=full_range, region=Region(7, 5, 50, 99))
    kept, source = to_rgb(blanked(frame)), to_rgb(frame)
    assert np.array_equal(kept[5:48, 7:50], source[5:48, 7:50])
    kept[5:48, 7:50] = 0
    assert not kept.any()
    assert source[:5].any()


def test_without_a_region_there_is_nothing_to_blank() -> None:
    frame = Frame(0, 0, np.ones((4, 4), np.uint8))
    assert blanked(frame) is frame
