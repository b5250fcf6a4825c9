"""SHA-256, the identity of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge3vt.core.errors import ArtifactError


def sha256_bytes(data: bytes | memoryview) -> str:
    """Lower-case hex SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Lower-case hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_verified(path: Path, expected_sha256: str, *, remedy: str) -> bytes:
    """The bytes of ``path``, after their hash was found equal to ``expected_sha256``.

    The bytes that were hashed are the bytes returned, so that nothing can change between check and use.
    Raises ArtifactError for a missing, empty or different file; ``remedy`` ends the message.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from error
    if not data:
        raise ArtifactError(f"{path}: the file is empty (0 bytes); {remedy}")
    found = sha256_bytes(data)
    if found != expected_sha256:
        raise ArtifactError(
            f"{path}: SHA-256 is {found[:12]}…, but {expected_sha256[:12]}… was expected; "
            f"the file was changed or damaged; {remedy}"
        )
    return data
