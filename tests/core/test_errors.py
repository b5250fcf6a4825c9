from __future__ import annotations

import pickle

import pytest

from edge3vt.core import errors
from edge3vt.core.errors import LONGEST, Edge3vtError

EXIT_CODES = {
    "ConfigError": 2,
    "DataError": 2,
    "ArtifactError": 2,
    "GateError": 1,
    "BackendMissingError": 3,
    "EngineError": 3,
}


def test_the_tree_is_what_its_page_says() -> None:
    tree = {cls.__name__: cls.exit_code for cls in Edge3vtError.__subclasses__() if cls.__module__ == errors.__name__}
    assert tree == EXIT_CODES
    assert errors.__doc__ is not None
    for name, code in EXIT_CODES.items():
        (line,) = (line for line in errors.__doc__.splitlines() if name in line)
        assert line.endswith(f"exit {code}")


@pytest.mark.parametrize("name", EXIT_CODES)
def test_an_error_prints_as_its_message(name: str) -> None:
    with pytest.raises(Edge3vtError, match=r"^a\.toml: wrong; correct it$"):
        raise getattr(errors, name)("a.toml: wrong; correct it")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[2Ja\u202eb", "\\x1b[2Ja\\u202eb"),  # what a terminal would obey
        ("Gefäß 三血管", "Gefäß 三血管"),
        ("file \udc96", "file \\udc96"),  # of a name that is no UTF-8
    ],
)
def test_a_message_is_one_printable_line_whatever_a_file_holds(text: str, line: str) -> None:
    assert str(Edge3vtError(text)) == line
    assert str(pickle.loads(pickle.dumps(errors.DataError(text)))) == line


@pytest.mark.parametrize("character", ["x", "\n", "\U000e0001"])
def test_a_message_is_bounded_and_keeps_its_ends(character: str) -> None:
    said = str(Edge3vtError(f"a.toml: unknown key '{character * 10_000_000}'; known: a, b"))
    assert len(said) <= LONGEST
    assert said.startswith("a.toml: unknown key '")
    if character == "x":
        assert said.endswith("'; known: a, b")
    assert str(Edge3vtError("y" * LONGEST)) == "y" * LONGEST
