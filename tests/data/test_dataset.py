from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import MANIFEST, PARTIAL, Item, read_dataset, write_items
from edge3vt.data.writer import DatasetWriter
from edge3vt.picture.images import write_image

CLASSES = ("background", "nerve", "vessel")
ITEM = Item("a", "0" * 64, None, "p1", "a.png", 8, 6, None, ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of a labelled and an unlabelled item."""
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 2:4] = 2
    with DatasetWriter(tmp_path / "set", "mine", CLASSES, resume=False) as writer:
        writer.add("b", mask * 100, mask, patient="p1", source="b.png", mm_per_px=0.2, split="test")
        writer.add(
            "a", mask + 7, None, patient="p2", source="a.png", cine="c", frame=3, facts={"week": 22, "note": "x"}
        )
    return tmp_path / "set"


def test_a_data_set_comes_back_as_it_was_written(folder: Path) -> None:
    dataset = read_dataset(folder)
    a, b = dataset.items
    assert (dataset.name, dataset.classes) == ("mine", CLASSES)
    assert (b.id, b.patient, b.source, b.width, b.height, b.mm_per_px) == ("b", "p1", "b.png", 8, 6, 0.2)
    assert (b.classes, b.split, b.cine, b.frame, b.facts) == (("vessel",), "test", None, None, {})
    assert (a.classes, a.split, a.cine, a.frame, a.facts) == ((), None, "c", 3, {"week": 22.0, "note": "x"})
    assert np.array_equal(dataset.picture(b), dataset.mask(b) * 100)
    assert np.unique(dataset.mask(b)).tolist() == [0, 2]
    assert dataset.of("test") == (b,)
    assert dataset.of(None) == (a,)
    with pytest.raises(DataError, match="the item a is not labelled"):
        dataset.mask(a)


def test_items_are_replaced_whole(folder: Path) -> None:
    dataset = read_dataset(folder)
    write_items(dataset, [dataclasses.replace(item, split="train") for item in dataset.items])
    assert [item.split for item in read_dataset(folder).items] == ["train", "train"]
    before = (folder / MANIFEST).read_bytes()
    with pytest.raises(DataError, match="the item a stands twice"):
        write_items(dataset, [dataset.items[0], dataset.items[0]])
    assert (folder / MANIFEST).read_bytes() == before


@pytest.mark.parametrize("id", ["", "../a", "a/b", ".a", "a b", "ä", "x" * 129, "a\n"])
def test_an_id_is_a_plain_file_name(id: str) -> None:
    with pytest.raises(DataError, match="no plain file name"):
        dataclasses.replace(ITEM, id=id)


def test_a_manifest_that_is_not_sound_is_refused(folder: Path) -> None:
    path = folder / MANIFEST
    whole = json.loads(path.read_text())
    for change, message in (
        ({"schema": 2}, "schema 2 is not known"),
        ({"classes": ["nerve", "background"]}, "class 0 is 'nerve'"),
        ({"classes": ["background", "nerve"]}, "the class 'vessel', which the data set does not have"),
        ({"items": [{**whole["items"][0], "id": "../../etc/passwd"}]}, "no plain file name"),
        ({"items": [{**whole["items"][0], "split": "tset"}]}, "found 'tset', expected one of"),
        ({"colour": 1}, "unknown key 'colour'"),
    ):
        path.write_text(json.dumps({**whole, **change}))
        with pytest.raises((ConfigError, DataError), match=message) as caught:
            read_dataset(folder)
        assert str(path) in str(caught.value)


def test_what_is_no_data_set_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data set \(no dataset\.json\); check the path"):
        read_dataset(tmp_path)
    (folder / MANIFEST).rename(folder / PARTIAL)
    with pytest.raises(DataError, match=r"an unfinished data set .* repeat the command"):
        read_dataset(folder)


def test_a_picture_in_colour_is_refused(folder: Path) -> None:
    write_image(folder / "pictures" / "a.png", np.zeros((6, 8, 3), np.uint8))
    dataset = read_dataset(folder)
    with pytest.raises(DataError, match="a picture in colour, expected grey"):
        dataset.picture(dataset.items[0])
