"""A bundle: one file that takes an engine to a cart without a network.

An uncompressed tar (POSIX ustar), of which every byte is given by its files: ``tar tf`` lists it, and what differs in
one bit is refused. BUNDLE and SIGNATURE come first; nothing is parsed before the signature was found right.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge3vt.core.clock import wall_label
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import parse_json, to_json
from edge3vt.core.errors import ArtifactError, Edge3vtError
from edge3vt.engine import keyring
from edge3vt.engine.manifest import GOLDEN, MANIFEST, EngineManifest, Sealed, parse, refuse_old, refuse_other
from edge3vt.engine.manifest import PURPOSE as ENGINE_PURPOSE
from edge3vt.engine.manifest import SIGNATURE as ENGINE_SIGNATURE
from edge3vt.engine.plain import read_plain

BUNDLE = "bundle.json"
SIGNATURE = "bundle.sig"
MODEL = "model.onnx"
TABLE = "table.json"
CARD = "card.md"
SBOM = "sbom.cdx.json"
WHEELS = "wheels.txt"
PURPOSE = "bundle"
MAX_BUNDLE_BYTES = 1 << 30
REMEDY = "get the bundle again from its maker: edge3vt engines export"
_BLOCK = tarfile.BLOCKSIZE
_NAME = re.compile(r"[a-z][a-z0-9.]{0,63}")


@dataclass(frozen=True, slots=True)
class BundleFile:
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """name, release: of the engine. key: the id of the key that signed the bundle. created: a label."""

    schema: int
    name: str
    release: int
    key: str
    files: dict[str, BundleFile]
    created: str

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ArtifactError(f"schema {self.schema} of the bundle is not known, expected 1; update edge3vt")


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """What a bundle holds, every hash and both signatures found right. files: all but BUNDLE and SIGNATURE."""

    manifest: BundleManifest
    sealed: Sealed
    files: dict[str, bytes]

    @property
    def engine(self) -> EngineManifest:
        return self.sealed.manifest


def pack(sealed: Sealed, model: bytes, table: bytes | None, papers: Mapping[str, bytes]) -> bytes:
    """An engine with the FP32 model and table that it was made from, and its papers, signed by this machine's key.

    table: the document's bytes, for an engine that is quantised. papers: CARD, SBOM, WHEELS. Raises ArtifactError for
    an engine that was never verified or another model.
    """
    engine = sealed.manifest
    if sealed.golden is None:
        raise ArtifactError(
            f"{engine.name}: the engine was never verified; build it again: edge3vt build {engine.name}"
        )
    if sha256_bytes(model) != engine.chain.onnx:
        raise ArtifactError(
            f"{engine.name}: made from the model {engine.chain.onnx[:12]}…, but {sha256_bytes(model)[:12]}… is here; "
            f"build it again: edge3vt build {engine.name}"
        )
    _check_table(engine, table, engine.name)
    files = {
        MANIFEST: sealed.manifest_bytes,
        ENGINE_SIGNATURE: sealed.signature,
        engine.engine_file: sealed.engine,
        GOLDEN: sealed.golden,
        MODEL: model,
        **({} if table is None else {TABLE: table}),
        **papers,
    }
    files = dict(sorted(files.items()))
    listed = {name: BundleFile(sha256_bytes(data), len(data)) for name, data in files.items()}
    key, _ = keyring.own_key()
    data = to_json(BundleManifest(1, engine.name, engine.release, key, listed, wall_label())).encode()
    return _tar({BUNDLE: data, SIGNATURE: keyring.sign(PURPOSE, data)} | files)


def unpack(path: Path) -> Bundle:
    """The bundle in a file, read once and checked before anything in it is parsed. Raises ArtifactError.

    In this order: a plain file, its signature by a pinned key, its manifest, exactly the files that it lists, byte by
    byte, then the engine's own signature, manifest, hashes and release.
    """
    data = read_plain(path, MAX_BUNDLE_BYTES, remedy=REMEDY)
    found = dict(_entries(data, path))
    if list(found)[:2] != [BUNDLE, SIGNATURE]:
        raise ArtifactError(f"{path}: not a bundle of edge3vt, which begins with {BUNDLE} and {SIGNATURE}; {REMEDY}")
    listing, signature = found.pop(BUNDLE), found.pop(SIGNATURE)
    key = keyring.check(PURPOSE, listing, signature, where=path, remedy=REMEDY)
    try:
        manifest = parse_json(BundleManifest, listing.decode(), where=f"{path}: {BUNDLE}")
    except (UnicodeDecodeError, Edge3vtError) as error:
        raise ArtifactError(f"{error}; {REMEDY}") from error
    if manifest.key != key or list(found) != sorted(manifest.files):
        raise ArtifactError(f"{path}: holds {', '.join(found)}, but its maker put in other files; {REMEDY}")
    for name, entry in manifest.files.items():
        refuse_other(found[name], entry.sha256, entry.size, where=path / name, remedy=REMEDY)
    sealed = _engine(found, path)
    if (sealed.manifest.name, sealed.manifest.release) != (manifest.name, manifest.release):
        raise ArtifactError(f"{path}: says {manifest.name} release {manifest.release}, but holds another; {REMEDY}")
    return Bundle(manifest, sealed, found)


def _engine(found: Mapping[str, bytes], path: Path) -> Sealed:
    for name in (MANIFEST, ENGINE_SIGNATURE, GOLDEN, MODEL):
        if name not in found:
            raise ArtifactError(f"{path}: {name} is missing; {REMEDY}")
    where = path / MANIFEST
    data, signature = found[MANIFEST], found[ENGINE_SIGNATURE]
    key = keyring.check(ENGINE_PURPOSE, data, signature, where=where, remedy=REMEDY)
    manifest = parse(data, key, where=where, remedy=REMEDY)
    for name, entry in manifest.files.items():
        if name not in found:
            raise ArtifactError(f"{path}: {name} is missing; {REMEDY}")
        refuse_other(found[name], entry.sha256, entry.size, where=path / name, remedy=REMEDY)
    if sha256_bytes(found[MODEL]) != manifest.chain.onnx:
        raise ArtifactError(f"{path}: {MODEL} is not the model that the engine was made from; {REMEDY}")
    _check_table(manifest, found.get(TABLE), path)
    refuse_old(manifest, where=path)
    return Sealed(manifest, data, signature, found[manifest.engine_file], found[GOLDEN])


def _check_table(engine: EngineManifest, table: bytes | None, where: Path | str) -> None:
    found = None if table is None else sha256_bytes(table)
    if found != engine.chain.table:
        raise ArtifactError(f"{where}: {TABLE} is not the calibration table that the engine was made with; {REMEDY}")


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _tar(files: Mapping[str, bytes]) -> bytes:
    parts = []
    for name, data in files.items():
        parts += [_header(name, len(data)), data, bytes(-len(data) % _BLOCK)]
    return b"".join([*parts, bytes(2 * _BLOCK)])


def _entries(data: bytes, path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes, in order. Raises ArtifactError for whatever ``_tar`` does not write."""
    at, seen = 0, set[str]()
    while data[at : at + _BLOCK].strip(b"\0"):
        header = data[at : at + _BLOCK]
        name = header[:100].rstrip(b"\0").decode("ascii", errors="replace")
        digits = re.fullmatch(rb"[0-7]{11}\0", header[124:136])
        size = int(digits[0][:-1], 8) if digits else -1
        end = at + _BLOCK + size
        padding = data[end : end + -size % _BLOCK]
        if not _NAME.fullmatch(name) or name in seen or size < 0 or header != _header(name, size):
            raise ArtifactError(f"{path}: byte {at} is not the head of a file of a bundle; {REMEDY}")
        if end > len(data) or padding != bytes(-size % _BLOCK):
            raise ArtifactError(f"{path}: {name} is cut short or followed by other bytes; {REMEDY}")
        seen.add(name)
        yield name, data[at + _BLOCK : end]
        at = end + len(padding)
    if data[at:] != bytes(2 * _BLOCK):
        raise ArtifactError(f"{path}: does not end where a bundle ends; {REMEDY}")
