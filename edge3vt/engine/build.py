"""Building: an engine folder from a recipe, whole or not at all, and only if it passed its verification."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from edge3vt.core.clock import wall_label
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import write_bytes
from edge3vt.core.errors import ArtifactError, DataError, GateError
from edge3vt.core.frame import Pixels
from edge3vt.core.machine import this_machine
from edge3vt.engine.golden import choose as choose_frames
from edge3vt.engine.golden import to_bytes
from edge3vt.engine.keyring import floor, own_key
from edge3vt.engine.manifest import (
    ENGINE,
    GOLDEN,
    MANIFEST,
    Chain,
    Choice,
    EngineFile,
    EngineManifest,
    Target,
    Tolerance,
    VerifyReport,
    read,
    unseal,
    write,
)
from edge3vt.engine.model import Model, read_model
from edge3vt.engine.open import open_sealed, target
from edge3vt.engine.place import clear, locked, parts, put
from edge3vt.engine.probe import probe
from edge3vt.engine.recipe import EngineRecipe, Runtime
from edge3vt.engine.tensorrt_builder import compiled
from edge3vt.engine.verify import verify

ENGINES: dict[Runtime, str] = {"onnxruntime": ENGINE, "openvino": ENGINE, "tensorrt": "engine.plan"}
Keep = Callable[[EngineManifest], bool]


def build(
    recipe: EngineRecipe,
    model_bytes: bytes,
    prepared_bytes: bytes,
    golden: Iterable[Pixels],
    out_dir: Path,
    *,
    overwrite: bool = False,
    weights_sha256: str | None = None,
    release: int | None = None,
    keep: Keep | None = None,
) -> EngineManifest:
    """Build the one engine that ``recipe`` asks for into ``out_dir``, signed by this machine's own key.

    prepared_bytes: what the runtime gets, or for TensorRT its builder: ``model_bytes`` with Q/DQ for int8, FP16-typed
    for fp16 where the build is strongly typed, else ``model_bytes`` itself.
    weights_sha256: where the model itself does not name its weights, as exported ones do.
    release: by default one more than that of the engine it replaces. keep: asked, once this process alone may write,
    about a sound engine that is there; True returns that one. One process builds in a place at a time.
    Raises GateError for an engine that fails verification, ArtifactError for models that do not belong together,
    DataError for an output that exists or cannot be written, BackendMissingError without the runtime.
    """
    refuse_output(out_dir, overwrite)
    here, pair = target(recipe.runtime), paired(recipe, model_bytes, prepared_bytes)

    def make(part: Path, key: str, release: int) -> EngineManifest:
        manifest = made(recipe, pair, here, weights_sha256, part, key, release)
        pictures = list(golden)
        report = verify(part, model_bytes, pictures)
        if not report.passed:
            raise GateError(
                f"engine {recipe.name} failed its verification and was not kept: {'; '.join(report.reasons)}; "
                "calibrate on more pictures, train longer, or take golden pictures of the model's own kind"
            )
        return finished(manifest, report, pictures, part)

    return placed(recipe.name, make, out_dir, overwrite=overwrite, release=release, keep=keep)


def placed(
    name: str,
    make: Callable[[Path, str, int], EngineManifest],
    out_dir: Path,
    *,
    overwrite: bool,
    release: int | None,
    keep: Keep | None,
) -> EngineManifest:
    """Make an engine and put it into ``out_dir``. make: given a folder, a key and a release."""
    make_folder(out_dir.parent)
    with locked(out_dir):
        clear(out_dir)
        before = _sound(out_dir)
        if before is not None and keep is not None and keep(before):
            return before
        refuse_output(out_dir, overwrite)  # another process may have built it while we waited
        key, _ = own_key()
        part, _ = parts(out_dir)
        try:
            make_folder(part)
            manifest = make(part, key, release or _next(key, name, before))
            put(out_dir)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return manifest


def made(
    recipe: EngineRecipe,
    pair: tuple[Model, Model],
    here: Target,
    weights_sha256: str | None,
    folder: Path,
    key: str,
    release: int,
) -> EngineManifest:
    """An engine in ``folder``, opened once in a process of its own, not yet verified."""
    source, prepared = pair
    engine, data = ENGINES[recipe.runtime], compiled(prepared.data, recipe, recipe.precision)
    write_bytes(folder / engine, data)
    manifest = EngineManifest(
        schema=2,
        name=recipe.name,
        release=release,
        key=key,
        files={engine: EngineFile(sha256_bytes(data), len(data), "engine")},
        chain=Chain(weights_sha256 or source.weights_sha256, source.sha256, prepared.table_sha256, sha256_bytes(data)),
        spec=prepared.spec,
        recipe=recipe,
        target=here,
        tolerance=Tolerance(),
        machine=this_machine(),
        verify=None,
        created=wall_label(),
    )
    write(manifest, folder)
    probe(folder)
    return manifest


def finished(
    manifest: EngineManifest,
    report: VerifyReport,
    pictures: Sequence[Pixels],
    folder: Path,
    choice: Choice | None = None,
) -> EngineManifest:
    """The verified engine in ``folder`` with its golden frames and its last manifest."""
    with closing(open_sealed(unseal(folder), folder)) as session:
        answers = to_bytes(choose_frames(session, pictures))
    write_bytes(folder / GOLDEN, answers)
    files = manifest.files | {GOLDEN: EngineFile(sha256_bytes(answers), len(answers), "golden")}
    manifest = dataclasses.replace(manifest, files=files, verify=report, choice=choice)
    write(manifest, folder)
    return manifest


def _sound(folder: Path) -> EngineManifest | None:
    try:
        return read(folder)
    except ArtifactError:
        return None


def _next(key: str, name: str, before: EngineManifest | None) -> int:
    """A release that no floor forbids, after the one that is there."""
    there = before.release if before is not None and (before.key, before.name) == (key, name) else 0
    return max(there + 1, floor(key, name), 1)


def refuse_output(out_dir: Path, overwrite: bool) -> None:
    if not os.path.lexists(out_dir):
        return
    if not overwrite:
        raise DataError(f"{out_dir}: exists already; choose another output or give --overwrite")
    if not (out_dir / MANIFEST).is_file():
        raise DataError(f"{out_dir}: is no engine folder, so it is not overwritten; choose another output")


def paired(recipe: EngineRecipe, model_bytes: bytes, prepared_bytes: bytes) -> tuple[Model, Model]:
    """The FP32 model and the prepared one, which is the same or was made from it: quantised for int8 alone."""
    source, prepared = read_model(model_bytes), read_model(prepared_bytes)
    own = recipe.precision == "fp32" or (recipe.precision == "fp16" and prepared.source_sha256 is None)
    found = prepared.sha256 if own else prepared.source_sha256
    quantised = prepared.table_sha256 is not None
    if source.source_sha256 is not None:
        raise ArtifactError(
            f"recipe {recipe.name}: {source.spec.model_id} is quantised already, expected an FP32 model; "
            "name the model that it was made from"
        )
    if found != source.sha256 or prepared.spec != source.spec or quantised != (recipe.precision == "int8"):
        raise ArtifactError(
            f"recipe {recipe.name}: the prepared model was not made from {source.spec.model_id} "
            f"(SHA-256 {source.sha256[:12]}…) as {recipe.precision}; prepare it again from this model"
        )
    return source, prepared


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error}); choose another output") from error
