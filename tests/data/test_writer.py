from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.digest import sha256_file
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import MANIFEST, PARTIAL, Item, read_dataset
from edge3vt.data.writer import DatasetWriter, Unwritable, clear, write_item

CLASSES = ("background", "nerve", "vessel")
PICTURE = np.arange(48, dtype=np.uint8).reshape(6, 8)
MASK = (PICTURE % 3).astype(np.uint8)


def writer(folder: Path, *, resume: bool = True, source: str = "x") -> DatasetWriter:
    return DatasetWriter(folder, "mine", CLASSES, resume=resume, request={"source": source})


def add(to: DatasetWriter, id: str) -> Item:
    return to.add(id, PICTURE, MASK, patient="p", source=id)


def cine(to: DatasetWriter, id: str, frames: int = 3) -> list[Item]:
    return [
        write_item(to.folder, CLASSES, f"{id}-{n}", PICTURE, None, patient="p", source=id, cine=id, frame=n)
        for n in range(frames)
    ]


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@contextmanager
def interrupted(folder: Path) -> Iterator[DatasetWriter]:
    """A writer whose run is stopped where the block ends."""
    with suppress(KeyboardInterrupt), writer(folder) as unfinished:
        yield unfinished
        raise KeyboardInterrupt


def stopped(folder: Path, *ids: str) -> None:
    """An import that was interrupted after these items."""
    with interrupted(folder) as unfinished:
        for id in ids:
            add(unfinished, id)


def test_what_is_written_is_what_the_manifest_tells_of(tmp_path: Path) -> None:
    with writer(tmp_path / "set") as new:
        add(new, "b")
        new.add("a", PICTURE, None, patient="p", source="a")
        assert not (tmp_path / "set" / MANIFEST).exists()
        assert len(new) == 2
    assert names(tmp_path / "set") == [MANIFEST, "masks/b.png", "pictures/a.png", "pictures/b.png"]
    a, b = read_dataset(tmp_path / "set").items
    assert (a.id, a.mask_sha256, a.classes) == ("a", None, ())
    assert (b.id, b.classes) == ("b", ("nerve", "vessel"))
    assert b.mask_sha256 == sha256_file(tmp_path / "set" / "masks" / "b.png")
    assert b.picture_sha256 == sha256_file(tmp_path / "set" / "pictures" / "b.png")


def test_without_masks_there_is_no_folder_of_masks(tmp_path: Path) -> None:
    with writer(tmp_path) as new:
        new.take(cine(new, "c"))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [MANIFEST, "pictures"]


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    stopped(tmp_path, "a", "b")
    with writer(tmp_path) as again:
        assert [item.id for item in again.items] == ["a", "b"]
        assert again.has("a")
        assert not again.has("c")
        add(again, "c")
    assert [item.id for item in read_dataset(tmp_path).items] == ["a", "b", "c"]
    assert PARTIAL not in names(tmp_path)


def test_a_killed_run_with_a_torn_last_line_goes_on(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
import numpy as np
from edge3vt.data.writer import DatasetWriter
with DatasetWriter(Path({str(tmp_path / "set")!r}), "mine", {CLASSES!r}, resume=True, request={{"source": "x"}}) as new:
    for id in "abc":
        new.add(id, np.zeros((6, 8), np.uint8), None, patient="p", source=id)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    partial = tmp_path / "set" / PARTIAL
    partial.write_bytes(partial.read_bytes()[:-20])
    with writer(tmp_path / "set") as again:
        assert [item.id for item in again.items] == ["a", "b"]
        add(again, "c")
    assert len(read_dataset(tmp_path / "set").items) == 3


@pytest.mark.parametrize("torn", [b"", b'{"schema": 1, "na'])
def test_a_run_that_was_killed_at_its_first_line_begins_anew(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / PARTIAL).write_bytes(torn)
    with writer(tmp_path) as new:
        assert len(new) == 0
        add(new, "a")
    assert len(read_dataset(tmp_path).items) == 1


@pytest.mark.parametrize("damaged", ["pictures/a.png", "masks/a.png"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_damaged_file_is_done_again(tmp_path: Path, damaged: str, how: str) -> None:
    stopped(tmp_path, "a", "b")
    if how == "cut":
        os.truncate(tmp_path / damaged, 40)
    else:
        (tmp_path / damaged).unlink()
    with writer(tmp_path) as again:
        assert [item.id for item in again.items] == ["b"]
        add(again, "a")
    assert np.array_equal(read_dataset(tmp_path).mask(read_dataset(tmp_path).items[0]), MASK)


def test_a_cine_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    with interrupted(tmp_path) as new:
        new.take(cine(new, "c"))
        new.take(cine(new, "d"))
        cine(new, "half", 2)  # of three
    (tmp_path / "pictures" / "d-1.png").unlink()
    with writer(tmp_path) as again:
        assert again.has("c")
        assert not again.has("d")
        assert not again.has("half")
    assert [item.id for item in read_dataset(tmp_path).items] == ["c-0", "c-1", "c-2"]
    assert names(tmp_path) == [MANIFEST, *(f"pictures/c-{n}.png" for n in range(3))]  # the rest was swept away


def test_another_request_is_refused(tmp_path: Path) -> None:
    stopped(tmp_path, "a")
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with (
        pytest.raises(ConfigError, match="begun with source 'x', not 'y'; repeat its command"),
        writer(tmp_path, source="y"),
    ):
        pass
    with (
        pytest.raises(ConfigError, match="begun with classes"),
        DatasetWriter(tmp_path, "mine", CLASSES[:2], resume=True, request={"source": "x"}),
    ):
        pass
    with pytest.raises(ConfigError, match="--overwrite"), writer(tmp_path, resume=False):
        pass
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_a_data_set_that_is_there_is_not_touched(tmp_path: Path) -> None:
    with writer(tmp_path) as new:
        add(new, "a")
    with pytest.raises(ConfigError, match="holds a data set"), writer(tmp_path):
        pass
    assert len(read_dataset(tmp_path).items) == 1


def test_two_runs_do_not_write_one_set(tmp_path: Path) -> None:
    with writer(tmp_path / "set") as first:
        add(first, "a")
        with pytest.raises(ConfigError, match="another run is writing this data set"), writer(tmp_path / "set"):
            pass
        with pytest.raises(ConfigError, match="another run is writing this data set"):
            clear(tmp_path / "set")
        add(first, "b")
    assert len(read_dataset(tmp_path / "set").items) == 2
    stopped(tmp_path / "next", "a")
    stopped(tmp_path / "next", "b")  # a run that has ended keeps nobody out
    with pytest.raises(ConfigError, match="begun with"), writer(tmp_path / "next", source="y"):
        pass
    with writer(tmp_path / "next") as last:
        assert len(last) == 2


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "wedding.png").write_bytes(b"precious")
    with pytest.raises(ConfigError, match="holds other files"), writer(tmp_path):
        pass
    assert names(tmp_path) == ["pictures/wedding.png"]


def test_nothing_is_left_of_an_empty_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no item was written"), writer(tmp_path / "set") as new:
        cine(new, "refused")
    with pytest.raises(KeyboardInterrupt), writer(tmp_path / "set"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_clearing_removes_a_data_set_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    clear(tmp_path)
    assert (tmp_path / "pictures").exists()  # it was no data set
    (tmp_path / "pictures").rmdir()
    stopped(tmp_path, "a")
    clear(tmp_path)
    assert not list(tmp_path.iterdir())
    with writer(tmp_path) as new:
        add(new, "a")
    (tmp_path / "notes.txt").write_text("mine")
    clear(tmp_path)
    assert names(tmp_path) == ["notes.txt"]


def test_an_item_stands_once(tmp_path: Path) -> None:
    with writer(tmp_path) as new:
        add(new, "a")
        with pytest.raises(DataError, match="the item a is there already"):
            add(new, "a")
    assert len(read_dataset(tmp_path).items) == 1


@pytest.mark.parametrize(
    ("picture", "mask", "message"),
    [
        (PICTURE.astype(np.uint16), None, "a picture of uint16"),
        (np.dstack([PICTURE] * 3), None, "expected uint8"),
        (PICTURE[:0], None, "expected uint8"),
        (PICTURE, MASK[:3], "expected uint8 .* as its picture"),
        (PICTURE, MASK.astype(np.int64), "a mask of int64"),
        (PICTURE, MASK + 1, "label 3, but there are 3 classes"),
    ],
)
def test_what_does_not_fit_is_not_written(tmp_path: Path, picture: np.ndarray, mask: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_item(tmp_path, CLASSES, "a", picture, mask, patient="p", source="s")
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unwritable, match="cannot be written"), writer(tmp_path / "file" / "set"):
        pass
    with pytest.raises(Unwritable, match=r"a\.png: cannot be written"):
        write_item(tmp_path / "file", CLASSES, "a", PICTURE, None, patient="p", source="s")
