"""Keys: this machine's own, which signs what it builds, and the public keys that were pinned here.

The folder is ``~/.config/edge3vt/keys`` (``$XDG_CONFIG_HOME``), or ``$EDGE3VT_KEYS``: ``own.key`` (0600, PKCS #8), one
``KEYID.pub`` for each pinned key, and ``floors.json``. A signature is Ed25519 (RFC 8032) and one line of text.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import read_json, to_json
from edge3vt.core.errors import ArtifactError, ConfigError, DataError
from edge3vt.engine.place import locked, recover, write
from edge3vt.engine.plain import read_plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VARIABLE = "EDGE3VT_KEYS"
OWN = "own.key"
FLOORS = "floors.json"
MAX_KEY_BYTES = 4096
_PUBLIC = re.compile(r"edge3vt-key ed25519 ([0-9a-f]{64})\n")
_SIGNATURE = re.compile(r"ed25519 ([0-9a-f]{16}) ([0-9a-f]{128})\n")


@dataclass(frozen=True, slots=True)
class Floors:
    """The oldest release that is opened, by "KEYID/engine name"."""

    schema: int
    releases: dict[str, int]


def keys_folder() -> Path:
    """Where the keys lie; it need not exist."""
    if asked := os.environ.get(VARIABLE):
        return Path(asked)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "edge3vt" / "keys"


def key_id(public: bytes) -> str:
    """The name of a raw public key: 16 hex digits of its SHA-256. It finds a key, and proves nothing."""
    return sha256_bytes(public)[:16]


def public_text(public: bytes) -> str:
    """A public key as its file holds it."""
    return f"edge3vt-key ed25519 {public.hex()}\n"


def parse_public(data: bytes, where: Path) -> bytes:
    """The raw public key in a key file's bytes. Raises ArtifactError."""
    found = _PUBLIC.fullmatch(data.decode("ascii", errors="replace"))
    if found is None:
        raise ArtifactError(f"{where}: not a public key of edge3vt; its maker prints one by: edge3vt engines key")
    return bytes.fromhex(found[1])


def pin(path: Path) -> str:
    """Trust the public key in ``path`` from now on; returns its id. Raises ArtifactError, DataError."""
    public = parse_public(read_plain(path, MAX_KEY_BYTES, remedy="give the .pub file of the engines' maker"), path)
    _keep_public(public)
    return key_id(public)


def pinned() -> dict[str, bytes]:
    """Raw public keys by id. Raises ArtifactError for a key file that is none."""
    folder = keys_folder()
    names = sorted(path.stem for path in folder.glob("*.pub")) if folder.is_dir() else []
    return {name: _public(name) for name in names}


def own_key() -> tuple[str, bytes]:
    """Id and raw public half of this machine's own key, made at its first use. Raises ArtifactError, DataError."""
    public = _own().public_key().public_bytes_raw()
    return key_id(public), public


def sign(purpose: str, data: bytes) -> bytes:
    """The signature line of ``data`` by this machine's own key; ``purpose`` keeps one kind from passing for another."""
    key = _own()
    mark = key.sign(_message(purpose, data)).hex()
    return f"ed25519 {key_id(key.public_key().public_bytes_raw())} {mark}\n".encode()


def check(purpose: str, data: bytes, signature: bytes, *, where: Path, remedy: str) -> str:
    """The id of the pinned key that signed ``data``. Raises ArtifactError; ``remedy`` ends the message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    found = _SIGNATURE.fullmatch(signature.decode("ascii", errors="replace"))
    if found is None:
        raise ArtifactError(f"{where}: the signature is not one of edge3vt; {remedy}")
    name = found[1]
    if not (keys_folder() / f"{name}.pub").is_file():
        raise ArtifactError(
            f"{where}: signed by the key {name}, which is not pinned here; if you know its maker, pin it: "
            f"edge3vt engines trust KEY.pub; else {remedy}"
        )
    try:
        Ed25519PublicKey.from_public_bytes(_public(name)).verify(bytes.fromhex(found[2]), _message(purpose, data))
    except InvalidSignature as error:
        raise ArtifactError(
            f"{where}: the signature of key {name} does not fit; the file was changed or damaged; {remedy}"
        ) from error
    return name


def floor(key: str, name: str) -> int:
    """The oldest release of the engine ``name`` by ``key`` that is opened here."""
    return _floors().get(f"{key}/{name}", 0)


def raise_floor(key: str, name: str, release: int) -> None:
    """Open no release older than this one from now on; a floor never falls."""
    with locked(_made_folder() / "floors"):
        floors = _floors()
        if release > floors.get(f"{key}/{name}", 0):
            raised = to_json(Floors(1, floors | {f"{key}/{name}": release}))
            write(keys_folder() / FLOORS, raised.encode())


def _floors() -> dict[str, int]:
    path = keys_folder() / FLOORS
    for place in (path, keys_folder() / "floors"):
        recover(place)
    return read_json(Floors, path).releases if path.exists() else {}


def _message(purpose: str, data: bytes) -> bytes:
    return f"edge3vt {purpose} 1\n".encode() + data


def _public(name: str) -> bytes:
    path = keys_folder() / f"{name}.pub"
    remedy = "pin the key again: edge3vt engines trust KEY.pub"
    public = parse_public(read_plain(path, MAX_KEY_BYTES, remedy=remedy), path)
    if key_id(public) != name:
        raise ArtifactError(f"{path}: holds the key {key_id(public)}; {remedy}")
    return public


def _keep_public(public: bytes) -> None:
    write(_made_folder() / f"{key_id(public)}.pub", public_text(public).encode())


def _made_folder() -> Path:
    folder = keys_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror or error}); set {VARIABLE} to a folder") from error
    return folder


def _own() -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = keys_folder() / OWN
    for place in (path, keys_folder() / "own"):
        recover(place)
    if not os.path.lexists(path):
        _make(path)
    remedy = "remove it, and the next build makes another"
    data = read_plain(path, MAX_KEY_BYTES, remedy=remedy)
    found = path.stat()
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(
            f"{path}: other users can read the key that signs engines (mode {stat.S_IMODE(found.st_mode):o}, expected "
            f"600); {remedy}"
        )
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ArtifactError(f"{path}: not an unencrypted private key in PEM; {remedy}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ArtifactError(f"{path}: not an Ed25519 key; {remedy}")
    return key


def _make(path: Path) -> None:
    """Make this machine's own key and pin its public half; where another process was faster, theirs stays."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    with locked(_made_folder() / "own"):
        if os.path.lexists(path):
            return
        for left in path.parent.glob(".*.pub.*"):  # by a process that was killed at this point
            recover(path.parent / left.name[1:].rpartition(".")[0])
        key = Ed25519PrivateKey.generate()
        _keep_public(key.public_key().public_bytes_raw())  # first, so that no key is there whose public half lacks
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        write(path, key.private_bytes(*pem), 0o600)
