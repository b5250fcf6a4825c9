"""A planned study: blinded, crossed, its key kept apart; and what cannot be planned."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.clinic.outline import mask_of
from edge3vt.clinic.plan import Design, candidates, folder_masks
from edge3vt.clinic.reference import overlap
from edge3vt.clinic.study import given_of, picture_of, read_key, read_study
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import Dataset
from edge3vt.picture.images import decoded_image, read_image, write_image
from tests.clinic.planning import STRUCTURES, make_set, plan


def test_what_readers_get_tells_nothing_of_patients(planned: Path, painted: Dataset) -> None:
    study = read_study(planned)
    key = read_key(planned, study)
    assert len(study.cases) == len(key.origins) == 6
    names = [item.id for item in painted.items] + [item.patient + '"' for item in painted.items]
    for path in planned.rglob("*"):
        if path.is_file() and "secret" not in path.parts:
            data = path.read_bytes()
            assert not [name for name in names if name.encode() in data], path
    assert (planned / "secret").stat().st_mode & 0o077 == 0
    items = {item.id: item for item in painted.items}
    for case in study.cases:
        shown = decoded_image(picture_of(planned, case), case.id)
        assert np.array_equal(shown, painted.picture(items[key.of(case.id).item]))


def test_readers_see_nothing_outside_the_region_where_names_stand(tmp_path: Path, painted: Dataset) -> None:
    items = tuple(replace(item, facts=item.facts | {"region": "10,20,60,80"}) for item in painted.items)
    study, _ = plan(tmp_path / "study", replace(painted, items=items), pictures=3)
    for case in study.cases:
        shown = decoded_image(picture_of(tmp_path / "study", case), case.id)
        assert shown[20:80, 10:60].any()
        shown[20:80, 10:60] = 0
        assert not shown.any()


def test_wrong_contours_are_given_where_they_are_planted_and_nowhere_else(planned: Path) -> None:
    study = read_study(planned)
    key = read_key(planned, study)
    planted = [origin for origin in key.origins if origin.planted]
    assert len(planted) == 2
    for origin in key.origins:
        case = study.case(origin.case)
        own = read_image(planned / "secret" / "ai" / f"{case.id}.png")
        given = mask_of(given_of(planned, case.id), study.classes, case.width, case.height)
        for name in STRUCTURES:
            label = study.classes.index(name)
            assert (overlap(own == label, given == label) < 0.5) == (name == origin.planted)


def test_a_plan_is_drawn_by_its_seed(tmp_path: Path, painted: Dataset, planned: Path) -> None:
    study, key = plan(tmp_path / "again", painted)
    assert replace(study, made="") == replace(read_study(planned), made="")
    other, _ = plan(tmp_path / "other", painted, seed=4)
    assert other.id != study.id
    assert [origin.item for origin in key.origins] != [
        origin.item for origin in read_key(tmp_path / "other", other).origins
    ]


def test_what_cannot_be_planned_leaves_nothing(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set", patients=3, each=1)
    with pytest.raises(DataError, match="3 pictures to draw from, expected at least 6; take fewer"):
        plan(tmp_path / "study", dataset)
    with pytest.raises(ConfigError, match="stands twice"):
        plan(tmp_path / "study", dataset, pictures=3, experts=("ann", "finn"))
    with pytest.raises(ConfigError, match=r"--planted 0\.9"):
        plan(tmp_path / "study", dataset, planted=0.9)
    with pytest.raises(ConfigError, match="up to 40 letters"):
        plan(tmp_path / "study", dataset, pictures=3, readers=("../x",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ai", "set"]
    plan(tmp_path / "study", dataset, pictures=3)
    with pytest.raises(ConfigError, match="exists already"):
        plan(tmp_path / "study", dataset, pictures=3)


def test_masks_of_another_size_or_kind_are_refused(tmp_path: Path, painted: Dataset) -> None:
    item = painted.items[0]
    masks = folder_masks(tmp_path, painted.classes)
    for mask, words in (
        (np.zeros((8, 9), np.uint8), "a mask of 9x8 px, expected one of its picture's 112x112"),
        (np.zeros((112, 112, 3), np.uint8), "in colour"),
        (np.full((112, 112), 9, np.uint8), "holds label 9, but there are 6 classes"),
    ):
        write_image(tmp_path / f"{item.id}.png", mask)
        with pytest.raises(DataError, match=words):
            masks(item)


def test_only_pictures_of_the_view_without_text_are_drawn(painted: Dataset) -> None:
    items = [replace(item, facts=item.facts | {"view": "no"}) for item in painted.items]
    items[0] = painted.items[0]
    items[1] = replace(painted.items[1], facts={"burnt_in_text": "yes"})
    found = candidates(replace(painted, items=tuple(items)), "test")
    assert found == [painted.items[0]]
    with pytest.raises(DataError, match="take another split"):
        candidates(painted, "train")


def test_a_design_says_what_is_wrong() -> None:
    design = Design("t", STRUCTURES, ("a",), ("b", "c"), "d", 8, 1)
    for change, words in (({"readers": ()}, "no reader"), ({"differ_below": 0.0}, "--differ-below 0")):
        with pytest.raises(ConfigError, match=words):
            replace(design, **change)


def test_the_key_is_of_its_study(read: Path) -> None:
    study = read_study(read)
    path = read / "secret" / "key.json"
    key = json.loads(path.read_text())
    path.write_text(json.dumps(key | {"study": "0" * 16}))
    with pytest.raises(DataError, match="the key of another study"):
        read_key(read, study)
    path.unlink()
    with pytest.raises(DataError, match="only where the study was planned"):
        read_key(read, study)
