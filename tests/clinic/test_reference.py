"""Two experts merged, a third where they differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3vt.clinic.outline import Inside
from edge3vt.clinic.reference import differing, merged, overlap, reference
from edge3vt.clinic.study import read_key, read_study, reading_path
from edge3vt.core.errors import DataError
from edge3vt.core.metrics import confusion, dice
from edge3vt.data.dataset import Dataset

NAMES = ("background", "artery", "arch")


def disc(x: float, y: float, radius: float) -> Inside:
    rows, columns = np.mgrid[:60, :80] + 0.5
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def test_between_two_drawings_the_edge_is_half_way() -> None:
    mask = merged({"artery": disc(40, 30, 10)}, {"artery": disc(40, 30, 16)}, {}, (), NAMES, (60, 80))
    assert overlap(mask == 1, disc(40, 30, 13)) > 0.985


def test_where_experts_differ_the_third_reading_decides_there_or_not() -> None:
    one, two, third = {"artery": disc(20, 20, 8)}, {"artery": disc(60, 40, 8)}, {"artery": disc(61, 40, 8)}
    assert overlap(merged(one, two, third, ("artery",), NAMES, (60, 80)) == 1, third["artery"]) == 1
    assert not merged(one, two, {}, ("artery",), NAMES, (60, 80)).any()
    assert not merged(one, {}, {}, (), NAMES, (60, 80)).any()  # what one did not see and nobody decided


def test_a_pixel_of_two_structures_goes_to_the_one_it_lies_deeper_in() -> None:
    both = {"artery": disc(30, 30, 12), "arch": disc(44, 30, 12)}
    mask = merged(both, both, {}, (), NAMES, (60, 80))
    assert (mask[30, 34], mask[30, 40]) == (1, 2)
    assert ((mask > 0) == (both["artery"] | both["arch"])).all()


def test_overlap_of_nothing() -> None:
    nothing = np.zeros((3, 3), bool)
    assert overlap(None, None) == overlap(nothing, None) == 1
    assert overlap(None, np.ones((3, 3), bool)) == 0


def test_the_reference_of_a_study_is_near_the_truth(whole: Path, painted: Dataset) -> None:
    study = read_study(whole)
    key = read_key(whole, study)
    masks, decided = reference(whole, study)
    items = {item.id: item for item in painted.items}
    for case in study.cases:
        true = painted.mask(items[key.of(case.id).item])
        assert dice(confusion(true, masks[case.id], 6))[1:5].min() > 0.9
    assert decided == differing(whole, study)


def test_a_reference_needs_both_experts(read: Path) -> None:
    study = read_study(read)
    path = reading_path(read, "eva", 1, study.cases[0].id)
    path.write_text(path.read_text().replace('"done": true', '"done": false'))
    with pytest.raises(DataError, match="eva is not done"):
        reference(read, study)
    path.unlink()
    with pytest.raises(DataError, match="eva has not read this case"):
        reference(read, study)
