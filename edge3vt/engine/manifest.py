"""EngineManifest: what an engine folder holds, what it was made from, and what its verification found.

The folder is flat: ENGINE, MANIFEST and SEAL, the SHA-256 of MANIFEST's exact bytes (``sha256sum -c`` reads it).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge3vt.core.digest import read_verified, sha256_bytes
from edge3vt.core.documents import parse_json, to_json, write_bytes
from edge3vt.core.errors import ArtifactError, Edge3vtError
from edge3vt.core.machine import Machine
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.recipe import EngineRecipe

ENGINE = "engine.onnx"
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class EngineFile:
    sha256: str
    size: int
    role: Literal["engine"]


@dataclass(frozen=True, slots=True)
class Speed:
    """Median ms of one interleaved run, same threads: the engine, FP32 on its runtime, FP32 on ONNX Runtime."""

    engine_ms: float
    fp32_ms: float
    referee_ms: float
    runs: int


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """An engine against the FP32 model on ONNX Runtime, over all golden frames; see VerifyLimits.

    dice: by class name, between the two masks on the logit grid; None where neither has the class. peak_error: the
    largest |difference| of a logit over the largest |FP32 logit|. Errors are None where the engine gave NaN or
    infinity, view_difference also without a view logit. speedup: FP32 time over engine time on the engine's runtime.
    """

    passed: bool
    reasons: tuple[str, ...]
    frames: int
    agreement: float
    mean_error: float | None
    peak_error: float | None
    dice: dict[str, float | None]
    view_difference: float | None
    speed: Speed
    speedup: float


@dataclass(frozen=True, slots=True)
class EngineManifest:
    """source_sha256: of the FP32 model. machine: where it was built. created: a label."""

    schema: int
    name: str
    files: dict[str, EngineFile]
    spec: ModelSpec
    source_sha256: str
    table_sha256: str | None
    recipe: EngineRecipe
    runtime_version: str
    machine: Machine
    verify: VerifyReport | None
    created: str

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ArtifactError(f"schema {self.schema} of the manifest is not known, expected 1; update edge3vt")
        if set(self.files) != {ENGINE}:
            raise ArtifactError(f"the manifest lists {', '.join(sorted(self.files)) or 'no file'}, expected {ENGINE}")

    @property
    def sha256(self) -> str:
        """The engine file's hash: the engine's identity."""
        return self.files[ENGINE].sha256


def write(manifest: EngineManifest, directory: Path) -> None:
    """Write the manifest and its seal."""
    data = to_json(manifest).encode()
    write_bytes(directory / MANIFEST, data)
    write_bytes(directory / SEAL, f"{sha256_bytes(data)}  {MANIFEST}\n".encode())


def read(directory: Path) -> EngineManifest:
    """The manifest of an engine folder. Raises ArtifactError if it or the list of files is not what was built."""
    remedy = "build the engine again: edge3vt build RECIPE"
    _check_files(directory, remedy)
    sealed = re.fullmatch(rf"([0-9a-f]{{64}})  {re.escape(MANIFEST)}\n", _seal(directory / SEAL))
    if sealed is None:
        raise ArtifactError(f"{directory / SEAL}: not the SHA-256 of {MANIFEST}; {remedy}")
    data = read_verified(directory / MANIFEST, sealed[1], remedy=remedy)
    try:
        return parse_json(EngineManifest, data.decode(), where=str(directory / MANIFEST))
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{directory / MANIFEST}: not UTF-8 text; {remedy}") from error
    except Edge3vtError as error:
        raise ArtifactError(f"{error}; {remedy}") from error


def open_verified(directory: Path) -> tuple[EngineManifest, bytes]:
    """The manifest and the engine's bytes, after every hash was found right. Raises ArtifactError."""
    manifest = read(directory)
    remedy = f"build the engine again: edge3vt build {manifest.name}"
    path, entry = directory / ENGINE, manifest.files[ENGINE]
    size = path.stat().st_size
    if size not in (0, entry.size):
        raise ArtifactError(f"{path}: {size} bytes, but {entry.size} were built; {remedy}")
    return manifest, read_verified(path, entry.sha256, remedy=remedy)


def _check_files(directory: Path, remedy: str) -> None:
    """Exactly the three files, each a plain file: nothing missing, nothing extra, no link, no folder."""
    try:
        found = {entry.name: entry.is_file(follow_symlinks=False) for entry in os.scandir(directory)}
    except OSError as error:
        raise ArtifactError(f"{directory}: no engine folder ({error.strerror or error}); {remedy}") from error
    for name in (MANIFEST, SEAL, ENGINE):
        if name not in found:
            raise ArtifactError(f"{directory}: {name} is missing; {remedy}")
    for name, plain in sorted(found.items()):
        if name not in (MANIFEST, SEAL, ENGINE):
            raise ArtifactError(f"{directory}: the file {name} is no part of the engine; remove it, or {remedy}")
        if not plain:
            raise ArtifactError(f"{directory}: {name} is not a plain file; {remedy}")
    if (directory / MANIFEST).stat().st_size > MAX_MANIFEST_BYTES:
        raise ArtifactError(f"{directory / MANIFEST}: larger than {MAX_MANIFEST_BYTES >> 20} MiB; {remedy}")


def _seal(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(256).decode("ascii", errors="replace")
