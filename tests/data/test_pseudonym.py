from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

import pytest

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.pseudonym import key_path, patient_key, pseudonym


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "set.patient-key"
    key = patient_key(path)
    assert len(key) == 32
    assert patient_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert patient_key(tmp_path / "other") != key


def test_a_pseudonym_is_a_keyed_hash(tmp_path: Path) -> None:
    key = bytes(range(32))
    assert pseudonym(key, "Jäne") == "p" + hmac.new(key, "Jäne".encode(), hashlib.sha256).hexdigest()[:16]
    assert pseudonym(key, "Jäne") != pseudonym(bytes(32), "Jäne")
    assert pseudonym(key, "\udcff")  # of a name that is no UTF-8


def test_the_key_lies_beside_the_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert key_path(Path("/sets/mine/")) == Path("/sets/mine.patient-key")
    monkeypatch.chdir(tmp_path)
    assert key_path(Path()) == tmp_path.with_name(f"{tmp_path.name}.patient-key")


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    for text in ("", "short", "g" * 64, "a" * 64 + "\nmore"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="holds no patient key"):
            patient_key(path)
    assert os.listdir(tmp_path) == ["key"]
    with pytest.raises(DataError, match="cannot be used"):
        patient_key(tmp_path / "key" / "below")
