from __future__ import annotations

from dataclasses import replace

import pytest

from edge3vt.clinic.cine import LEAST_FRAMES, cine, cines
from edge3vt.clinic.confidence import Value, missing
from edge3vt.clinic.measure import NAMES, FrameMeasure


def frame(
    index: int,
    ratio: float | None = 1.2,
    shape: str = "V",
    *,
    unit: str = "mm",
    width: float = 4.0,
    uncounted: str = "",
    epoch: int = 0,
    sides: tuple[str, str] = ("left", "left"),
    confidence: float = 0.9,
) -> FrameMeasure:
    values = dict.fromkeys(NAMES, missing(uncounted or "not measured here"))
    if not uncounted:
        values["pulmonary_artery_width"] = Value(width, confidence)
        values["pa_ao"] = missing("too narrow") if ratio is None else Value(ratio, confidence)
        values["arches"] = Value(shape, confidence)
        values["arch_side"], values["duct_side"] = (Value(side, confidence) for side in sides)
        values["vessels"] = Value(3, confidence)
    return FrameMeasure(index, index, epoch, unit, uncounted, values)


def test_the_median_of_the_frames_that_earn_it_with_its_spread() -> None:
    ratios = [1.0, 1.1, 1.2, 1.3, 1.4, None, None, 1.2, 1.2, 1.2, 1.2, 1.2]
    found = cine([frame(i, ratio) for i, ratio in enumerate(ratios)]).values["pa_ao"]
    assert (found.value, found.frames) == (1.2, 10)
    assert found.low == pytest.approx(1.09)
    assert found.high == pytest.approx(1.31)
    assert found.confidence == pytest.approx(0.816, abs=0.01)


def test_one_wild_frame_moves_nothing() -> None:
    assert cine([frame(i, 9.0 if i == 4 else 1.2) for i in range(20)]).values["pa_ao"].value == 1.2


def test_frames_that_do_not_count_count_for_nothing() -> None:
    frames = [frame(i, 1.2) for i in range(10)] + [frame(i, uncounted="not shown") for i in range(10, 30)]
    found = cine(frames)
    assert (found.frames, found.counted, found.values["pa_ao"].frames) == (30, 10, 10)
    assert found.values["pa_ao"].value == 1.2
    none = cine(frames[10:])
    assert none.values["pa_ao"].withheld == "no frame counts (not shown)"
    assert {one.value for one in none.values.values()} == {None}


def test_too_few_frames_or_too_small_a_share_earn_nothing() -> None:
    few = cine([frame(i) for i in range(LEAST_FRAMES - 1)]).values["pa_ao"]
    assert (few.value, few.low, few.withheld) == (None, None, "earned in 4 frames, 5 are needed")
    assert cine([frame(i) for i in range(LEAST_FRAMES)]).values["pa_ao"].value == 1.2
    rare = cine([frame(i, 1.2 if i < 6 else None) for i in range(40)]).values["pa_ao"]
    assert rare.withheld == "earned in 6 of 40 frames only"
    never = cine([frame(i, None) for i in range(40)]).values["pa_ao"]
    assert (never.frames, never.withheld) == (0, "too narrow")


def test_what_varies_too_much_or_is_never_sure_is_withheld() -> None:
    wide = cine([frame(i, 0.7 if i % 2 else 1.6) for i in range(20)]).values["pa_ao"]
    assert (wide.value, wide.high, wide.withheld) == (None, None, "it varies from 0.7 to 1.6")


def test_words_need_most_frames_to_agree() -> None:
    agreed = cine([frame(i, shape="U" if i < 2 else "V") for i in range(20)]).values["arches"]
    assert (agreed.value, agreed.frames, agreed.low) == ("V", 20, None)
    assert agreed.confidence == pytest.approx(0.8)
    split = cine([frame(i, shape="U" if i < 8 else "V") for i in range(20)]).values["arches"]
    assert (split.value, split.withheld) == (None, "the frames disagree: U in 8, V in 12")
    assert cine([frame(i) for i in range(20)]).values["vessels"].value == 3


def test_sides_that_do_not_fit_the_shape_withhold_all_three() -> None:
    found = cine([frame(i, sides=("right", "left")) for i in range(20)]).values
    for name in ("arches", "arch_side", "duct_side"):
        assert (found[name].value, found[name].withheld) == (None, "the sides do not fit the shape of the arches")
    assert cine([frame(i, shape="U", sides=("right", "left")) for i in range(20)]).values["arches"].value == "U"


def test_widths_of_frames_with_a_scale_are_not_mixed_with_those_without() -> None:
    frames = [frame(i, width=4.0) for i in range(10)] + [frame(i, width=40.0, unit="px") for i in range(10, 20)]
    found = cine(frames)
    assert (found.unit, found.values["pulmonary_artery_width"].value) == ("mm", 4.0)
    assert found.values["pa_ao"].frames == 20
    assert cine(frames[10:]).unit == "px"


def test_nothing_is_held_together_across_a_change_of_the_picture() -> None:
    frames = [frame(i, 1.2) for i in range(8)] + [frame(i, 1.4, epoch=3) for i in range(8, 18)]
    found = cines(frames)
    assert [(one.epoch, one.first_frame, one.last_frame) for one in found] == [(0, 0, 7), (3, 8, 17)]
    assert [one.values["pa_ao"].value for one in found] == [1.2, 1.4]
    assert cines([]) == ()
    assert replace(found[0]) == found[0]
