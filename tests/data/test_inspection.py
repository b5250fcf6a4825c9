"""One item's files, against what the manifest says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.errors import DataError
from edge3vt.core.frame import Region
from edge3vt.data.dataset import Dataset
from edge3vt.data.inspection import Job, Look, inspect, percentile, region_of
from tests.data.cohort import CLASSES, REGION, changed, make_set, repainted, tissue


@pytest.fixture
def sound(tmp_path: Path) -> Dataset:
    return make_set(tmp_path / "set", patients=3, each=1)


def look(dataset: Dataset, id: str = "p0-0") -> Look:
    (item,) = (item for item in dataset.items if item.id == id)
    return inspect(Job(dataset.folder, dataset.classes, item))


def rules(seen: Look) -> list[str]:
    return [rule for rule, _ in seen.troubles]


def test_a_sound_item_is_seen_whole(sound: Dataset) -> None:
    seen = look(sound)
    item = sound.items[0]
    assert rules(seen) == []
    assert seen.print is not None
    assert seen.levels.tolist() == np.bincount(sound.picture(item)[8:88, 8:88].ravel(), minlength=256).tolist()
    assert seen.pixels.tolist() == np.bincount(sound.mask(item).ravel(), minlength=len(CLASSES)).tolist()


def test_an_item_without_mask_or_region_is_looked_at_whole(sound: Dataset) -> None:
    seen = look(changed(sound, "p0-0", mask_sha256=None, classes=(), facts={}))
    assert rules(seen) == []
    assert seen.pixels.sum() == 0
    assert seen.levels.sum() == 96 * 96


def test_bytes_that_are_not_the_manifest_s_are_not_decoded(sound: Dataset) -> None:
    (sound.folder / "pictures/p0-0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    seen = look(sound)
    assert rules(seen) == ["file-changed"]
    assert seen.print is None


def test_a_picture_in_colour_is_refused(sound: Dataset) -> None:
    seen = look(repainted(sound, "p0-0", picture=np.repeat(tissue(0)[..., None], 3, axis=2) // np.uint8([1, 2, 3])))
    assert rules(seen) == ["file-unreadable"]


def test_a_manifest_with_another_size_is_told_of_picture_and_mask(sound: Dataset) -> None:
    assert rules(look(changed(sound, "p0-0", width=95))) == ["size-mismatch", "size-mismatch"]


def test_a_region_is_clipped_to_the_picture_and_must_be_four_numbers(sound: Dataset) -> None:
    item = changed(sound, "p0-0", facts={"region": "-4,8,200,20"}).items[0]
    assert region_of(item) == Region(0, 8, 96, 20)
    with pytest.raises(DataError, match="its region is '1,2,3', expected x0,y0,x1,y1"):
        look(changed(sound, "p0-0", facts={"region": "1,2,3"}))


def test_an_empty_region_is_a_blank_picture(sound: Dataset) -> None:
    assert "blank-picture" in rules(look(changed(sound, "p0-0", facts={"region": "5,5,5,5"})))


def test_a_black_picture_that_is_labelled_as_nothing_is_no_fault(sound: Dataset) -> None:
    nothing = np.zeros_like(tissue(0))
    black = changed(repainted(sound, "p0-0", picture=nothing, mask=nothing), "p0-0", classes=())
    assert rules(look(black)) == ["empty-mask"]
    assert rules(look(changed(black, "p0-0", mask_sha256=None))) == ["blank-picture"]


def test_an_empty_mask_where_the_view_is_not_shown_is_meant(sound: Dataset) -> None:
    empty = changed(repainted(sound, "p0-0", mask=np.zeros_like(tissue(0))), "p0-0", classes=())
    for view, told in (("no", []), ("yes", ["empty-mask"])):
        assert rules(look(changed(empty, "p0-0", facts={"region": REGION, "view": view}))) == told


def test_only_a_header_that_says_yes_is_taken_for_burnt_in_text(sound: Dataset) -> None:
    for told, found in (("yes", ["burnt-in"]), ("no", []), ("unknown", [])):
        assert rules(look(changed(sound, "p0-0", facts={"region": REGION, "burnt_in_text": told}))) == found


def test_a_percentile_is_the_level_that_so_many_pixels_do_not_exceed() -> None:
    levels = np.bincount([3] * 98 + [200] * 2, minlength=256)
    assert [percentile(levels, p) for p in (1, 50, 98, 99, 100)] == [3, 3, 3, 200, 200]
