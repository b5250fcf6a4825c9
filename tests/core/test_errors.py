from __future__ import annotations

import pytest

from edge3vt.core import errors
from edge3vt.core.errors import Edge3vtError

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
