"""Polygons give back every mask, on import and as LabelMe draws them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw

from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ArtifactError
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import read_dataset
from edge3vt.data.exporters.labelme import Outline, export, shapes
from edge3vt.data.importers import labelme
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.shape import polygon
from edge3vt.data.writer import DatasetWriter
from tests.data.cohort import CLASSES, changed, make_set


def imported(found: list[tuple[int, Outline]], shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, np.uint8)
    for label, outline in found:
        mask[polygon(outline, *shape)] = label
    return mask


def drawn_by_labelme(found: list[tuple[int, Outline]], shape: tuple[int, ...]) -> Mask:
    """As labelme.utils.shape_to_mask draws: with Pillow, outline and fill."""
    mask = np.zeros(shape, np.uint8)
    for label, outline in found:
        layer = Image.new("L", (shape[1], shape[0]))
        ImageDraw.Draw(layer).polygon([tuple(point) for point in outline.tolist()], outline=1, fill=1)
        mask[np.asarray(layer) > 0] = label
    return mask


def picture(rows: str) -> Mask:
    return np.array([[int(c) for c in row] for row in rows.split()], np.uint8)


HARD = {
    "an island of one pixel": picture("00000 00100 00000"),
    "pixels that touch at corners": picture("1000 0100 0010 0001"),
    "a chequerboard of two classes": picture("121212 212121 121212 212121"),
    "a hole": picture("11111 10001 10101 10001 11111"),
    "a hole that is open at a corner": picture("011110 100001 100001 100001 111100"),
    "rings of two classes through each other": picture("0110000 1021000 1202100 0120210 0012021 0001201 0000110"),
    "classes that touch": picture("111222 111222 333222 333111"),
    "a structure in a hole of another": picture("1111111 1222221 1233321 1230321 1233321 1222221 1111111"),
    "all of one class": np.full((5, 4), 2, np.uint8),
    "one pixel in all": np.ones((1, 1), np.uint8),
    "a line to the edge": picture("0010 0010 0010"),
    "a hole at the edge": picture("1111 1001 1001"),
    "two holes, one behind the other": picture("111111111 100010001 101010101 100010001 111111111"),
    "holes that touch at a corner": picture("11111 10111 11011 11101 11111"),
    "nothing": np.zeros((3, 4), np.uint8),
}


@pytest.mark.parametrize("name", HARD)
def test_a_hard_mask_comes_back_in_both_ways(name: str) -> None:
    mask = HARD[name]
    found = shapes(mask)
    assert (imported(found, mask.shape) == mask).all()
    assert (drawn_by_labelme(found, mask.shape) == mask).all()
    assert all(len(outline) >= 3 for _, outline in found)


@given(
    arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 3), fill=st.nothing()
    )
)
def test_any_mask_comes_back_in_both_ways(mask: Mask) -> None:
    found = shapes(mask)
    assert (imported(found, mask.shape) == mask).all()
    assert (drawn_by_labelme(found, mask.shape) == mask).all()
    assert (imported(found[::-1], mask.shape) == mask).all()


def test_a_structure_is_one_shape_with_few_corners() -> None:
    mask = np.zeros((300, 300), np.uint8)
    cv2.ellipse(mask, (150, 150), (90, 50), 30, 0, 360, 2, -1)
    ((label, outline),) = shapes(mask)
    assert label == 2
    assert len(outline) < 600
    mask[140:150, 140:150] = mask[120:130, 150:155] = 0
    ((label, outline),) = shapes(mask)
    assert len(outline) < 620


def test_a_set_reads_back_equal(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with DatasetWriter(tmp_path / "set", "hard", ("background", "a", "b", "ä\"'"), resume=False) as writer:
        for index, mask in enumerate(HARD.values()):
            levels = np.arange(mask.size, dtype=np.uint8).reshape(mask.shape)
            writer.add(f"i{index}", levels, mask, patient="p", source="s")
        writer.add("unlabelled", np.eye(9, dtype=np.uint8), None, patient="p", source="s")
    dataset = read_dataset(tmp_path / "set")
    assert export(dataset, out) == len(HARD) + 1
    labels = read_toml(LabelMap, out / "classes.toml")
    assert labels.classes == dataset.classes
    back = {job.files[0].stem: next(labelme.read(job)) for job in labelme.find(out, labels)}
    assert sorted(back) == [item.id for item in dataset.items]
    for item in dataset.items:
        raw = back[item.id]
        assert (raw.mask is None) == (item.id == "unlabelled")
        assert raw.mask is None or (raw.mask == dataset.mask(item)).all()
        assert (raw.picture == dataset.picture(item)).all()


def test_a_document_has_what_labelme_asks_for_and_no_patient(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set", patients=3, each=1)
    dataset = changed(dataset, "p0-0", patient="CANARY", source="CANARY/CANARY.dcm")
    export(dataset, tmp_path / "out")
    document = json.loads((tmp_path / "out/p0-0.json").read_text(encoding="utf-8"))
    assert {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"} == set(document)
    assert all({"label", "points", "group_id", "shape_type", "flags"} <= set(shape) for shape in document["shapes"])
    assert {shape["label"] for shape in document["shapes"]} <= set(CLASSES)
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) == 3 * 2 + 2
    assert not any(b"CANARY" in path.read_bytes() or "CANARY" in path.name for path in written)


def test_a_file_that_is_not_the_manifest_s_leaves_no_export(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set", patients=3, each=1)
    (dataset.folder / "pictures/p1-0.png").write_bytes(b"other")
    with pytest.raises(ArtifactError, match="see edge3vt data audit"):
        export(dataset, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
