from __future__ import annotations

import re

import numpy as np
import pytest

from edge3vt.clinic.measure import NAMES, WIDTHS, measure, measured, spacing_unit
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.errors import DataError
from edge3vt.core.segmentation import Mask
from tests.clinic.drawn import SURE, blank, disc, seg, tube, view


def withheld(mask: Mask, name: str) -> str:
    """Why a measurement of a mask has no value; fails where it has one."""
    value = measure(mask, SURE, 0.2, "right")[name]
    assert value.value is None
    assert value.confidence < 0.5
    return value.withheld


def without(label: int) -> Mask:
    mask = view()
    return np.where(mask == label, 0, mask).astype(np.uint8)


def test_what_is_drawn_is_measured() -> None:
    values = measure(view(), SURE, 0.2, "right")
    assert tuple(values) == NAMES
    assert [values[name].value for name in WIDTHS] == pytest.approx([3.6, 2.8, 1.8, 2.0], abs=0.1)
    assert values["pa_ao"].value == pytest.approx(18 / 14, abs=0.04)
    assert values["vessels"].value == 3
    assert values["order"].value == "superior vena cava, aortic arch, pulmonary artery"
    assert all(value.confidence > 0.7 and not value.withheld for value in values.values())


def test_a_second_cava_counts_and_takes_the_order_away() -> None:
    values = measure(view(veins=2), SURE, 0.2)
    assert values["vessels"].value == 4
    assert values["order"].withheld == "2 superior venae cavae"
    assert values["superior_vena_cava_width"].value == pytest.approx(1.8, abs=0.1)


def test_half_a_second_cava_is_not_plainly_one() -> None:
    mask = disc(view(), 3, (195.4, 80.3), 6.2)
    assert "second superior vena cava" in withheld(mask, "vessels")


def test_the_order_is_told_by_the_foremost_ends() -> None:
    mask = disc(without(3), 3, (74, 50), 9)
    assert measure(mask, SURE, 0.2)["order"].value == "aortic arch, superior vena cava, pulmonary artery"
    assert (
        withheld(disc(without(3), 3, (74, 62.5), 9), "order") == "two of the vessels reach equally far from the spine"
    )


@pytest.mark.parametrize("mask", [blank(), disc(blank(), 1, (50, 50), 1)], ids=["empty", "one pixel"])
def test_nothing_gives_nothing(mask: Mask) -> None:
    assert {withheld(mask, name) for name in NAMES} == {
        "pulmonary artery not found",
        "aortic arch not found",
        "superior vena cava not found",
        "trachea not found",
    }


@pytest.mark.parametrize(
    ("label", "lost"),
    [(1, "pulmonary_artery_width"), (2, "aortic_arch_width"), (3, "superior_vena_cava_width"), (4, "trachea_width")],
)
def test_what_is_missing_takes_with_it_what_needs_it_alone(label: int, lost: str) -> None:
    values = measure(without(label), SURE, 0.2, "right")
    name = CLASS_NAMES[label].replace("_", " ")
    assert values[lost].withheld == f"{name} not found"
    needs = {1: {"pa_ao", "order"}, 2: {"pa_ao", "order"}, 3: {"vessels", "order"}, 4: set()}[label]
    needs |= {"arches", "arch_side", "duct_side"} if label != 3 else set()
    needs |= {"vessels"} if label < 4 else set()
    assert {key for key, value in values.items() if value.value is None} == {lost} | needs


def test_a_vessel_that_touches_the_edge_is_not_measured() -> None:
    moved = np.roll(view(), -52, axis=0)
    moved[-52:] = 0
    assert withheld(moved, "pulmonary_artery_width") == "pulmonary artery touches the edge of the picture"
    assert withheld(moved, "pa_ao") == "pulmonary artery touches the edge of the picture"


def test_a_vessel_in_two_pieces_is_not_measured() -> None:
    mask = view()
    mask[120:126] = np.where(mask[120:126] == 1, 0, mask[120:126])
    assert withheld(mask, "pulmonary_artery_width") == "pulmonary artery in 2 pieces"
    assert withheld(mask, "vessels") == "pulmonary artery in 2 pieces"


def test_a_trachea_in_pieces_tells_a_side_only_where_they_agree() -> None:
    near = disc(view(), 4, (100, 170), 9)
    values = measure(near, SURE, 0.2, "right")
    assert (values["arches"].value, values["arch_side"].value) == ("V", "left")
    assert values["trachea_width"].withheld == "trachea in 2 pieces"
    beyond = disc(view(), 4, (182, 150), 10)
    assert withheld(beyond, "arch_side") == "trachea in 2 pieces"


def test_blobs_are_not_vessels_cut_along() -> None:
    mask = blank()
    for label, at in ((1, (160, 80)), (2, (120, 90)), (3, (80, 100)), (4, (120, 130)), (5, (120, 200))):
        disc(mask, label, at, 20)
    assert withheld(mask, "pulmonary_artery_width") == "pulmonary artery is not cut along"
    assert withheld(mask, "arches") == "the arches are not cut along"
    assert measure(mask, SURE, 0.2)["superior_vena_cava_width"].value == pytest.approx(4, abs=0.1)


def test_what_is_cut_at_a_slant_uneven_thin_or_hidden_is_not_measured() -> None:
    slant = tube(without(3), 3, [(60, 84), (90, 84)], 9)
    assert withheld(slant, "superior_vena_cava_width") == "superior vena cava is not cut across"
    uneven = tube(without(2), 2, [(128, 72), (130, 130), (136, 186)], 8)
    tube(uneven, 2, [(129, 104), (130, 130)], 22)
    assert withheld(uneven, "aortic_arch_width") == "the aortic arch is of uneven width"
    thin = disc(without(4), 4, (105, 150), 3.2)
    assert "too few to measure" in withheld(thin, "trachea_width")
    hidden = tube(without(2), 2, [(152, 64), (145, 130), (136, 186)], 14)
    assert withheld(hidden, "aortic_arch_width") == "too little of the aortic arch stands free"


def test_what_the_network_is_not_sure_of_is_withheld() -> None:
    scores = (1.0, 1.0, 0.45, 1.0, 1.0, 1.0)
    values = measure(view(), scores, 0.2, "right")
    assert values["aortic_arch_width"].withheld == "the network is not sure of the aortic arch"
    assert values["pa_ao"].value is values["arches"].value is None
    assert values["pulmonary_artery_width"].value is not None


def test_widths_are_in_mm_with_a_spacing_and_in_px_of_the_frame_without() -> None:
    in_mm, in_px = measured(seg(view())), measured(seg(view(), mm_per_px=None))
    assert (in_mm.unit, in_px.unit) == ("mm", "px")
    assert in_mm.values["pulmonary_artery_width"].value == pytest.approx(18 * 2 * 0.2, abs=0.2)
    assert in_px.values["pulmonary_artery_width"].value == pytest.approx(18 * 2, abs=1)
    assert in_mm.values["pa_ao"] == in_px.values["pa_ao"]


@pytest.mark.parametrize("spacing", [0.0, -0.1, float("nan"), float("inf")])
def test_a_spacing_that_is_no_length_is_refused(spacing: float) -> None:
    with pytest.raises(DataError, match=r"frame 7: a spacing of .* expected a positive number"):
        measured(seg(view(), 7, mm_per_px=spacing))
    with pytest.raises(DataError):
        spacing_unit(spacing, 1)


def test_only_a_frame_with_its_own_shown_mask_of_a_new_picture_counts() -> None:
    assert measured(seg(view()), CLASS_NAMES).uncounted == ""
    for one, why in (
        (seg(None), "no mask"),
        (seg(view(), shown=False), "not the 3VT view"),
        (seg(view(), 3, mask_ns=80_000_000), "the mask is of an earlier frame"),
        (seg(view(), 3, repeat_of=2), "the picture repeats an earlier one"),
    ):
        found = measured(one)
        assert found.uncounted == why
        assert {value.value for value in found.values.values()} == {None}
    assert measured(seg(view()), ("background", "nerve")).uncounted == "the engine's classes are not those of the view"


def test_no_word_calls_anything_normal_or_not() -> None:
    words = [
        str(v.value) + v.withheld
        for kind in (view(), view(right_arch=True), blank())
        for v in measure(kind, SURE, 0.2, "up").values()
    ]
    assert not re.search("normal|patholog|diagnos|suspicious", " ".join(words), re.IGNORECASE)


def test_any_mask_at_all_is_measured_or_withheld_without_an_error() -> None:
    rng = np.random.default_rng(5)
    for _ in range(12):
        coarse = rng.choice(6, (16, 16), p=(0.5, *[0.1] * 5)).astype(np.uint8)
        values = measure(np.kron(coarse, np.ones((8, 8), np.uint8)), SURE, 0.2, "left")
        assert all((value.value is None) == bool(value.withheld) for value in values.values())
