"""Drawings in numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.clinic.collection import look
from edge3vt.clinic.results import Result, follows, measures_of, results, scores, widths
from edge3vt.clinic.study import read_key, read_study
from edge3vt.core.errors import DataError
from edge3vt.core.segmentation import Mask
from edge3vt.picture.images import write_image
from tests.clinic.planning import MM_PER_PX, STRUCTURES, vessels


@pytest.fixture(scope="module")
def found(whole: Path) -> list[Result]:
    study = read_study(whole)
    _, readings = look(whole, study)

    def measures(mask: Mask, mm_per_px: float | None) -> dict[str, float | None]:
        assert mm_per_px == MM_PER_PX
        return {"rows": float((mask > 0).any(axis=1).sum()) * mm_per_px}

    return results(whole, study, read_key(whole, study), readings, measures)[0]


def test_every_drawing_has_its_arm(found: list[Result]) -> None:
    for case in {result.case for result in found}:
        own = [(result.arm, result.reader) for result in found if result.case == case]
        assert sorted(own) == [
            ("ai", ""),
            ("assisted", "ann"),
            ("assisted", "ben"),
            ("reader", "ann"),
            ("reader", "ben"),
        ]
    assert {result.session for result in found if result.arm == "ai"} == {0}
    assert all((result.seconds is None) == (result.arm == "ai") for result in found)


def test_the_planted_bias_comes_out_in_areas(found: list[Result]) -> None:
    def ratio(arm: str, reader: str) -> float:
        own = [r for r in found if (r.arm, r.reader) == (arm, reader) and not r.planted]
        return float(np.mean([np.log(s.found_px / s.true_px) for r in own for s in r.scores.values()]))

    assert ratio("reader", "ann") > ratio("reader", "ben") > 0 > ratio("ai", "")  # 0.3 and 0.1 mm outwards; eroded


def test_scores_count_where_the_reference_holds_a_structure(whole: Path) -> None:
    study = read_study(whole)
    true = vessels(1)
    without = np.where(true == 4, 0, true).astype(np.uint8)
    missed, extra = scores(true, without, study)["trachea"], scores(without, true, study)["trachea"]
    assert (missed.dice, missed.iou, missed.pa, missed.found_px) == (0.0, 0.0, 0.0, 0)
    assert (extra.dice, extra.true_px) == (None, 0)
    assert scores(true, true, study)["aortic_arch"].dice == 1.0
    assert set(scores(true, true, study)) == set(STRUCTURES)


def test_means_are_over_what_is_counted(found: list[Result]) -> None:
    one = found[0]
    names = list(one.scores)
    left = replace(one, scores=one.scores | {names[0]: replace(one.scores[names[0]], dice=None)})
    assert left.mean("dice") == pytest.approx(np.mean([one.scores[name].dice for name in names[1:]]))
    assert replace(one, scores={}).mean("iou") is None


def test_following_is_being_nearer_to_the_wrong_contour(found: list[Result]) -> None:
    true, wrong = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    true[5:15, 5:15] = 4
    wrong[5:15, 18:28] = 4
    assert follows(wrong, wrong, true, 4)
    assert not follows(true, wrong, true, 4)
    assert not follows(np.zeros_like(true), wrong, true, 4)
    planted = [result for result in found if result.planted]
    assert {result.followed for result in planted if result.arm == "reader"} == {False}
    assert {result.followed for result in planted if result.arm == "assisted"} == {True, False}
    assert all(result.followed is None for result in found if not result.planted)


def test_measures_and_their_scale(found: list[Result]) -> None:
    assert all(value is not None for result in found for value in result.measures["rows"])
    known, unknown = widths(vessels(0), MM_PER_PX), widths(vessels(0), None)
    assert known["trachea_width"] == pytest.approx(12 * MM_PER_PX, rel=0.4)
    assert {name for name, value in unknown.items() if value is not None} <= {"pa_ao"}


def test_other_classes_have_no_widths(whole: Path) -> None:
    study = read_study(whole)
    assert measures_of(study) is widths
    others = replace(study, classes=("background", "a", "b"), structures=("a",))
    assert measures_of(others)(np.zeros((3, 3), np.uint8), 1.0) == {}


def test_a_mask_of_the_ai_of_another_size_is_refused(read: Path) -> None:
    study = read_study(read)
    path = read / "secret" / "ai" / f"{study.cases[0].id}.png"
    write_image(path, np.zeros((9, 9), np.uint8))
    with pytest.raises(DataError, match="another size than its picture"):
        results(read, study, read_key(read, study), look(read, study)[1], lambda mask, scale: {})
