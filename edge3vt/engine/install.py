"""Installing: an engine from a bundle becomes a folder, whole or not at all, and only if it proves itself here."""

from __future__ import annotations

import shutil
from pathlib import Path

from edge3vt.core.documents import write_bytes
from edge3vt.core.errors import ArtifactError
from edge3vt.engine.manifest import GOLDEN, MANIFEST, SIGNATURE, EngineManifest, Sealed
from edge3vt.engine.place import clear, locked, parts, put
from edge3vt.engine.probe import probe


def install(sealed: Sealed, slot: Path) -> EngineManifest:
    """Write a checked engine into ``slot``, whole, once it was opened and proven in a process of its own.

    Raises ArtifactError for an engine that does not open here, DataError where it cannot be written.
    """
    manifest = sealed.manifest
    if sealed.golden is None:
        raise ArtifactError(
            f"{manifest.name}: the engine was never verified; build it again: edge3vt build {manifest.name}"
        )
    files = {
        MANIFEST: sealed.manifest_bytes,
        SIGNATURE: sealed.signature,
        manifest.engine_file: sealed.engine,
        GOLDEN: sealed.golden,
    }
    part, _ = parts(slot)
    with locked(slot):
        clear(slot)
        try:
            for name, data in files.items():
                write_bytes(part / name, data)
            probe(part)
            put(slot)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return manifest
