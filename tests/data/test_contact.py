"""Contact sheets show every item, its outlines and its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge3vt.data.contact import COLUMNS, GAP_PX, TILE_PX, caption, sheet, spread, tile, tile_of
from edge3vt.picture.outline import colour_of
from tests.data.cohort import changed, make_set, structures, tissue


def test_a_tile_keeps_its_proportions_and_shows_each_structure_in_its_colour() -> None:
    mask = np.zeros((40, 80), np.uint8)
    mask[10:30, 10:30], mask[10:30, 50:70] = 1, 2
    small = tile(np.zeros((40, 80), np.uint8), mask, 200, 200)
    assert small.shape == (100, 200, 3)
    for label, x in ((1, 50), (2, 150)):
        assert small[50, x].tolist() == [round(0.25 * level) for level in colour_of(label)]
        assert small[20:80, x - 30 : x + 30].max() > 0.6 * max(colour_of(label))
    assert small[50, 100].max() == 0


def test_a_tile_without_a_mask_is_grey() -> None:
    small = tile(tissue(0), None, 50, 90)
    assert small.shape == (50, 50, 3)
    assert (small == small[..., :1]).all()
    assert (tile(tissue(0), structures(0), 50, 90) != small).any()


def test_a_sheet_has_room_for_every_item(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set", patients=4)
    items = list(dataset.items[:7])
    (dataset.folder / "pictures/p0-1.png").write_bytes(b"")
    (dataset.folder / "masks/p1-0.png").unlink()
    picture = sheet(dataset, items)
    width, height = TILE_PX
    assert picture.shape[1] == COLUMNS * (width + GAP_PX) + GAP_PX
    assert picture.shape[0] > 2 * height
    assert sheet(dataset, items, columns=2).shape[0] > 4 * height
    assert sheet(dataset, items[:1]).shape[1] == width + 2 * GAP_PX
    assert tile_of(dataset, items[1], 10, 10) is None
    whole, bare = (tile_of(dataset, item, 96, 96) for item in (items[0], items[2]))
    assert whole is not None
    assert bare is not None
    assert (np.ptp(whole, axis=2) > 0).any()
    assert not (np.ptp(bare, axis=2) > 0).any()


def test_a_caption_tells_split_patient_and_classes(tmp_path: Path) -> None:
    dataset = make_set(tmp_path / "set", patients=3, each=1)
    assert caption(dataset.items[0]) == ("p0-0", "train · p0 · vessel, nerve")
    dataset = changed(dataset, "p0-0", split=None, patient="", mask_sha256=None, classes=())
    assert caption(dataset.items[0]) == ("p0-0", "no split · no patient · not labelled")


def test_a_sample_is_spread_over_the_items(tmp_path: Path) -> None:
    items = make_set(tmp_path / "set", patients=5).items
    assert spread(items, 99) == list(items)
    assert [item.id for item in spread(items, 3)] == ["p0-1", "p2-1", "p4-0"]
    assert spread((), 3) == []
