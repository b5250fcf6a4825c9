from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Region
from edge3vt.data.dataset import PICTURES, Item
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.raw import Job
from edge3vt.data.intake import Request, Task, task_of, written
from edge3vt.data.pseudonym import pseudonym
from edge3vt.picture.images import read_image
from tests.data.mutate import SECRET, native, noise
from tests.data.mutate import written as encoded

KEY = bytes(range(32))
CLASSES = ("background", "nerve", "vessel")


def clip(root: Path, frames: int = 5, **elements: Any) -> Path:
    path = root / "JANE_DOE.dcm"
    path.write_bytes(encoded(native(np.stack([noise(seed=n) for n in range(frames)]), **elements)))
    return path


def task(path: Path, out: Path, **asked: Any) -> Task:
    return task_of(path, Request(path.parent, "dicom", **asked), out, CLASSES, KEY)


def items_of(todo: Task) -> list[Item]:
    items = list(written(todo))
    assert all(isinstance(item, Item) for item in items)
    return items  # type: ignore[return-value]


def test_a_clip_becomes_items_named_by_its_content(tmp_path: Path) -> None:
    path = clip(tmp_path)
    items = items_of(task(path, tmp_path / "set"))
    digest = sha256_bytes(path.read_bytes())
    assert [item.id for item in items] == [f"{digest[:16]}-{n:05}" for n in range(5)]
    assert {(item.cine, item.source) for item in items} == {(digest[:16], f"sha256:{digest}")}
    assert {item.patient for item in items} == {pseudonym(KEY, f"header {SECRET.casefold()}")}
    assert [item.frame for item in items] == list(range(5))
    assert items[0].facts["region"] == "4,4,76,56"
    assert items[0].mm_per_px == pytest.approx(0.2)


def test_what_lies_outside_the_region_is_blanked(tmp_path: Path) -> None:
    path = clip(tmp_path, 1)
    inside = np.zeros((60, 80), bool)
    inside[4:56, 4:76] = True
    for keep, expected in ((False, np.where(inside, noise(), 0)), (True, noise())):
        (item,) = items_of(task(path, tmp_path / "set", keep_outside=keep))
        assert np.array_equal(read_image(tmp_path / "set" / PICTURES / f"{item.id}.png"), expected)


def test_a_screen_without_a_region_is_refused_unless_its_place_is_given(tmp_path: Path) -> None:
    path = clip(tmp_path, 1, SequenceOfUltrasoundRegions=[])
    with pytest.raises(DataError, match=r"text around the picture may name the patient; give .* --region"):
        list(written(task(path, tmp_path / "set")))
    (item,) = items_of(task(path, tmp_path / "set", region=Region(10, 20, 999, 30)))
    picture = read_image(tmp_path / "set" / PICTURES / f"{item.id}.png")
    assert np.array_equal(picture[20:30, 10:], noise()[20:30, 10:])
    assert picture.astype(int).sum() == picture[20:30, 10:].astype(int).sum()
    assert item.facts["region"] == "10,20,80,30"
    (item,) = items_of(task(path, tmp_path / "set", keep_outside=True))
    assert "region" not in item.facts
    with pytest.raises(DataError, match="the region lies outside its 80x60 px"):
        list(written(task(path, tmp_path / "set", region=Region(80, 0, 90, 10))))


def test_a_region_of_the_user_is_met_with_the_one_of_the_header(tmp_path: Path) -> None:
    path = clip(tmp_path, 1)  # its header tells of 4,4,76,56
    (item,) = items_of(task(path, tmp_path / "set", region=Region(0, 20, 40, 99)))
    assert item.facts["region"] == "4,20,40,56"
    picture = read_image(tmp_path / "set" / PICTURES / f"{item.id}.png")
    assert np.array_equal(picture[20:56, 4:40], noise()[20:56, 4:40])
    assert np.count_nonzero(picture) == np.count_nonzero(picture[20:56, 4:40])
    with pytest.raises(DataError, match="the region lies outside its ultrasound region; correct --region"):
        list(written(task(path, tmp_path / "set", region=Region(0, 0, 80, 4))))


def test_prepared_pictures_are_taken_whole_on_the_users_word_only(tmp_path: Path) -> None:
    from edge3vt.data.importers.pictures import find
    from tests.data.importers.test_pictures import COLOURS, pair

    pair(tmp_path, "a")
    asked: dict[str, Any] = {"source": tmp_path, "format": "pictures", "patient_from": "file"}
    with pytest.raises(ConfigError, match=r"text around the picture may name the patient; give .* blanked = true"):
        Request(labels=COLOURS, **asked)
    blanked = replace(COLOURS, blanked=True)
    for request in (Request(labels=blanked, **asked), Request(labels=COLOURS, keep_outside=True, **asked)):
        (item,) = items_of(task_of(find(tmp_path, COLOURS)[0], request, tmp_path / "set", CLASSES, KEY))
        assert "region" not in item.facts


def test_the_mask_is_blanked_as_its_picture(tmp_path: Path) -> None:
    from edge3vt.data.importers.pictures import find
    from tests.data.importers.test_pictures import COLOURS, MASK, pair  # (2, 10)

    pair(tmp_path, "a")
    request = Request(tmp_path, "pictures", COLOURS, patient_from="file", region=Region(0, 0, 7, 1))
    (item,) = items_of(task_of(find(tmp_path, COLOURS)[0], request, tmp_path / "set", CLASSES, KEY))
    mask = read_image(tmp_path / "set" / "masks" / f"{item.id}.png")
    assert np.array_equal(mask[0, :7], MASK[0, :7])
    assert mask.sum() == MASK[0, :7].sum()
    assert item.classes == ("nerve",)


def test_each_nth_picture_of_a_cine(tmp_path: Path) -> None:
    assert [item.frame for item in items_of(task(clip(tmp_path), tmp_path / "set", every=2))] == [0, 2, 4]


@pytest.mark.parametrize(
    ("patient_from", "identity"),
    [
        ("file", "file p7/JANE_DOE.dcm"),
        ("folder", "folder p7"),
        (r"pattern:p(\d)/", "pattern 7"),
        (r"pattern:p\d", "pattern p7"),
        ("folder:1", "folder p7"),
        ("pattern:(x)?p(7)", None),  # the first group takes no part
        ("pattern:(x*)", None),
        ("folder:2", None),
    ],
)
def test_who_is_in_a_file_without_a_name(tmp_path: Path, patient_from: str, identity: str | None) -> None:
    (tmp_path / "p7").mkdir()
    path = clip(tmp_path / "p7", 1, PatientID="")
    request = Request(tmp_path, "dicom", patient_from=patient_from)
    if identity is None:
        with pytest.raises(DataError, match=r"names no patient, and '.*' finds none in its path"):
            list(written(task_of(path, request, tmp_path / "set", CLASSES, KEY)))
        return
    (item,) = items_of(task_of(path, request, tmp_path / "set", CLASSES, KEY))
    assert item.patient == pseudonym(KEY, identity)
    clip(tmp_path / "p7", 1)
    (item,) = items_of(task_of(path, request, tmp_path / "set", CLASSES, KEY))
    assert item.patient == pseudonym(KEY, f"header {SECRET.casefold()}")  # the header goes first
    request = Request(tmp_path, "dicom", patient_from=patient_from, ignore_header=True)
    (item,) = items_of(task_of(path, request, tmp_path / "set", CLASSES, KEY))
    assert item.patient == pseudonym(KEY, identity)


def test_an_item_without_a_patient_is_refused(tmp_path: Path) -> None:
    path = clip(tmp_path, 1, PatientID="")
    with pytest.raises(DataError, match="names no patient; say what pictures of one patient share: --patient-from"):
        list(written(task(path, tmp_path / "set")))
    with pytest.raises(DataError, match="'pattern:nobody' finds none in its path"):
        list(written(task(path, tmp_path / "set", patient_from="pattern:nobody")))


def test_names_of_files_get_into_a_set_on_the_users_word_only(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"content")
    job, asked = Job((tmp_path / "a.png",), "p1/a.png"), {"labels": LabelMap(1, CLASSES), "keep_outside": True}
    whole = sha256_bytes(b"p1/a.png\0content")
    for patient_from in ("file", "folder", "pattern:p."):
        for keep, source in ((False, f"sha256:{whole}"), (True, "p1/a.png")):
            request = Request(tmp_path, "pictures", patient_from=patient_from, keep_names=keep, **asked)
            made = task_of(job, request, tmp_path, CLASSES, KEY)
            assert (made.id, made.source) == (whole[:16], source)
    odd, request = Job((tmp_path / "a.png",), "\udcff.png"), Request(tmp_path, "labelme", keep_names=True, **asked)
    assert task_of(odd, request, tmp_path, CLASSES, KEY).source == "?.png"
    with pytest.raises(DataError, match="gone: cannot be read"):
        task_of(tmp_path / "gone", Request(tmp_path, "video", keep_outside=True), tmp_path, CLASSES, KEY)


def test_the_innermost_folder_or_one_further_up() -> None:
    from edge3vt.data.intake import _group

    groups = {way: _group(way, "p1/day2/a.png") for way in ("folder", "folder:1", "folder:2", "folder:3")}
    assert groups == {
        "folder": "folder p1/day2",
        "folder:1": "folder p1",
        "folder:2": "folder p1/day2",
        "folder:3": None,
    }


def test_a_key_is_not_shown(tmp_path: Path) -> None:
    assert repr(KEY) not in repr(task(clip(tmp_path, 1), tmp_path / "set"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"patient_from": "pattern"}, "expected file, folder, folder:N or pattern:REGEX"),
        ({"patient_from": "file:x"}, "expected file, folder, folder:N or pattern:REGEX"),
        ({"patient_from": "name"}, "expected file, folder, folder:N or pattern:REGEX"),
        ({"patient_from": "pattern:("}, "no regular expression"),
        ({"ignore_header": True}, "add --patient-from"),
        ({"patient_from": "folder:0"}, "expected file, folder"),
        ({"patient_from": "folder:x"}, "expected file, folder"),
        ({"format": "video", "ignore_header": True, "patient_from": "file"}, "have no header"),
        ({"format": "labelme", "every": 2}, "labelme files hold no cines; leave out --every"),
        ({"format": "video"}, "video files tell of no region"),
        ({"every": 0}, "every 0: expected 1 or more"),
        ({"region": Region(3, 0, 3, 5)}, "it is empty"),
        ({"format": "pictures"}, "as docs/usgra-seg.toml is; add --classes MAP.toml"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Request(**{"source": Path(), "format": "dicom", **asked})
