from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame, Region
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.picture.images import read_image
from edge3vt.stream.sinks import folder
from edge3vt.stream.sinks.folder import FolderSink


def seg(index: int) -> Segmentation:
    picture = np.full((8, 11, 3), (index, 20, 200), np.uint8)
    frame = Frame(index, index, picture[..., 0])
    return Segmentation(
        frame, None, None, None, Verdict.ON_TIME, "", False, State.LIVE, (), False, "", "model", picture=picture
    )


def run(path: Path, indices: range, *, overwrite: bool = False) -> FolderSink:
    sink = FolderSink(path, overwrite=overwrite, block=True)
    with sink:
        for index in indices:
            sink(seg(index))
    return sink


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


def test_pictures_are_exact_and_named_by_frame(tmp_path: Path) -> None:
    sink = run(tmp_path / "deep" / "out", range(8, 12))
    assert names(tmp_path / "deep" / "out") == ["000008.png", "000009.png", "000010.png", "000011.png"]
    assert np.array_equal(read_image(tmp_path / "deep" / "out" / "000009.png"), seg(9).picture)
    assert (sink.written, sink.dropped) == (4, 0)
    assert names(tmp_path / "deep") == ["out"]


def test_outside_the_region_it_is_black(tmp_path: Path) -> None:
    pixels = np.full((240, 320), 150, np.uint8)
    shown = replace(seg(1), frame=Frame(1, 1, pixels, region=Region(40, 20, 300, 180)), picture=np.dstack([pixels] * 3))
    with FolderSink(tmp_path / "out", overwrite=False, block=True) as sink:
        sink(shown)
    kept = read_image(tmp_path / "out" / "000001.png")
    assert np.all(kept[20:180, 40:300] == 150)
    assert not kept[:20].any()
    assert not kept[:180, :40].any()
    assert kept[-15:].any()  # the band


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").touch()
    with pytest.raises(ConfigError, match="--overwrite"):
        FolderSink(tmp_path, overwrite=False)
    assert names(tmp_path) == ["precious.txt"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    run(tmp_path / "out", range(2))
    assert len(names(tmp_path / "out")) == 2


def test_overwriting_replaces_the_earlier_run_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, range(5))
    (out / "precious.txt").touch()
    (out / "7.png").touch()
    run(out, range(2), overwrite=True)
    assert names(out) == ["000000.png", "000001.png", "7.png", "precious.txt"]


def test_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file"):
        FolderSink(tmp_path / "file", overwrite=False)
    with pytest.raises(DataError, match="cannot be written"):
        FolderSink(tmp_path / "file" / "out", overwrite=False)
    assert names(tmp_path) == ["file"]


def test_a_write_error_surfaces_at_close_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(picture: object) -> bytes:
        raise OSError(28, "No space left on device")

    sink = FolderSink(tmp_path / "out", overwrite=False, block=True)
    sink(seg(0))
    monkeypatch.setattr(folder, "encoded_png", full)
    for index in range(1, 5):
        sink(seg(index))
    with pytest.raises(DataError, match=r"out: cannot be written \(No space left on device\)"):
        sink.close()
    assert sink.written + sink.dropped == 5
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_run_leaves_nothing(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "out", overwrite=False)
    sink(seg(0))
    with pytest.raises(DataError, match="the source broke"), sink:
        raise DataError("the source broke")
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_is_there_at_once_and_what_killed_runs_began_goes(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    torn, living = tmp_path / f".out.{ended.pid}.part", tmp_path / ".out.1.part"
    for begun in (torn, living):
        begun.mkdir()
        (begun / "000000.png").touch()
    run(tmp_path / "out", range(3))
    assert names(tmp_path) == [".out.1.part", "out"]
    assert len(names(tmp_path / "out")) == 3
