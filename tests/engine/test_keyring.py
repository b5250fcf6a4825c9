from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey

from edge3vt.core.errors import ArtifactError, ConfigError, DataError
from edge3vt.engine import keyring


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(keyring.VARIABLE, str(tmp_path / "keys"))
    return tmp_path / "keys"


def test_the_folder_follows_xdg_unless_told(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    assert keyring.keys_folder() == folder
    monkeypatch.delenv(keyring.VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keyring.keys_folder() == tmp_path / "edge3vt" / "keys"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert keyring.keys_folder() == Path.home() / ".config" / "edge3vt" / "keys"


def test_the_first_use_makes_a_key_for_this_user_alone_and_pins_it(folder: Path) -> None:
    name, public = keyring.own_key()
    assert (folder / keyring.OWN).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert keyring.pinned() == {name: public}
    assert keyring.own_key() == (name, public)
    line = keyring.sign("engine", b"data")
    assert keyring.check("engine", b"data", line, where=Path("x"), remedy="y") == name
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{name}.pub", keyring.OWN])


def test_two_first_uses_at_once_make_one_key(folder: Path) -> None:
    command = [sys.executable, "-c", "from edge3vt.engine import keyring; print(keyring.own_key()[0])"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in range(2)]
    assert len({process.communicate()[0] for process in both}) == 1
    assert len(list(folder.iterdir())) == 2


def test_other_data_another_purpose_and_another_line_are_refused() -> None:
    line = keyring.sign("engine", b"data")
    for purpose, data, signature, message in (
        ("engine", b"Data", line, "does not fit"),
        ("bundle", b"data", line, "does not fit"),
        ("engine", b"data", line + b" ", "not one of edge3vt"),
        ("engine", b"data", line.upper(), "not one of edge3vt"),
        ("engine", b"data", b"\xff" + line, "not one of edge3vt"),
        ("engine", b"data", line.replace(line.split()[1], b"0" * 16), "the key 0{16}, which is not pinned here"),
    ):
        with pytest.raises(ArtifactError, match=f"manifest: .*{message}.* build it"):
            keyring.check(purpose, data, signature, where=Path("manifest"), remedy="build it")


def test_a_key_that_others_can_read_is_not_used(folder: Path) -> None:
    keyring.own_key()
    (folder / keyring.OWN).chmod(0o640)
    with pytest.raises(ConfigError, match=r"other users can read .*mode 640, expected 600.*remove it"):
        keyring.sign("engine", b"")


def test_a_key_of_another_kind_or_none_is_refused(folder: Path) -> None:
    keyring.own_key()
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    for data, message in (
        (Ed448PrivateKey.generate().private_bytes(*pem), "not an Ed25519 key"),
        (b"nonsense", "not an unencrypted private key"),
    ):
        (folder / keyring.OWN).write_bytes(data)
        with pytest.raises(ArtifactError, match=message):
            keyring.own_key()


def test_a_public_key_is_pinned_by_its_file(tmp_path: Path) -> None:
    public = bytes(range(32))
    (tmp_path / "maker.pub").write_text(keyring.public_text(public))
    assert keyring.pin(tmp_path / "maker.pub") == keyring.key_id(public)
    assert keyring.pinned() == {keyring.key_id(public): public}
    (tmp_path / "bad.pub").write_text("ssh-ed25519 AAAA")
    with pytest.raises(ArtifactError, match="not a public key of edge3vt"):
        keyring.pin(tmp_path / "bad.pub")


def test_a_pinned_file_that_holds_another_key_is_refused(folder: Path) -> None:
    line, (name, _) = keyring.sign("engine", b""), keyring.own_key()
    (folder / f"{name}.pub").write_text(keyring.public_text(bytes(32)))
    with pytest.raises(ArtifactError, match=r"holds the key .*; pin the key again"):
        keyring.check("engine", b"", line, where=Path("x"), remedy="y")


def test_floors_rise_and_never_fall(folder: Path) -> None:
    assert keyring.floor("key", "name") == 0
    for release, expected in ((2, 2), (1, 2), (5, 5)):
        keyring.raise_floor("key", "name", release)
        assert keyring.floor("key", "name") == expected
    assert keyring.floor("other", "name") == keyring.floor("key", "other") == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(keyring.VARIABLE, str(tmp_path / "file" / "keys"))
    with pytest.raises(DataError, match=f"cannot be made .*set {keyring.VARIABLE}"):
        keyring.own_key()
