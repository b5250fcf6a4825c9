"""Building: an engine folder from a recipe, whole or not at all, and only if it passed its verification."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from edge3vt.core.clock import wall_label
from edge3vt.core.documents import write_bytes
from edge3vt.core.errors import ArtifactError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.machine import this_machine
from edge3vt.engine.manifest import ENGINE, MANIFEST, EngineFile, EngineManifest, write
from edge3vt.engine.model import Model, read_model
from edge3vt.engine.open import runtime_version
from edge3vt.engine.probe import probe
from edge3vt.engine.recipe import EngineRecipe
from edge3vt.engine.verify import verify


def build(
    recipe: EngineRecipe,
    model_bytes: bytes,
    prepared_bytes: bytes,
    golden: Iterable[Pixels],
    out_dir: Path,
    *,
    overwrite: bool = False,
) -> EngineManifest:
    """Build the engine that ``recipe`` asks for into ``out_dir``.

    prepared_bytes: what the runtime gets: ``model_bytes`` with Q/DQ for int8, ``model_bytes`` itself for fp32.
    Raises ArtifactError for models that do not belong together or an engine that fails verification, DataError
    for an output that exists or cannot be written, BackendMissingError without the runtime.
    """
    _check_output(out_dir, overwrite)
    version = runtime_version(recipe.runtime)
    source, prepared = read_model(model_bytes), read_model(prepared_bytes)
    _check_pair(recipe, source, prepared)
    part = out_dir.with_name(f".{out_dir.name}.{os.getpid()}.part")
    try:
        _make_folder(part)
        write_bytes(part / ENGINE, prepared.data)
        manifest = EngineManifest(
            schema=1,
            name=recipe.name,
            files={ENGINE: EngineFile(prepared.sha256, len(prepared.data), "engine")},
            spec=prepared.spec,
            source_sha256=source.sha256,
            table_sha256=prepared.table_sha256,
            recipe=recipe,
            runtime_version=version,
            machine=this_machine(),
            verify=None,
            created=wall_label(),
        )
        write(manifest, part)
        probe(part)
        report = verify(part, model_bytes, golden)
        if not report.passed:
            raise ArtifactError(
                f"engine {recipe.name} failed its verification and was not kept: {'; '.join(report.reasons)}"
            )
        manifest = dataclasses.replace(manifest, verify=report)
        write(manifest, part)
        _put(part, out_dir)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def _check_output(out_dir: Path, overwrite: bool) -> None:
    if not os.path.lexists(out_dir):
        return
    if not overwrite:
        raise DataError(f"{out_dir}: exists already; choose another output or give --overwrite")
    if not (out_dir / MANIFEST).is_file():
        raise DataError(f"{out_dir}: is no engine folder, so it is not overwritten; choose another output")


def _check_pair(recipe: EngineRecipe, source: Model, prepared: Model) -> None:
    """The prepared model is the source, or was quantised from it."""
    found = prepared.sha256 if recipe.precision == "fp32" else prepared.source_sha256
    if source.source_sha256 is not None:
        raise ArtifactError(
            f"recipe {recipe.name}: {source.spec.model_id} is quantised already, expected an FP32 model; "
            "name the model that it was made from"
        )
    if found != source.sha256 or prepared.spec != source.spec:
        raise ArtifactError(
            f"recipe {recipe.name}: the prepared model was not made from {source.spec.model_id} "
            f"(SHA-256 {source.sha256[:12]}…) as {recipe.precision}; prepare it again from this model"
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error}); choose another output") from error


def _put(part: Path, out_dir: Path) -> None:
    """Give ``part`` the name ``out_dir``; an older engine there goes only once the new one can take its place."""
    old = out_dir.with_name(f".{out_dir.name}.{os.getpid()}.old")
    try:
        if out_dir.exists():
            out_dir.rename(old)
        part.rename(out_dir)
    except OSError as error:
        if old.exists() and not out_dir.exists():
            old.rename(out_dir)
        raise DataError(f"{out_dir}: cannot be written ({error.strerror or error}); choose another output") from error
    shutil.rmtree(old, ignore_errors=True)
