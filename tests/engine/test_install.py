from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edge3vt.core.errors import ArtifactError, DataError
from edge3vt.engine.install import install
from edge3vt.engine.manifest import unseal


def test_an_engine_is_installed_byte_for_byte(engine: Path, tmp_path: Path) -> None:
    sealed = unseal(engine)
    (tmp_path / "slots").mkdir()
    assert install(sealed, tmp_path / "slots" / "a") == sealed.manifest
    for path in engine.iterdir():
        assert (tmp_path / "slots" / "a" / path.name).read_bytes() == path.read_bytes()
    assert [path.name for path in (tmp_path / "slots").iterdir()] == ["a"]


def test_one_that_does_not_open_leaves_the_old_one_alone(
    engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = unseal(engine)

    def crash(folder: Path) -> None:
        raise ArtifactError(f"{folder.name}: the runtime crashed on it")

    monkeypatch.setattr("edge3vt.engine.install.probe", crash)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ArtifactError, match="crashed"):
        install(sealed, engine)
    assert unseal(engine).manifest == sealed.manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_one_that_was_never_verified_and_a_place_that_is_none_are_refused(engine: Path, tmp_path: Path) -> None:
    sealed = unseal(engine)
    with pytest.raises(ArtifactError, match="never verified"):
        install(dataclasses.replace(sealed, golden=None), tmp_path / "a")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be"):
        install(sealed, tmp_path / "file" / "a")
