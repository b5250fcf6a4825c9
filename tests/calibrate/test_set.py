from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.calibrate.set import CalibrationSet
from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError


def written(folder: Path, text: str) -> CalibrationSet:
    path = folder / "set.toml"
    path.write_text(f'schema = 1\nname = "a"\n{text}', encoding="utf-8")
    return read_toml(CalibrationSet, path)


def test_a_set_of_phantoms_and_a_set_of_files(tmp_path: Path) -> None:
    assert written(tmp_path, 'source = "phantom"\ncount = 3\nseed = 0').seed == 0
    assert written(tmp_path, 'source = "folder"\ncount = 3\npath = "x"').path == "x"
    items = written(tmp_path, 'source = "dataset"\ncount = 3\npath = "x"\nsplit = "train"\ntrack_share = 0.5')
    assert (items.split, items.track_share) == ("train", 0.5)
    assert written(tmp_path, 'source = "dataset"\ncount = 3\npath = "x"').split is None


def test_its_hash_is_of_what_is_asked_not_of_the_layout(tmp_path: Path) -> None:
    asked = written(tmp_path, 'source = "phantom"\ncount = 3\nseed = 0')
    assert written(tmp_path, '# a remark\nseed = 0\ncount = 3\nsource = "phantom"').sha256 == asked.sha256
    assert written(tmp_path, 'source = "phantom"\ncount = 3\nseed = 1').sha256 != asked.sha256


@pytest.mark.parametrize("share", [0.0, 0.2, 0.3, 1.0])
def test_closer_looks_have_their_share_and_keep_step_with_nothing(share: float) -> None:
    asked = CalibrationSet(1, "a", "phantom", 1000, seed=0, track_share=share)
    closer = [index for index in range(1000) if asked.looks_closer(index)]
    assert len(closer) == pytest.approx(1000 * share, abs=2)
    for step in (2, 3, 5, 10):  # as every fifth phantom is not the view
        for start in range(step):
            assert sum(index % step == start for index in closer) == pytest.approx(len(closer) / step, abs=8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('source = "phantom"\ncount = 3', "a phantom set needs the key 'seed'"),
        ('source = "phantom"\ncount = 3\nseed = 1\npath = "x"', "a phantom set has no 'path'"),
        ('source = "folder"\ncount = 3', "a folder set needs the key 'path'"),
        ('source = "folder"\ncount = 3\npath = "x"\nseed = 1', "a folder set has no 'seed'"),
        ('source = "phantom"\ncount = 0\nseed = 1', "count is 0, expected 1 or more"),
        ('source = "dataset"\ncount = 3', "a dataset set needs the key 'path'"),
        ('source = "phantom"\ncount = 3\nseed = 1\nsplit = "train"', "a phantom set has no 'split'"),
        ('source = "folder"\ncount = 3\npath = "x"\ntrack_share = 0.5', "pictures have no masks to look closer at"),
        ('source = "phantom"\ncount = 3\nseed = 1\ntrack_share = 1.5', "track_share is 1.5, expected 0 to 1"),
        ('source = "noise"\ncount = 3', "found 'noise', expected one of 'phantom', 'folder', 'dataset'"),
        ('source = "phantom"\ncount = 3\nsead = 1', "unknown key 'sead'; did you mean 'seed'"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        written(tmp_path, text)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.toml").write_text('schema = 2\nname = "a"\nsource = "phantom"\ncount = 1\nseed = 1')
    with pytest.raises(ConfigError, match="schema 2 is not known, expected 1"):
        read_toml(CalibrationSet, tmp_path / "set.toml")
