from __future__ import annotations

import numpy as np
import pytest

from edge3vt.clinic.arches import Arch, axis, oriented, passage
from edge3vt.clinic.measure import measure
from edge3vt.clinic.vessel import course
from edge3vt.core.segmentation import Mask
from edge3vt.picture.view import Side
from tests.clinic.drawn import SURE, others, piece, view

KINDS = {
    "left": (view(), "V", "left", "left"),
    "u": (view(right_arch=True), "U", "right", "left"),
    "right": (view(right_arch=True, right_duct=True), "V", "right", "right"),
}


def arch(mask: Mask, label: int, *, spine: bool = True) -> Arch:
    courses = {s: course(piece(mask, s), others(mask, s)) for s in (1, 2)}
    own = courses[label]
    assert own is not None
    return oriented(own, courses[3 - label], piece(mask, 5) if spine else None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_shape_and_sides_hold_in_any_turn_and_hand(kind: str, turns: int, mirrored: bool) -> None:
    mask, shape, arch_side, duct_side = KINDS[kind]
    mask = np.ascontiguousarray(np.rot90(mask[:, ::-1] if mirrored else mask, turns))
    sides: list[Side] = ["right", "up", "left", "down"]  # where the picture's right goes, turn by turn
    left = sides[(turns + (2 if mirrored and turns % 2 == 0 else 0)) % 4]
    if mirrored and turns % 2:
        left = sides[(turns + 2) % 4]
    values = measure(mask, SURE, 0.2, left)
    assert [values[name].value for name in ("arches", "arch_side", "duct_side")] == [shape, arch_side, duct_side]


def test_the_other_side_set_gives_the_other_side() -> None:
    values = measure(view(), SURE, 0.2, "left")
    assert (values["arch_side"].value, values["duct_side"].value) == ("right", "right")


def test_without_the_fetal_left_there_are_no_sides_but_the_shape() -> None:
    values = measure(view(), SURE, 0.2)
    assert values["arches"].value == "V"
    assert {values[name].withheld for name in ("arch_side", "duct_side")} == {"the fetal left is not set"}


def test_a_left_that_lies_along_the_chest_is_not_believed() -> None:
    values = measure(view(), SURE, 0.2, "up")
    assert values["arch_side"].value is None
    assert "set it again" in values["arch_side"].withheld


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_spine_the_back_is_where_the_arches_meet(kind: str) -> None:
    mask, shape, arch_side, duct_side = KINDS[kind]
    mask = np.where(mask == 5, 0, mask).astype(np.uint8)
    values = measure(mask, SURE, 0.2, "right")
    assert [values[name].value for name in ("arches", "arch_side", "duct_side")] == [shape, arch_side, duct_side]
    assert values["order"].withheld == "spine not found"


def test_a_course_begins_at_the_heart_with_and_without_a_spine() -> None:
    for spine in (True, False):
        for label in (1, 2):
            found = arch(view(), label, spine=spine)
            assert found.course.line[0, 1] < found.course.line[-1, 1]
            assert found.heart[0] == 1.0
    lone = arch(view(), 1)
    assert oriented(lone.course, None, None).heart[0] == 0.0


def test_an_arch_that_ends_before_the_trachea_tells_no_side() -> None:
    mask = view()
    mask[110:] = np.where(mask[110:] == 2, 0, mask[110:])
    values = measure(mask, SURE, 0.2, "right")
    assert values["arches"].withheld == values["arch_side"].withheld == "the arch ends before the trachea"


def test_an_arch_on_the_trachea_passes_on_no_side() -> None:
    mask = view()
    found = passage(arch(mask, 2), piece(mask, 4), axis(arch(mask, 1), arch(mask, 2), piece(mask, 5)), "arch")
    assert found.sure[0] >= 0.9
    moved = np.where(mask == 4, 0, mask).astype(np.uint8)
    moved[145:156, 126:137] = 4
    found = passage(arch(mask, 2), piece(moved, 4), axis(arch(mask, 1), arch(mask, 2), piece(mask, 5)), "arch")
    assert found.sure == (pytest.approx(0, abs=0.3), "the arch lies on the trachea")
