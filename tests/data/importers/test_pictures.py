from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.pictures import find, read
from edge3vt.picture.images import write_image

USGRA = Path(__file__).parents[4] / "shared" / "data" / "usgra-seg"
CLASSES = ("background", "nerve", "vessel")
COLOURS = LabelMap(1, CLASSES, {"#800000": "nerve", "#008000": "vessel"}, splits={"train": "train", "held": "test"})
MASK = np.repeat(np.array([[0, 1], [2, 1]], np.uint8), 5, axis=1)
RGB = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0)], np.uint8)[MASK]


def pair(root: Path, name: str, mask: np.ndarray = RGB, level: int = 9, folder: str = "") -> None:
    write_image(root / folder / "images" / f"{name}.png", np.full(mask.shape[:2], level, np.uint8))
    write_image(root / folder / "masks" / f"{name}.png", mask)


def test_pairs_are_found_at_any_depth_with_their_split(tmp_path: Path) -> None:
    pair(tmp_path, "b", folder="train/deep")
    pair(tmp_path, "p1/a", folder="held")
    pair(tmp_path, "c", folder="other")
    jobs = find(tmp_path, COLOURS)
    assert [(job.name, job.split) for job in jobs] == [
        ("held/images/p1/a.png", "test"),
        ("other/images/c.png", None),
        ("train/deep/images/b.png", "train"),
    ]
    for job in jobs:
        (raw,) = read(job)
        assert np.array_equal(raw.mask, MASK)
        assert (raw.picture == 9).all()


def test_grey_and_indexed_masks(tmp_path: Path) -> None:
    pair(tmp_path, "grey", np.array([0, 7, 255], np.uint8)[MASK])
    labels = LabelMap(1, CLASSES, {"7": "nerve", "255": "vessel"})
    (job,) = find(tmp_path, labels)
    assert np.array_equal(next(read(job)).mask, MASK)
    from PIL import Image

    image = Image.fromarray(MASK).convert("P")
    image.putdata(MASK.ravel().tolist())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "masks" / "grey.png")
    for indexed in (COLOURS, LabelMap(1, CLASSES, {"1": "nerve", "2": "vessel"})):  # by colour, by index
        assert np.array_equal(next(read(find(tmp_path, indexed)[0])).mask, MASK)


def test_several_colours_may_be_one_class_or_none(tmp_path: Path) -> None:
    pair(tmp_path, "a")
    labels = LabelMap(1, ("background", "vessel"), {"#800000": "background", "#008000": "vessel"})
    assert np.array_equal(next(read(find(tmp_path, labels)[0])).mask, MASK == 2)


def test_pictures_without_masks_where_the_map_says_so(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png", np.full((4, 5, 3), (255, 0, 0), np.uint8))
    with pytest.raises(DataError, match="no masks in masks/ beside it"):
        find(tmp_path, COLOURS)
    (raw,) = read(find(tmp_path, LabelMap(1, CLASSES, masks=""))[0])
    assert raw.mask is None
    assert np.unique(raw.picture).tolist() == [76]


def test_pictures_in_unlabelled_have_no_masks(tmp_path: Path) -> None:
    pair(tmp_path, "a", folder="train")
    write_image(tmp_path / "train" / "unlabelled" / "b.png", np.full((2, 10), 9, np.uint8))
    write_image(tmp_path / "train" / "images" / "unlabelled" / "c.png", np.full((2, 10), 9, np.uint8))
    bare, labelled, faulty = find(tmp_path, COLOURS)
    assert (bare.name, bare.split) == ("train/unlabelled/b.png", "train")
    (raw,) = read(bare)
    assert raw.mask is None
    assert next(read(labelled)).mask is not None
    assert "no mask 'unlabelled/c'" in faulty.fault


def test_an_unknown_colour_is_refused_with_its_place(tmp_path: Path) -> None:
    odd = RGB.copy()
    odd[1, 3] = (1, 2, 3)
    pair(tmp_path, "a", odd)
    with pytest.raises(DataError, match=r"a\.png: #010203 at x 3, y 1 \(1 pixels\) is not in the class map"):
        list(read(find(tmp_path, COLOURS)[0]))


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    pair(tmp_path, "a")
    write_image(tmp_path / "images" / "a.png", np.zeros((3, 10), np.uint8))
    with pytest.raises(DataError, match="its mask is 10x2 px, its picture 10x3"):
        list(read(find(tmp_path, COLOURS)[0]))


def test_what_lacks_its_partner_is_refused_alone(tmp_path: Path) -> None:
    for name in "abcd":
        pair(tmp_path, name)
    (tmp_path / "images" / "a.png").unlink()
    (tmp_path / "masks" / "b.png").unlink()
    cv2.imwrite(str(tmp_path / "images" / "c.jpg"), MASK)
    reasons = []
    for job in find(tmp_path, COLOURS):
        try:
            assert list(read(job))
        except DataError as error:
            reasons.append(str(error))
    assert [reason.partition(": ")[2].partition(";")[0] for reason in reasons] == [
        "no picture 'a' in images/",
        "no mask 'b' in masks/",
        "several files are named 'c' but for their suffix",
    ]


def test_a_source_without_pictures_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images/ with pictures"):
        find(tmp_path, COLOURS)
    with pytest.raises(DataError, match="is no folder"):
        find(tmp_path / "none", COLOURS)
    with pytest.raises(ConfigError, match="expected the name of a folder"):
        find(tmp_path, LabelMap(1, CLASSES, pictures="a/b"))


def test_real_masks_give_the_classes_that_their_colours_tell() -> None:
    if not USGRA.is_dir():
        pytest.skip("usgra-seg is not here")
    labels = read_toml(LabelMap, Path(__file__).parents[3] / "docs" / "usgra-seg.toml")
    jobs = find(USGRA, labels)
    assert [sum(job.split == split for job in jobs) for split in ("train", "test", None)] == [204, 20, 0]
    for job in jobs[::40]:
        (raw,) = read(job)
        colours = cv2.imread(str(job.files[1]))[..., ::-1]
        assert raw.mask is not None
        assert np.array_equal(raw.mask == 1, (colours == (128, 0, 0)).all(axis=2))
        assert np.array_equal(raw.mask == 2, (colours == (0, 128, 0)).all(axis=2))
