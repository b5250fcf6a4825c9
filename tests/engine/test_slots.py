from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError
from edge3vt.engine import keyring
from edge3vt.engine.golden import from_bytes, to_bytes
from edge3vt.engine.install import install
from edge3vt.engine.manifest import EngineManifest, Sealed, unseal
from edge3vt.engine.open import open_engine
from edge3vt.engine.slots import SLOTS, active, fill, read_slots, rollback
from tests.engine.test_manifest import reseal


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Floors that are this test's own."""
    monkeypatch.setenv(keyring.VARIABLE, str(shutil.copytree(keyring.keys_folder(), tmp_path / "keys")))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "slots" / "small"


def sealed(engine: Path, release: int) -> Sealed:
    reseal(engine, release=release)
    return unseal(engine)


def put(home: Path, what: Sealed) -> EngineManifest:
    return fill(home, lambda slot: install(what, slot))


def test_a_new_engine_runs_and_the_last_one_is_kept(engine: Path, home: Path) -> None:
    assert put(home, sealed(engine, 1)).release == 1
    assert active(home) == home / "a"
    put(home, sealed(engine, 2))
    put(home, sealed(engine, 3))
    assert active(home) == home / "a"
    assert [unseal(home / name).manifest.release for name in "ab"] == [3, 2]
    assert sorted(path.name for path in home.iterdir()) == ["a", "b", SLOTS]
    assert list(home.parent.iterdir()) == [home]
    open_engine(home).close()
    key, _ = keyring.own_key()
    assert keyring.floor(key, "small") == 2

    assert rollback(home, lambda slot: unseal(slot).manifest).release == 2
    assert active(home) == home / "b"
    assert rollback(home, lambda slot: unseal(slot).manifest).release == 3


def test_an_engine_that_answers_otherwise_does_not_take_over(engine: Path, home: Path) -> None:
    """A signed one whose golden frames do not fit: as if the runtime computed something else here."""
    put(home, sealed(engine, 1))
    sound = unseal(engine)
    golden = from_bytes(sound.golden or b"", sound.manifest.spec)
    other = to_bytes(dataclasses.replace(golden, logits=-golden.logits))
    (engine / "golden.npz").write_bytes(other)
    files = json.loads((engine / "manifest.json").read_text())["files"]
    entry = {"sha256": sha256_bytes(other), "size": len(other), "role": "golden"}
    reseal(engine, release=2, files=files | {"golden.npz": entry})
    with pytest.raises(ArtifactError, match="other answers than where it was built"):
        put(home, unseal(engine))
    assert unseal(active(home)).manifest.release == 1
    assert sorted(path.name for path in home.iterdir()) == ["a", SLOTS]
    shutil.rmtree(home)
    with pytest.raises(ArtifactError, match="other answers than where it was built"):
        put(home, unseal(engine))
    assert not home.exists()


def test_a_damaged_engine_is_replaced_and_no_last_good_one(engine: Path, home: Path) -> None:
    put(home, sealed(engine, 1))
    (home / "a" / "engine.onnx").write_bytes(b"x")
    put(home, sealed(engine, 2))
    assert read_slots(home).previous is None
    assert unseal(active(home)).manifest.release == 2
    with pytest.raises(ArtifactError, match="no earlier engine to go back to"):
        rollback(home, lambda slot: unseal(slot).manifest)


def test_another_engine_in_the_slot_is_not_gone_back_to(engine: Path, home: Path) -> None:
    put(home, sealed(engine, 1))
    put(home, sealed(engine, 2))
    shutil.rmtree(home / "a")
    sealed(engine, 5)
    shutil.copytree(engine, home / "a")
    with pytest.raises(ArtifactError, match="not the engine that ran before"):
        rollback(home, lambda slot: unseal(slot).manifest)
    assert active(home) == home / "b"


def test_a_slots_file_that_makes_no_sense_is_refused(engine: Path, home: Path) -> None:
    put(home, sealed(engine, 1))
    for text in ("{}", '{"schema": 2, "active": {"folder": "a", "manifest_sha256": ""}, "previous": null}', "x"):
        (home / SLOTS).write_text(text)
        with pytest.raises(ArtifactError, match=rf"{SLOTS}: .*(import|update)"):
            open_engine(home)
    (home / SLOTS).write_text('{"schema": 1, "active": {"folder": "../x", "manifest_sha256": ""}, "previous": null}')
    with pytest.raises(ArtifactError, match=r"found '\.\./x', expected one of 'a', 'b'"):
        open_engine(home)
