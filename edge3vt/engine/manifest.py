"""EngineManifest: what an engine folder holds, what it was made from, and what its verification found.

The folder is flat: the engine, GOLDEN, MANIFEST, and SIGNATURE over MANIFEST's exact bytes.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import parse_json, to_json, write_bytes
from edge3vt.core.errors import ArtifactError, Edge3vtError
from edge3vt.core.latency import LatencySummary
from edge3vt.core.machine import Machine
from edge3vt.core.spec import ModelSpec
from edge3vt.engine import keyring
from edge3vt.engine.plain import read_plain
from edge3vt.engine.recipe import EngineRecipe, Precision, Runtime

ENGINE = "engine.onnx"
GOLDEN = "golden.npz"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
UNSIGNED = "manifest.sha256"  # stood where SIGNATURE stands, before engines were signed
PURPOSE = "engine"
MAX_MANIFEST_BYTES = 1 << 20
MAX_SIGNATURE_BYTES = 256
MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class EngineFile:
    sha256: str
    size: int
    role: Literal["engine", "golden"]


@dataclass(frozen=True, slots=True)
class Chain:
    """SHA-256 of each link, of what it was made from: weights -> FP32 ONNX -> calibration table -> engine.

    weights: None for a foreign model, and for one exported before its weights were noted. table: None for an engine
    that is not quantised.
    """

    weights: str | None
    onnx: str
    table: str | None
    engine: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where an engine runs: each of this must be the same. facts: what the answers depend on, in words."""

    runtime_version: str
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an opened engine may be from its own answers on the golden frames when it was built.

    max_mean_error: mean |difference| of the logits over their mean. min_agreement: share of cells with the same class.
    """

    max_mean_error: float = 0.02
    min_agreement: float = 0.99
    max_view_difference: float = 0.25


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
    largest |difference| of a logit over the largest |FP32 logit|. view_difference: of the view logit, its 90th
    percentile. view_changes: share of the frames whose view logit changes its sign. Errors are None where the engine
    gave NaN or infinity, those of the view also without a view logit. speedup: FP32 time over engine time on the
    engine's runtime.
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
    view_changes: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that a build could keep. reasons: why it may not. report: None where it could not be made or run.

    paced: of its runs at the recipe's rate, in turn with the others. dice: to the truth, of several models.
    """

    name: str
    model: str
    precision: Precision
    runtime: Runtime
    reasons: tuple[str, ...]
    report: VerifyReport | None = None
    paced: LatencySummary | None = None
    dice: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """asked: the recipe, with its candidates. kept: the name of one of them. why: in words."""

    asked: EngineRecipe
    kept: str
    why: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class EngineManifest:
    """release: counts up from build to build of one name and key. key: the id of the key that signed it.

    machine: where it was built. verify: None only while it is being built. created: a label. choice: what the engine,
    whose own recipe is ``recipe``, was chosen from.
    """

    schema: int
    name: str
    release: int
    key: str
    files: dict[str, EngineFile]
    chain: Chain
    spec: ModelSpec
    recipe: EngineRecipe
    target: Target
    tolerance: Tolerance
    machine: Machine
    verify: VerifyReport | None
    created: str
    choice: Choice | None = None

    def __post_init__(self) -> None:
        if self.schema != 2:
            raise ArtifactError(f"schema {self.schema} of the manifest is not known, expected 2; update edge3vt")
        engines = [name for name in self.files if re.fullmatch(r"engine\.[a-z]{1,8}", name)]
        roles = dict.fromkeys(engines[:1], "engine") | {GOLDEN: "golden"}
        if self.verify is None:  # being built
            roles.pop(GOLDEN)
        if len(engines) != 1 or {name: entry.role for name, entry in self.files.items()} != roles:
            listed = ", ".join(sorted(self.files)) or "no file"
            raise ArtifactError(f"the manifest lists {listed}, expected an engine and {GOLDEN}")
        if self.chain.engine != self.sha256:
            raise ArtifactError(
                f"the chain ends in {self.chain.engine[:12]}…, but the engine is {self.sha256[:12]}…; a link differs"
            )
        if self.release < 1 or self.name != self.recipe.name:
            raise ArtifactError(
                f"release {self.release} of {self.name} from the recipe {self.recipe.name}: expected release 1 or "
                "later, and one name"
            )

    @property
    def engine_file(self) -> str:
        """The engine's file name."""
        return next(name for name, entry in self.files.items() if entry.role == "engine")

    @property
    def sha256(self) -> str:
        """The engine file's hash: the engine's identity."""
        return self.files[self.engine_file].sha256

    @property
    def source_sha256(self) -> str:
        """Of the FP32 model."""
        return self.chain.onnx

    @property
    def table_sha256(self) -> str | None:
        return self.chain.table

    @property
    def runtime_version(self) -> str:
        return self.target.runtime_version


@dataclass(frozen=True, slots=True, eq=False)
class Sealed:
    """A manifest, and the very bytes that its signature and hashes were found right for; golden: see Golden."""

    manifest: EngineManifest
    manifest_bytes: bytes
    signature: bytes
    engine: bytes
    golden: bytes | None


def write(manifest: EngineManifest, directory: Path) -> None:
    """Write the manifest, signed by this machine's own key, which ``manifest.key`` must name."""
    data = to_json(manifest).encode()
    write_bytes(directory / MANIFEST, data)
    write_bytes(directory / SIGNATURE, keyring.sign(PURPOSE, data))


def read(directory: Path) -> EngineManifest:
    """The manifest of an engine folder, after signature and hashes were found right. Raises ArtifactError."""
    return unseal(directory).manifest


def open_verified(directory: Path) -> tuple[EngineManifest, bytes]:
    """The manifest and the engine's bytes, after signature and hashes were found right. Raises ArtifactError."""
    sealed = unseal(directory)
    return sealed.manifest, sealed.engine


def unseal(directory: Path) -> Sealed:
    """Every byte of an engine folder, read once, and checked before anything parses it. Raises ArtifactError.

    In this order: plain files, the signature over the manifest by a pinned key, the manifest, exactly the files
    that it lists, their hashes, the floor of releases.
    """
    remedy = f"build the engine again: edge3vt build RECIPE -o {directory} --overwrite"
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ArtifactError(f"{directory}: no engine folder ({error.strerror or error}); {remedy}") from error
    try:
        names = set(os.listdir(folder))
        if UNSIGNED in names and SIGNATURE not in names:
            raise ArtifactError(f"{directory}: an engine of an older edge3vt, not signed; {remedy}")
        data = read_plain(directory / MANIFEST, MAX_MANIFEST_BYTES, remedy=remedy, folder=folder)
        signature = read_plain(directory / SIGNATURE, MAX_SIGNATURE_BYTES, remedy=remedy, folder=folder)
        key = keyring.check(PURPOSE, data, signature, where=directory / MANIFEST, remedy=remedy)
        manifest = parse(data, key, where=directory / MANIFEST, remedy=remedy)
        remedy = f"build the engine again: edge3vt build {manifest.name} -o {directory} --overwrite"
        for name in sorted(names - set(manifest.files) - {MANIFEST, SIGNATURE}):
            raise ArtifactError(f"{directory}: the file {name} is no part of the engine; remove it, or {remedy}")
        found = {}
        for name, entry in manifest.files.items():
            file = directory / name
            found[entry.role] = read_plain(file, MAX_FILE_BYTES, remedy=remedy, folder=folder)
            refuse_other(found[entry.role], entry.sha256, entry.size, where=file, remedy=remedy)
    finally:
        os.close(folder)
    refuse_old(manifest, where=directory)
    return Sealed(manifest, data, signature, found["engine"], found.get("golden"))


def parse(data: bytes, key: str, *, where: Path, remedy: str) -> EngineManifest:
    """The manifest in bytes that ``key`` signed. Raises ArtifactError."""
    try:
        manifest = parse_json(EngineManifest, data.decode(), where=str(where))
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{where}: not UTF-8 text; {remedy}") from error
    except Edge3vtError as error:
        raise ArtifactError(f"{error}; {remedy}") from error
    if manifest.key != key:
        raise ArtifactError(f"{where}: says that the key {manifest.key} signed it, but {key} did; {remedy}")
    return manifest


def refuse_other(data: bytes, sha256: str, size: int, *, where: Path, remedy: str) -> None:
    """Raises ArtifactError for bytes that are not those of the manifest."""
    if len(data) != size:
        raise ArtifactError(f"{where}: {len(data)} bytes, but {size} were built; {remedy}")
    if (found := sha256_bytes(data)) != sha256:
        raise ArtifactError(
            f"{where}: SHA-256 is {found[:12]}…, but {sha256[:12]}… was expected; the file was changed or damaged; "
            f"{remedy}"
        )


def refuse_old(manifest: EngineManifest, *, where: Path) -> None:
    """Raises ArtifactError for a release below this machine's floor."""
    floor = keyring.floor(manifest.key, manifest.name)
    if manifest.release < floor:
        raise ArtifactError(
            f"{where}: release {manifest.release} of {manifest.name} is older than release {floor}, the oldest that is "
            f"opened here; import a newer one: edge3vt engines import BUNDLE"
        )
