"""Folders of pictures and masks read back equal, with their splits."""

from __future__ import annotations

from pathlib import Path

from edge3vt.core.documents import read_toml
from edge3vt.data.exporters.pictures import export
from edge3vt.data.importers import pictures
from edge3vt.data.importers.labels import LabelMap
from tests.data.cohort import changed, make_set


def test_they_read_back_equal(tmp_path: Path) -> None:
    dataset = changed(make_set(tmp_path / "set", patients=4), "p3-1", split=None)
    dataset = changed(dataset, "p0-1", mask_sha256=None, classes=())
    out = tmp_path / "out"
    assert export(dataset, out) == 8
    labels = read_toml(LabelMap, out / "classes.toml")
    assert labels.classes == dataset.classes
    jobs = {job.files[0].stem: job for job in pictures.find(out, labels)}
    for item in dataset.items:
        job = jobs.pop(item.id)
        raw = next(pictures.read(job))
        assert job.split == item.split
        assert (raw.picture == dataset.picture(item)).all()
        assert (raw.mask is None) == (item.mask_sha256 is None)
        assert raw.mask is None or (raw.mask == dataset.mask(item)).all()
    assert jobs == {}
    assert (out / "train/unlabelled/p0-1.png").read_bytes() == (dataset.folder / "pictures/p0-1.png").read_bytes()
