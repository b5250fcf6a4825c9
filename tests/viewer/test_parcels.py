"""Pictures and masks through shared memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Layout
from edge3vt.stream.slots import Slots
from edge3vt.viewer.feed import Parcel
from edge3vt.viewer.parcels import LARGEST_BYTES, parcel_slots, put, take
from tests.viewer.scenes import SPEC, frame, mask, seg, withheld


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = parcel_slots()
    yield made
    made.close()


def test_the_newest_arrives_whole_and_the_others_are_counted(slots: Slots) -> None:
    for index in range(5):
        put(slots, Parcel(seg(index), SPEC, index, 10 * index))
    parcel, lost = take(slots)
    assert parcel is not None
    assert (parcel.count, parcel.left_ns, parcel.spec, lost) == (4, 40, SPEC, 4)
    assert np.array_equal(parcel.seg.frame.pixels, frame(4).pixels)
    assert not parcel.seg.frame.pixels.flags.writeable
    assert parcel.seg.mask is not None
    assert np.array_equal(parcel.seg.mask, mask())
    assert parcel.seg.model_id == seg(4).model_id
    assert take(slots) == (None, 0)


def test_a_mask_that_is_withheld_does_not_leave_the_process(slots: Slots) -> None:
    put(slots, Parcel(withheld(1), None, 1, 0))
    parcel, _ = take(slots)
    assert parcel is not None
    assert parcel.seg.mask is None
    assert parcel.seg.withheld == "not the view"


@pytest.mark.parametrize(
    ("shape", "layout"), [((48, 64, 3), Layout.BGR), ((48, 64, 2), Layout.YUYV), ((72, 64), Layout.NV12)]
)
def test_every_layout(shape: tuple[int, ...], layout: Layout, slots: Slots) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    put(slots, Parcel(seg(0, frame=frame(0, pixels=pixels, layout=layout)), None, 1, 0))
    parcel, _ = take(slots)
    assert parcel is not None
    assert np.array_equal(parcel.seg.frame.pixels, pixels)
    assert (parcel.seg.frame.layout, parcel.seg.frame.height) == (layout, 48)


def test_long_words_are_cut_and_what_does_not_fit_is_said(slots: Slots) -> None:
    put(slots, Parcel(withheld(0, "x" * 9000, notes=("y" * 9000,) * 20), SPEC, 1, 0))
    parcel, _ = take(slots)
    assert parcel is not None
    assert len(parcel.seg.withheld) == 200
    with pytest.raises(DataError, match="its slots hold"):
        put(slots, Parcel(seg(0, frame=frame(0, pixels=np.zeros((1, LARGEST_BYTES), np.uint8))), None, 1, 0))
    with pytest.raises(DataError, match="there is room for 4000"):
        put(slots, Parcel(seg(0, reason="z" * 5000), None, 1, 0))
