from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.core import shipped
from edge3vt.core.errors import ConfigError
from edge3vt.core.shipped import PLACES, documents, find


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A shipped and a working folder with recipes of their own and one of the same name."""
    for root, names in (("shipped", ("cpu", "both")), ("working", ("mine.v2", "both"))):
        recipes = tmp_path / root / "engines" / "recipes"
        recipes.mkdir(parents=True)
        for name in names:
            (recipes / f"{name}.toml").touch()
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "shipped")
    return tmp_path / "shipped", tmp_path / "working"


def test_the_working_folder_wins(folders: tuple[Path, Path]) -> None:
    ours, theirs = folders
    assert find("recipe", "cpu", theirs) == ours / "engines/recipes/cpu.toml"
    assert find("recipe", "both", theirs) == theirs / "engines/recipes/both.toml"
    assert find("recipe", "mine.v2", theirs) == theirs / "engines/recipes/mine.v2.toml"
    assert set(documents("recipe", theirs)) == {"cpu", "both", "mine.v2"}
    assert documents("set", theirs) == {}


def test_a_path_means_that_file(folders: tuple[Path, Path]) -> None:
    _, working = folders
    (working / "own.toml").touch()
    assert find("recipe", "own.toml", working) == working / "own.toml"
    assert find("recipe", str(working / "own.toml")) == working / "own.toml"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bth", r"^no recipe is named 'bth'; did you mean 'both'\?$"),
        ("", r"^no recipe is named ''; known: both, cpu, mine\.v2$"),
        ("gone.toml", r"gone\.toml: no such recipe; give a \.toml file, or the name of one in engines/recipes$"),
        ("engines/recipes/gone", "no such recipe"),
        ("../shipped", "no such recipe"),
    ],
)
def test_unknown_names_and_missing_files_are_told(folders: tuple[Path, Path], name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find("recipe", name, folders[1])


def test_what_a_checkout_ships_is_found_from_anywhere(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    for kind, (folder, suffix) in PLACES.items():
        names = [path.stem for path in (root / folder).glob(f"*{suffix}")]
        assert sorted(documents(kind, tmp_path)) == sorted(names)
