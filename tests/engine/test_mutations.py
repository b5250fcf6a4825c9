"""Whatever is done to an engine folder or a bundle, it is refused before anything reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge3vt.engine import bundle, keyring, manifest
from edge3vt.engine.open import open_engine
from tests.engine import mutate
from tests.engine.mutate import BUNDLE_KINDS, FOLDER_KINDS, Stock, run, stock

COUNT = 312


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutants")


@pytest.fixture(scope="module")
def good(root: Path) -> Stock:
    return stock(root)


@pytest.fixture
def keys(root: Path) -> Iterator[None]:
    with mutate.keys(root / "keys"):
        yield


def test_what_is_sound_is_opened(good: Stock, root: Path, tmp_path: Path, keys: None) -> None:
    """Else the mutants would be refused for another reason."""
    folder, file = tmp_path / "small", tmp_path / "small.tar"
    folder.mkdir()
    for name, data in good.new.items():
        (folder / name).write_bytes(data)
    open_engine(folder).close()
    file.write_bytes(good.bundle)
    assert bundle.unpack(file).engine.release == 2


def test_every_mutant_is_refused_unparsed(good: Stock, root: Path) -> None:
    tally = run(good, root, COUNT)
    assert not tally.faults
    assert tally.refused.total() == COUNT
    kinds = {f"folder: {kind}" for kind in FOLDER_KINDS} | {f"bundle: {kind}" for kind in BUNDLE_KINDS}
    assert set(tally.refused) == kinds


def faults(good: Stock, root: Path) -> set[str]:
    return {fault.partition(": ")[0] + ": " + fault.split(": ")[1] for fault in run(good, root, 78).faults}


def test_a_signature_that_nobody_checks_is_seen(good: Stock, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(purpose: str, data: bytes, signature: bytes, **_: Any) -> str:
        return keyring.own_key()[0]

    monkeypatch.setattr(keyring, "check", blind)
    assert {"folder: other purpose", "folder: duplicate key", "bundle: duplicate key"} <= faults(good, root)


def test_hashes_that_nobody_checks_are_seen(good: Stock, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (manifest, bundle):
        monkeypatch.setattr(module, "refuse_other", lambda *_, **__: None)
    assert {"folder: replaced", "bundle: of another"} <= faults(good, root)


def test_a_floor_that_nobody_checks_is_seen(good: Stock, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "floor", lambda *_: 0)
    assert {"folder: old", "bundle: old"} <= faults(good, root)


def test_links_that_are_followed_are_seen(good: Stock, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "read_plain", lambda path, *_, **__: path.read_bytes() if path.is_file() else b"")
    assert {"folder: link", "folder: hard link"} <= faults(good, root)
