from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.nnunet import classes_of, find, read

MASK = np.repeat(np.array([[0, 1], [2, 1]], np.uint8), 5, axis=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two training cases, a labelled and an unlabelled test case."""
    for folder in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (tmp_path / folder).mkdir()
    for n, which in enumerate(("Tr", "Tr", "Ts", "Ts")):
        cv2.imwrite(str(tmp_path / f"images{which}" / f"c{n}_0000.png"), MASK * 50 + n)
        if n < 3:
            cv2.imwrite(str(tmp_path / f"labels{which}" / f"c{n}.png"), MASK)
    describe(tmp_path)
    return tmp_path


def describe(root: Path, **changes: Any) -> None:
    document = {
        "channel_names": {"0": "us"},
        "labels": {"background": 0, "vessel": 2, "nerve": 1},
        "numTraining": 2,
        "file_ending": ".png",
        "reference": "more keys are allowed",
    }
    (root / "dataset.json").write_text(json.dumps({**document, **changes}))


def test_cases_are_read_with_labels_in_their_order(root: Path) -> None:
    assert classes_of(root) == ("background", "nerve", "vessel")
    jobs = find(root)
    assert [(job.name, job.split, len(job.files)) for job in jobs] == [
        ("imagesTr/c0_0000.png", "train", 2),
        ("imagesTr/c1_0000.png", "train", 2),
        ("imagesTs/c2_0000.png", "test", 2),
        ("imagesTs/c3_0000.png", "test", 1),
    ]
    raws = [raw for job in jobs for raw in read(job)]
    assert np.array_equal(raws[0].mask, MASK)
    assert np.array_equal(raws[2].picture, MASK * 50 + 2)
    assert raws[3].mask is None


def test_a_class_map_renames_and_merges(root: Path) -> None:
    labels = LabelMap(1, ("background", "structure"), {"nerve": "structure", "vessel": "structure"})
    assert classes_of(root, labels) == labels.classes
    assert np.array_equal(next(read(find(root, labels)[0])).mask, MASK > 0)
    with pytest.raises(ConfigError, match="the label 'vessel' is no class"):
        find(root, LabelMap(1, ("background", "nerve")))


def test_pictures_in_colour_become_luma(root: Path) -> None:
    cv2.imwrite(str(root / "imagesTr" / "c0_0000.png"), np.full((2, 10, 3), (0, 0, 255), np.uint8))
    assert np.unique(next(read(find(root)[0])).picture).tolist() == [76]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file_ending": ".nii.gz"}, "file_ending is '.nii.gz', expected '.png': 2D pictures, not NIfTI"),
        ({"file_ending": None}, "file_ending is no name"),
        ({"channel_names": {"0": "a", "1": "b"}}, "one channel"),
        ({"labels": {"background": 0, "whole": [1, 2], "core": 2}}, "not regions"),
        ({"labels": {"background": 0, "a": 1, "ignore": 2}}, "has an ignore label"),
        ({"labels": {"background": 0, "a": 2}}, "not 0, 1, 2"),
        ({"labels": {"a": 0, "b": 1}}, "class 0 is 'a'"),
        ({"numTraining": 3}, "tells of 3 training cases, 2 are there"),
    ],
)
def test_what_is_not_read_is_refused_with_its_reason(root: Path, changes: dict[str, Any], message: str) -> None:
    describe(root, **changes)
    with pytest.raises(DataError, match=message) as caught:
        find(root)
    assert str(root / "dataset.json") in str(caught.value) or "numTraining" in changes


def test_a_second_channel_is_refused(root: Path) -> None:
    cv2.imwrite(str(root / "imagesTr" / "c0_0001.png"), MASK)
    with pytest.raises(DataError, match="only one channel a case"):
        find(root)


def test_a_case_that_lacks_a_file_is_refused_alone(root: Path) -> None:
    (root / "labelsTr" / "c0.png").unlink()
    cv2.imwrite(str(root / "labelsTr" / "c9.png"), MASK)
    first, second, last, *_ = find(root)
    assert list(read(second))
    with pytest.raises(DataError, match=r"no labels c0\.png in labelsTr"):
        list(read(first))
    with pytest.raises(DataError, match=r"no picture c9_0000\.png in imagesTr"):
        list(read(last))


def test_labels_that_do_not_fit_are_refused(root: Path) -> None:
    cv2.imwrite(str(root / "labelsTr" / "c0.png"), MASK + 1)
    cv2.imwrite(str(root / "labelsTr" / "c1.png"), MASK[:, :4])
    first, second, *_ = find(root)
    with pytest.raises(DataError, match=r"label 3, but dataset\.json names 3"):
        list(read(first))
    with pytest.raises(DataError, match="its labels are 4x2 px, its picture 10x2"):
        list(read(second))
