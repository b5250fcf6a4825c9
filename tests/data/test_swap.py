from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.data.dataset import MANIFEST
from edge3vt.data.swap import beside, swap, workplace
from edge3vt.data.writer import Unwritable, clear
from tests.data.test_writer import add, names, stopped, writer


def whole(folder: Path, *ids: str) -> Path:
    with writer(folder) as new:
        for id in ids:
            add(new, id)
    return folder


def test_a_whole_set_is_replaced_by_one_made_beside_it(tmp_path: Path) -> None:
    folder = whole(tmp_path / "set", "a", "b")
    (folder / "notes.txt").write_text("mine")
    assert workplace(folder, overwrite=False) == folder
    new = workplace(folder, overwrite=True)
    assert new == beside(folder) != folder
    whole(new, "c")
    assert "pictures/a.png" in names(folder)
    swap(new, folder)
    assert names(folder) == [MANIFEST, "masks/c.png", "notes.txt", "pictures/c.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_set_that_is_begun_is_gone_on_with_where_it_is(tmp_path: Path) -> None:
    stopped(tmp_path / "set", "a")
    assert workplace(tmp_path / "set", overwrite=True) == tmp_path / "set"
    folder = whole(tmp_path / "other", "a")
    stopped(beside(folder), "c")
    for overwrite, where in ((False, folder), (True, beside(folder))):
        assert workplace(folder, overwrite=overwrite) == where
        assert "pictures/c.png" in names(beside(folder))
    clear(folder)
    assert workplace(folder, overwrite=True) == folder  # nothing is there to be replaced
    assert not beside(folder).exists()


def test_what_a_killed_replacement_left_is_put_right(tmp_path: Path) -> None:
    folder, old = tmp_path / "set", tmp_path / ".set.old"
    whole(old, "a")  # killed between the two renames
    whole(beside(folder), "c")
    assert workplace(folder, overwrite=True) == beside(folder)
    assert "pictures/a.png" in names(folder)
    assert not beside(folder).exists()
    whole(old, "b")  # killed before the old set was removed
    (old / "notes.txt").write_text("mine")
    workplace(folder, overwrite=False)
    assert not old.exists()
    assert "notes.txt" in names(folder)


def test_a_swap_that_fails_says_where_both_sets_are(tmp_path: Path) -> None:
    folder = whole(tmp_path / "set", "a")
    with pytest.raises(Unwritable, match=r"the new set is in .*\.set\.new, the old one in .*\.set\.old"):
        swap(beside(folder), folder)
    assert workplace(folder, overwrite=False) == folder
    assert "pictures/a.png" in names(folder)
