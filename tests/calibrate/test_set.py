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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('source = "phantom"\ncount = 3', "a phantom set needs the key 'seed'"),
        ('source = "phantom"\ncount = 3\nseed = 1\npath = "x"', "a phantom set has no 'path'"),
        ('source = "folder"\ncount = 3', "a folder set needs the key 'path'"),
        ('source = "folder"\ncount = 3\npath = "x"\nseed = 1', "a folder set has no 'seed'"),
        ('source = "phantom"\ncount = 0\nseed = 1', "count is 0, expected 1 or more"),
        ('source = "noise"\ncount = 3', "found 'noise', expected one of 'phantom', 'folder'"),
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
