"""A study's statistics, on drawings that are made up to be known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.clinic.analysis import summarise
from edge3vt.clinic.results import Arm, Result, Score
from edge3vt.clinic.study import SCHEMA, Case, Key, Origin, Person, Study
from edge3vt.clinic.summary import Summary
from edge3vt.core.documents import parse_json, to_json

NAMES = ("a", "b")
READERS = ("r1", "r2", "r3")
LIFT = 0.05  # in Dice, by the AI
BIASES = {"r1": 0.08, "r2": 0.10, "r3": 0.12}  # of log areas, alone


def study_of(cases: list[str]) -> tuple[Study, Key]:
    people = tuple(Person(name, "reader") for name in READERS)
    people += (Person("e1", "expert"), Person("e2", "expert"), Person("j", "adjudicator"))
    listed = tuple(Case(case, "", 9, 9) for case in cases)
    study = Study(SCHEMA, "s", "t", "", "", ("background", *NAMES), NAMES, people, 28, 0.7, listed, ())
    origins = tuple(
        Origin(case, case, f"p{i // 2}", None, None, None, "a" if i < 3 else "") for i, case in enumerate(cases)
    )
    return study, Key(SCHEMA, "s", "set", "", 0, "ai", origins)


def made_up(pictures: int = 20) -> tuple[Study, Key, list[Result]]:
    rng = np.random.default_rng(8)
    study, key = study_of([f"c{i:02d}" for i in range(pictures)])
    found = []
    for origin in key.origins:
        true = {name: int(rng.integers(300, 3000)) for name in NAMES}
        level = rng.normal(0.8, 0.03)
        drawn: list[tuple[Arm, str]] = [("ai", "")]
        drawn += [(arm, reader) for reader in READERS for arm in ("reader", "assisted")]  # type: ignore[misc]
        for arm, reader in drawn:
            lift = LIFT if arm == "assisted" else 0.0
            bias = BIASES.get(reader, 0.0) if arm == "reader" else 0.0
            scores = {}
            for name in NAMES:
                dice = float(np.clip(level + lift + rng.normal(0, 0.01), 0, 1))
                area = round(true[name] * float(np.exp(bias + rng.normal(0, 0.02))))
                scores[name] = Score(dice, dice / (2 - dice), dice, area, true[name])
            wide = 3.0 + rng.normal(0, 1)
            followed = (arm == "assisted" and reader == "r1") if origin.planted else None
            seconds = None if arm == "ai" else float(np.exp(rng.normal(np.log(60 if arm == "reader" else 30), 0.1)))
            measures = {"w_width": (wide + 0.2, wide if origin.case != "c05" else None)}
            one = Result(
                arm, reader, origin.case, origin.patient, 1, seconds, scores, measures, origin.planted, followed
            )
            found.append(one)
    return study, key, found


@pytest.fixture(scope="module")
def summary() -> Summary:
    study, key, found = made_up()
    return summarise(study, key, found, {"c00": ("a",), "c01": ()}, ["one problem"])


def test_the_lift_by_the_ai_is_found(summary: Summary) -> None:
    lift = next(c for c in summary.comparisons if (c.one, c.other, c.measure) == ("assisted", "reader", "dice"))
    assert lift.difference.value == pytest.approx(LIFT, abs=0.01)
    assert lift.difference.interval[0] < LIFT < lift.difference.interval[1]
    assert lift.p_holm < 0.05
    assert lift.drawings == 17 * 3
    none = next(c for c in summary.comparisons if (c.one, c.other, c.measure) == ("ai", "reader", "dice"))
    assert abs(none.difference.value) < 0.01
    assert none.drawings == 17 * 3
    assert len(summary.comparisons) == 9
    assert all(one.p_holm >= one.difference.p for one in summary.comparisons)


def test_the_bias_of_areas_is_that_of_the_readers(summary: Summary) -> None:
    alone = {one.measure: one for one in summary.measured if one.arm == "reader"}
    assert set(alone) == {"a_area", "b_area", "w_width"}
    area = alone["a_area"]
    assert area.scale == "log"
    assert area.agreement.bias.value == pytest.approx(0.10, abs=0.01)
    assert area.agreement.bias.interval[0] < 0.10 < area.agreement.bias.interval[1]
    assert area.agreement.bias.df < 6  # of readers, not of 51 drawings
    assert area.icc is not None
    assert area.icc.value > 0.98
    for reader, bias in BIASES.items():
        assert area.agreement.reader_biases[reader] == pytest.approx(bias, abs=0.02)
    assert alone["w_width"].agreement.bias.value == pytest.approx(0.2)
    assert alone["w_width"].without == 3
    assert next(one for one in summary.measured if one.arm == "ai").icc is None


def test_planted_pictures_count_for_following_alone(summary: Summary) -> None:
    assert {one.drawings for one in summary.accuracy} == {17, 51}
    following = summary.following
    assert following is not None
    assert (following.pictures, following.drawings, following.followed) == (3, 9, 3)
    assert following.by_reader == {"r1": 1.0, "r2": 0.0, "r3": 0.0}
    assert (following.alone_drawings, following.alone_followed) == (9, 0)
    assert summary.planted == 3


def test_where_nobody_follows_the_interval_is_by_pictures() -> None:
    study, key, found = made_up(8)
    none = [replace(one, followed=False if one.planted else None) for one in found]
    following = summarise(study, key, none, {}).following
    assert following is not None
    assert following.interval == pytest.approx((0.0, 1 - 0.025 ** (1 / 3)))


def test_time_is_a_ratio_of_pairs(summary: Summary) -> None:
    assert summary.time is not None
    assert summary.time.ratio is not None
    assert np.exp(summary.time.ratio.value) == pytest.approx(0.5, rel=0.1)
    assert set(summary.time.median) == {"reader", "assisted"}


def test_missed_and_extra_structures_are_counted() -> None:
    study, key, found = made_up(8)
    late = [one for one in found if not one.planted]
    gone = replace(late[1], scores=late[1].scores | {"a": Score(0.0, 0.0, 0.0, 0, 500)})
    more = replace(late[2], scores=late[2].scores | {"b": Score(None, None, None, 500, 0)})
    summary = summarise(study, key, [late[0], gone, more, *late[3:]], {})
    rows = {(one.arm, one.structure): one for one in summary.accuracy}
    assert rows[gone.arm, "a"].missed == 1
    assert rows[more.arm, "b"].extra == 1
    assert rows[gone.arm, "mean"].missed == 1
    area = next(one for one in summary.measured if (one.arm, one.measure) == (gone.arm, "a_area"))
    assert area.without == 1


def test_it_is_a_document(summary: Summary) -> None:
    assert parse_json(Summary, to_json(summary), where="here") == summary
    assert (summary.decided, summary.decisions) == (1, 40)
    assert summary.lacking == ("one problem",)


def test_untimed_readings_and_no_planted_pictures_leave_that_out() -> None:
    study, key, found = made_up(8)
    bare = [replace(one, seconds=None, planted="", followed=None) for one in found]
    summary = summarise(study, key, bare, {})
    assert summary.time is None
    assert summary.following is None
