"""Patients under another name: a keyed hash, so that one patient keeps one name and nobody without the key finds them.

HMAC-SHA256 (RFC 2104) with a random key. Without a key, a hash of an identifier is undone by trying all identifiers.
The key is a file beside the data set's folder, not in it, so that it does not travel with the set.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
from pathlib import Path

from edge3vt.core.errors import ConfigError, DataError

_HEX = re.compile(r"[0-9a-f]{64}\n?")


def key_path(folder: Path) -> Path:
    """Where the key of the data set in ``folder`` lies, unless the user says otherwise."""
    whole = Path(os.path.abspath(folder))
    return whole.with_name(f"{whole.name}.patient-key")


def patient_key(path: Path) -> bytes:
    """The key in ``path``, which is made, readable by its owner only, where it is not there.

    Raises ConfigError for a file that holds no key, DataError for one that cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), open(path, "x", opener=_private) as file:
            file.write(secrets.token_hex(32) + "\n")
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: cannot be used ({error.strerror or error}); name another patient key") from error
    if not _HEX.fullmatch(text):
        raise ConfigError(f"{path}: holds no patient key, expected 64 hexadecimal digits; name another file")
    return bytes.fromhex(text)


def pseudonym(key: bytes, identity: str) -> str:
    """A patient's name in data sets of this key: 64 bits of the keyed hash."""
    return "p" + hmac.new(key, identity.encode("utf-8", "surrogateescape"), "sha256").hexdigest()[:16]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
