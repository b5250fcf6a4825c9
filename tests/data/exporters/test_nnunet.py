"""An nnU-Net folder has nnU-Net's layout, and reads back equal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import Dataset
from edge3vt.data.exporters.nnunet import export
from edge3vt.data.importers import nnunet
from tests.data.cohort import CLASSES, changed, make_set


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """p0, p3: train, p1: validation, p2: test; p3-1 and p2-1 are not labelled."""
    made = make_set(tmp_path / "set", patients=4)
    for id in ("p3-1", "p2-1"):
        made = changed(made, id, mask_sha256=None, classes=())
    return made


def test_the_layout_is_nnunet_s(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "Dataset101_vessels"
    assert export(dataset, out) == 7
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    training = ["p0-0", "p0-1", "p1-0", "p1-1", "p3-0"]
    assert files == sorted(
        ["dataset.json", "splits_final.json", "classes.toml", "labelsTs/p2-0.png"]
        + [f"imagesTs/{id}_0000.png" for id in ("p2-0", "p2-1")]
        + [f"imagesTr/{id}_0000.png" for id in training]
        + [f"labelsTr/{id}.png" for id in training]
    )
    assert json.loads((out / "dataset.json").read_text()) == {
        "channel_names": {"0": "ultrasound"},
        "labels": {"background": 0, "vessel": 1, "nerve": 2},
        "numTraining": 5,
        "file_ending": ".png",
    }
    (fold,) = json.loads((out / "splits_final.json").read_text())
    assert fold == {"train": ["p0-0", "p0-1", "p3-0"], "val": ["p1-0", "p1-1"]}


def test_it_reads_back_equal(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "Dataset101_vessels"
    export(dataset, out)
    assert nnunet.classes_of(out) == CLASSES
    items = {item.id: item for item in dataset.items}
    jobs = nnunet.find(out)
    assert len(jobs) == 7
    for job in jobs:
        raw = next(nnunet.read(job))
        item = items[job.files[0].stem.removesuffix("_0000")]
        assert job.split == ("test" if item.split == "test" else "train")
        assert (raw.picture == dataset.picture(item)).all()
        assert (raw.mask is None) == (item.mask_sha256 is None)
        assert raw.mask is None or (raw.mask == dataset.mask(item)).all()


def test_no_patient_and_no_source_is_told(dataset: Dataset, tmp_path: Path) -> None:
    dataset = changed(dataset, "p0-0", patient="CANARY", source="CANARY.dcm", facts={"device": "CANARY"})
    out = tmp_path / "Dataset101_vessels"
    export(dataset, out)
    assert not any(b"CANARY" in path.read_bytes() for path in out.rglob("*") if path.is_file())


def test_a_name_that_nnunet_does_not_find_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one like Dataset101_my_vessels"):
        export(dataset, tmp_path / "my vessels")


def test_a_set_without_labelled_training_items_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    for item in dataset.items:
        dataset = changed(dataset, item.id, split="test")
    with pytest.raises(DataError, match="nothing to train on"):
        export(dataset, tmp_path / "Dataset101_vessels")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
