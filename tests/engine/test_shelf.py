from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge3vt.core.errors import BackendMissingError, DataError
from edge3vt.engine import open as opening
from edge3vt.engine.install import install
from edge3vt.engine.manifest import Target, unseal
from edge3vt.engine.place import locked
from edge3vt.engine.shelf import drop, engines_in, leftovers
from edge3vt.engine.slots import fill


@pytest.fixture
def rooms(engine: Path, tmp_path: Path) -> tuple[Path, Path]:
    """One sound and one damaged build, one engine in slots, and what is none."""
    builds, slots = tmp_path / "build", tmp_path / "slots"
    shutil.copytree(engine, builds / "small")
    shutil.copytree(engine, builds / "torn")
    (builds / "torn" / "golden.npz").unlink()
    (builds / "notes").mkdir()
    (builds / "link").symlink_to(engine)
    fill(slots / "small", lambda slot: install(unseal(engine), slot))
    return builds, slots


def test_what_is_here_and_whether_it_opens(rooms: tuple[Path, Path]) -> None:
    found = engines_in(*rooms)
    assert [(Path(e.folder).name, e.slot, e.release) for e in found] == [
        ("small", None, 1),
        ("torn", None, None),
        ("a", "active", 1),
    ]
    assert [e.refused is None for e in found] == [True, False, True]
    assert "golden.npz is missing" in str(found[1].refused)


def test_engines_for_elsewhere_and_runtimes_that_lack_are_told_apart(
    rooms: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "target", lambda _: Target("0.1", {}))
    assert "here is 0.1" in str(engines_in(*rooms)[0].refused)

    def missing(_: str) -> Target:
        raise BackendMissingError("no runtime")

    monkeypatch.setattr(opening, "target", missing)
    first = engines_in(*rooms)[0]
    assert (first.refused, first.lacks) == (None, "no runtime")


def test_leftovers_are_found_unless_their_writer_lives(rooms: tuple[Path, Path]) -> None:
    builds, slots = rooms
    assert leftovers(builds, slots) == []
    (builds / ".new.part").mkdir()
    (slots / "small" / ".b.part").mkdir()
    assert leftovers(builds, slots) == [builds / "new", slots / "small" / "b"]
    with locked(builds / "new"):
        assert leftovers(builds, slots) == [slots / "small" / "b"]


def test_a_link_is_not_dropped(rooms: tuple[Path, Path], engine: Path) -> None:
    with pytest.raises(DataError, match="cannot be removed"):
        drop(rooms[0] / "link")
    assert engine.exists()
