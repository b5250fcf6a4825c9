from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError
from edge3vt.engine.manifest import ENGINE, MANIFEST, SEAL, open_verified, read, write
from tests import nets


def test_a_sound_engine_folder_is_read(engine: Path) -> None:
    manifest, data = open_verified(engine)
    assert data == (engine / ENGINE).read_bytes()
    assert manifest == read(engine)
    assert manifest.spec == nets.spec(64)
    assert manifest.verify is not None
    assert manifest.verify.passed
    assert manifest.table_sha256 is not None
    assert sorted(path.name for path in engine.iterdir()) == [ENGINE, MANIFEST, SEAL]


@pytest.mark.parametrize("name", [ENGINE, MANIFEST, SEAL])
def test_missing_and_empty_files_are_refused(engine: Path, name: str) -> None:
    (engine / name).write_bytes(b"")
    with pytest.raises(ArtifactError, match=rf"{name}.*; build the engine again: edge3vt build"):
        open_verified(engine)
    (engine / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing; build the engine again: edge3vt build"):
        open_verified(engine)


def test_extra_files_links_and_folders_are_refused(engine: Path, tmp_path: Path) -> None:
    extra = engine / "plugin.so"
    extra.touch()
    with pytest.raises(ArtifactError, match=r"the file plugin\.so is no part of the engine"):
        open_verified(engine)
    extra.unlink()
    (engine / ENGINE).rename(tmp_path / "elsewhere")
    (engine / ENGINE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match=r"engine\.onnx is not a plain file"):
        open_verified(engine)
    (engine / ENGINE).unlink()
    (engine / ENGINE).mkdir()
    with pytest.raises(ArtifactError, match=r"engine\.onnx is not a plain file"):
        open_verified(engine)


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
    with pytest.raises(ArtifactError, match=r"manifest\.json: SHA-256 is .*edge3vt build"):
        open_verified(engine)


@pytest.mark.parametrize("seal", ["", "0" * 64, "x" * 64 + "  manifest.json\n", "0" * 64 + "  other.json\n"])
def test_a_seal_that_is_none_is_refused(engine: Path, seal: str) -> None:
    (engine / SEAL).write_text(seal, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"manifest\.sha256: not the SHA-256 of manifest\.json"):
        open_verified(engine)


def test_a_truncated_engine_is_told_by_its_size(engine: Path) -> None:
    data = (engine / ENGINE).read_bytes()
    (engine / ENGINE).write_bytes(data[:-9])
    with pytest.raises(ArtifactError, match=f"{len(data) - 9} bytes, but {len(data)} were built"):
        open_verified(engine)


def reseal(engine: Path, **changes: object) -> None:
    """Write a changed manifest with a right seal."""
    document = json.loads((engine / MANIFEST).read_text(encoding="utf-8")) | changes
    data = json.dumps(document).encode()
    (engine / MANIFEST).write_bytes(data)
    (engine / SEAL).write_text(f"{sha256_bytes(data)}  {MANIFEST}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema 2 of the manifest is not known"),
        ({"files": {}}, r"the manifest lists no file, expected engine\.onnx"),
        ({"surprise": 1}, "unknown key 'surprise'"),
    ],
)
def test_a_sealed_manifest_that_makes_no_sense_is_refused(
    engine: Path, changes: dict[str, object], message: str
) -> None:
    reseal(engine, **changes)
    with pytest.raises(ArtifactError, match=f"{message}.*; build the engine again"):
        read(engine)


def test_a_manifest_written_again_reads_the_same(engine: Path) -> None:
    manifest = read(engine)
    write(manifest, engine)
    assert read(engine) == manifest
