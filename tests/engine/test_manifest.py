from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from edge3vt.core.errors import ArtifactError
from edge3vt.engine import keyring
from edge3vt.engine.manifest import ENGINE, GOLDEN, MANIFEST, PURPOSE, SIGNATURE, open_verified, read, unseal, write
from tests import nets


def test_a_sound_engine_folder_is_read(engine: Path) -> None:
    manifest, data = open_verified(engine)
    assert data == (engine / ENGINE).read_bytes()
    assert manifest == read(engine)
    assert manifest.spec == nets.spec(64)
    assert manifest.verify is not None
    assert manifest.verify.passed
    assert manifest.table_sha256 is not None
    assert (manifest.release, manifest.key) == (1, keyring.own_key()[0])
    assert manifest.chain.engine == manifest.sha256
    assert sorted(path.name for path in engine.iterdir()) == [ENGINE, GOLDEN, MANIFEST, SIGNATURE]


@pytest.mark.parametrize("name", [ENGINE, GOLDEN, MANIFEST, SIGNATURE])
def test_missing_and_empty_files_are_refused(engine: Path, name: str) -> None:
    (engine / name).write_bytes(b"")
    with pytest.raises(ArtifactError, match=rf"{name}.*; build the engine again: edge3vt build"):
        open_verified(engine)
    (engine / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing; build the engine again: edge3vt build"):
        open_verified(engine)


def test_extra_files_are_refused(engine: Path) -> None:
    (engine / "plugin.so").touch()
    with pytest.raises(ArtifactError, match=r"the file plugin\.so is no part of the engine"):
        open_verified(engine)


@pytest.mark.parametrize("name", [ENGINE, GOLDEN, MANIFEST, SIGNATURE])
def test_links_folders_and_pipes_are_refused(engine: Path, tmp_path: Path, name: str) -> None:
    file = engine / name
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match=f"{name} is a link, not a plain file"):
        open_verified(engine)
    file.unlink()
    os.link(tmp_path / "elsewhere", file)
    with pytest.raises(ArtifactError, match=f"{name} has 2 names"):
        open_verified(engine)
    file.unlink()
    file.mkdir()
    with pytest.raises(ArtifactError, match=f"{name} is not a plain file"):
        open_verified(engine)
    file.rmdir()
    os.mkfifo(file)  # which would block for ever
    with pytest.raises(ArtifactError, match=f"{name} is not a plain file"):
        open_verified(engine)


def test_an_engine_from_before_signatures_is_told_apart(engine: Path) -> None:
    (engine / SIGNATURE).rename(engine / "manifest.sha256")
    with pytest.raises(
        ArtifactError, match=r"an engine of an older edge3vt, not signed; build the engine again: edge3"
    ):
        open_verified(engine)


def test_a_folder_swapped_while_it_is_read_is_not_mixed(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is opened once: another one that takes its name meanwhile is not looked into."""
    sound = (engine / ENGINE).read_bytes()
    check = keyring.check

    def swapping(*arguments: object, **options: object) -> str:
        if engine.exists():
            engine.rename(engine.with_name("moved"))
            shutil.copytree(engine.with_name("moved"), engine)
            (engine / ENGINE).write_bytes(b"evil")
        return check(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(keyring, "check", swapping)
    assert unseal(engine).engine == sound


def test_no_folder_at_all(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", Path(__file__)):
        with pytest.raises(ArtifactError, match=r"no engine folder .*edge3vt build RECIPE"):
            open_verified(path)


@pytest.mark.parametrize(
    ("old", "new"), [('"passed": true', '"passed": 1'), ('"threads": 1', '"threads": 2'), ("{\n", "{ \n")]
)
def test_an_edited_manifest_is_refused(engine: Path, old: str, new: str) -> None:
    text = (engine / MANIFEST).read_text(encoding="utf-8")
    assert old in text
    (engine / MANIFEST).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"manifest\.json: the signature of key \w+ does not fit; .*edge3vt build"):
        open_verified(engine)


@pytest.mark.parametrize("line", ["ed25519", "0" * 154, "ed25519 {key} " + "0" * 127 + "\n", "ed25519 {key} {zeros}"])
def test_a_signature_that_is_none_is_refused(engine: Path, line: str) -> None:
    line = line.format(key=keyring.own_key()[0], zeros="0" * 128)
    (engine / SIGNATURE).write_text(line, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"manifest\.json: the signature is not one of edge3vt"):
        open_verified(engine)


def test_an_engine_by_an_unknown_key_is_refused_until_its_key_is_pinned(
    engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, public = keyring.own_key()
    (tmp_path / "maker.pub").write_text(keyring.public_text(public))
    monkeypatch.setenv(keyring.VARIABLE, str(tmp_path / "other keys"))
    with pytest.raises(ArtifactError, match=f"signed by the key {name}, which is not pinned here; .*engines trust"):
        open_verified(engine)
    assert keyring.pin(tmp_path / "maker.pub") == name
    open_verified(engine)
    assert not (tmp_path / "other keys" / keyring.OWN).exists()


def test_a_signature_for_another_purpose_does_not_count(engine: Path) -> None:
    (engine / SIGNATURE).write_bytes(keyring.sign("bundle", (engine / MANIFEST).read_bytes()))
    with pytest.raises(ArtifactError, match="does not fit"):
        open_verified(engine)


def test_a_release_below_the_floor_is_refused(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keyring.VARIABLE, str(shutil.copytree(keyring.keys_folder(), tmp_path / "keys")))
    manifest = read(engine)
    keyring.raise_floor(manifest.key, "another", 7)
    open_verified(engine)
    keyring.raise_floor(manifest.key, manifest.name, 3)
    keyring.raise_floor(manifest.key, manifest.name, 2)  # never falls
    with pytest.raises(ArtifactError, match=r"release 1 of small is older than release 3, .*engines import"):
        open_verified(engine)


def test_a_truncated_engine_is_told_by_its_size(engine: Path) -> None:
    data = (engine / ENGINE).read_bytes()
    (engine / ENGINE).write_bytes(data[:-9])
    with pytest.raises(ArtifactError, match=f"{len(data) - 9} bytes, but {len(data)} were built"):
        open_verified(engine)


def reseal(engine: Path, **changes: object) -> None:
    """Write a changed manifest with a right signature."""
    document = json.loads((engine / MANIFEST).read_text(encoding="utf-8")) | changes
    data = json.dumps(document).encode()
    (engine / MANIFEST).write_bytes(data)
    (engine / SIGNATURE).write_bytes(keyring.sign(PURPOSE, data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 3}, "schema 3 of the manifest is not known"),
        ({"files": {}}, r"the manifest lists no file, expected an engine"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"release": 0}, "release 0 of small"),
        ({"name": "other"}, "of other from the recipe small"),
        ({"key": "0" * 16}, "says that the key 0000000000000000 signed it"),
        ({"chain": {"weights": None, "onnx": "1", "table": None, "engine": "2"}}, r"the chain ends in 2…"),
    ],
)
def test_a_signed_manifest_that_makes_no_sense_is_refused(
    engine: Path, changes: dict[str, object], message: str
) -> None:
    reseal(engine, **changes)
    with pytest.raises(ArtifactError, match=f"{message}.*; build the engine again"):
        read(engine)


def test_a_manifest_written_again_reads_the_same(engine: Path) -> None:
    manifest = read(engine)
    write(manifest, engine)
    assert read(engine) == manifest
