from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge3vt.core.errors import DataError
from edge3vt.data.importers import labelme
from edge3vt.data.importers.labelme import find, names, read
from edge3vt.data.importers.labels import LabelMap
from edge3vt.picture.images import write_image

PICTURE = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30).astype(np.uint8)
SQUARE = {"label": "vessel", "shape_type": "polygon", "points": [[2, 3], [8, 3], [8, 7], [2, 7]]}


def png(pixels: np.ndarray) -> str:
    return base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()


def document(root: Path, shapes: list[Any], name: str = "a.json", **changes: Any) -> Path:
    whole = {
        "version": "5.4.1",
        "shapes": shapes,
        "imagePath": "a.png",
        "imageData": png(PICTURE),
        "imageHeight": 20,
        "imageWidth": 30,
    }
    (root / name).write_text(json.dumps({**whole, **changes}))
    return root / name


def mask_of(root: Path, labels: LabelMap | None = None) -> np.ndarray:
    (job,) = (job for job in find(root, labels) if not job.bare)
    (raw,) = read(job)
    assert np.array_equal(raw.picture, PICTURE)
    assert raw.mask is not None
    return raw.mask


def box(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    inside = np.zeros((20, 30), bool)
    inside[y0:y1, x0:x1] = True
    return inside


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (SQUARE, box(3, 7, 2, 8)),
        ({**SQUARE, "shape_type": None}, box(3, 7, 2, 8)),  # version 3
        ({**SQUARE, "shape_type": "rectangle", "points": [[8, 7], [2, 3]]}, box(3, 7, 2, 8)),
        ({**SQUARE, "shape_type": "rectangle"}, box(3, 7, 2, 8)),
        ({**SQUARE, "points": [[-50, 3], [8, 3], [8, 700], [-50, 700]]}, box(3, 20, 0, 8)),
        (
            {"label": "v", "shape_type": "mask", "points": [[4, 5], [6, 8]], "mask": png(np.ones((4, 3), np.uint8))},
            box(5, 9, 4, 7),
        ),
    ],
)
def test_a_shape_covers_the_pixels_whose_centres_it_holds(
    tmp_path: Path, shape: dict[str, Any], expected: np.ndarray
) -> None:
    document(tmp_path, [shape])
    assert np.array_equal(mask_of(tmp_path), expected)


def test_a_circle(tmp_path: Path) -> None:
    document(tmp_path, [{**SQUARE, "shape_type": "circle", "points": [[15, 10], [15, 4]]}])
    mask = mask_of(tmp_path)
    assert mask.sum() == pytest.approx(np.pi * 36, rel=0.05)
    assert mask[10, 15] == 1


def test_later_shapes_lie_over_earlier_ones_and_labels_are_sorted(tmp_path: Path) -> None:
    inner = {"label": "nerve", "shape_type": "rectangle", "points": [[4, 4], [6, 6]]}
    path = document(tmp_path, [SQUARE, inner])
    (job,) = find(path)
    assert names(job) == ["nerve", "vessel"]
    mask = mask_of(tmp_path)
    assert np.array_equal(mask == 1, box(4, 6, 4, 6))
    assert np.array_equal(mask > 0, box(3, 7, 2, 8))


def test_a_class_map_gives_order_and_names(tmp_path: Path) -> None:
    document(tmp_path, [SQUARE, {"label": "ruler", "shape_type": "line", "points": [[0, 0], [9, 9]]}])
    labels = LabelMap(1, ("background", "nerve", "artery"), {"vessel": "artery", "ruler": "background"})
    assert np.array_equal(mask_of(tmp_path, labels), 2 * box(3, 7, 2, 8))
    with pytest.raises(DataError, match=r"a\.json: the label 'vessel' is no class; did you mean 'vessels'"):
        mask_of(tmp_path, LabelMap(1, ("background", "vessels")))


def test_no_shapes_are_an_empty_mask(tmp_path: Path) -> None:
    document(tmp_path, [])
    assert not mask_of(tmp_path).any()


def test_the_picture_may_lie_beside_the_document_but_not_outside_the_source(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    for folder in (tmp_path, source, source / "deep"):
        write_image(folder / "a.png", PICTURE)
    for name in ("a.png", "../a.png", "..\\a.png"):
        document(source / "deep", [SQUARE], imageData=None, imagePath=name)
        assert mask_of(source).any()
    (source / "deep" / "link.png").symlink_to(tmp_path / "a.png")
    for name in ("../../a.png", str(tmp_path / "a.png"), "link.png", "../../../../../../etc/passwd"):
        document(source / "deep", [SQUARE], imageData=None, imagePath=name)
        with pytest.raises(DataError, match="its imagePath leads out of"):
            mask_of(source)
    document(source / "deep", [SQUARE], imageData=None, imagePath="gone.png")
    with pytest.raises(DataError, match=r"gone\.png: cannot be read"):
        mask_of(source)


def test_pictures_without_a_document_are_unlabelled_where_documents_are_named_as_pictures(tmp_path: Path) -> None:
    document(tmp_path, [SQUARE])
    write_image(tmp_path / "b.png", PICTURE)
    (job,) = find(tmp_path)  # a.json may have been made of any picture
    write_image(tmp_path / "a.png", PICTURE)
    (tmp_path / "other").mkdir()
    write_image(tmp_path / "other" / "c.png", PICTURE)
    job, bare = find(tmp_path)
    assert [path.name for path in job.files] == ["a.json", "a.png"]
    assert (bare.name, names(bare)) == ("b.png", [])
    (raw,) = read(bare)
    assert np.array_equal(raw.picture, PICTURE)
    assert raw.mask is None


def test_a_picture_that_its_exif_turns_is_refused(tmp_path: Path) -> None:
    from tests.picture.test_images import turned

    document(tmp_path, [SQUARE], imageData=None, imagePath="a.jpg", imageHeight=None, imageWidth=None)
    for orientation in (1, 3, 6):
        turned(tmp_path / "a.jpg", PICTURE, orientation)
        (job,) = find(tmp_path)
        if orientation == 1:
            assert list(read(job))
        else:
            with pytest.raises(DataError, match=r"a\.jpg: its EXIF turns it"):
                list(read(job))


@pytest.mark.parametrize(
    ("shapes", "changes", "message"),
    [
        ([{**SQUARE, "shape_type": "line", "points": [[1, 1], [2, 2]]}], {}, "a line has no area; draw a polygon"),
        ([{**SQUARE, "points": [[1, 1], [2, 2]]}], {}, "a polygon of 2 points"),
        ([{**SQUARE, "shape_type": "blob"}], {}, "a kind that is not known"),
        ([{**SQUARE, "label": ""}], {}, "a shape without a name"),
        ([{**SQUARE, "points": [[1, "2"]] * 3}], {}, "no pairs of numbers"),
        ([{**SQUARE, "points": [[1e9, 2]] * 3}], {}, "no pairs of numbers"),
        ([7], {}, "a shape that is no object"),
        ([{"label": "v", "shape_type": "mask", "points": [[4, 5], [6, 8]], "mask": png(PICTURE)}], {}, "does not fit"),
        ([SQUARE], {"imageHeight": 21}, "its imageHeight is not the 20 px"),
        ([SQUARE], {"imageData": "#"}, "its imageData is no base64"),
        ([SQUARE], {"imageData": base64.b64encode(b"GIF89a").decode()}, "neither a PNG nor a JPEG"),
        ([SQUARE], {"imageData": None, "imagePath": None}, "neither imageData nor an imagePath"),
    ],
)
def test_what_is_wrong_is_refused_with_its_file(
    tmp_path: Path, shapes: list[Any], changes: dict[str, Any], message: str
) -> None:
    path = document(tmp_path, shapes, **changes)
    with pytest.raises(DataError, match=message) as caught:
        mask_of(tmp_path)
    assert str(caught.value).startswith(str(path))


def test_documents_that_are_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="holds no LabelMe documents"):
        find(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        find(tmp_path / "none")
    path = document(tmp_path, [SQUARE])
    monkeypatch.setattr(labelme, "MAX_POINTS", 3)
    with pytest.raises(DataError, match="more than 3 points"):
        mask_of(tmp_path)
    monkeypatch.setattr(labelme, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="larger than"):
        mask_of(tmp_path)
    for text, message in (("{", "no JSON"), ("[]", "no LabelMe document"), ('{"shapes": 1}', "no LabelMe document")):
        path.write_text(text)
        monkeypatch.undo()
        with pytest.raises(DataError, match=message):
            mask_of(tmp_path)
