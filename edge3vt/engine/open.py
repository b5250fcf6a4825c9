"""Opening: an engine folder, or a model's bytes, on the runtime that it names."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from edge3vt.core.clock import wall_label
from edge3vt.core.errors import ArtifactError, BackendMissingError
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.golden import from_bytes, prove
from edge3vt.engine.manifest import EngineManifest, Sealed, Target, unseal
from edge3vt.engine.place import recover
from edge3vt.engine.recipe import EngineRecipe, Runtime, TensorRt
from edge3vt.engine.slots import active
from edge3vt.engine.target import facts


def open_engine(directory: Path) -> Session:
    """The engine in ``directory``, checked, opened, proven and warm. ``partial(open_engine, dir)`` pickles.

    directory: an engine folder, or the slots of one (``slots.py``). In this order: signature and hashes of the very
    bytes that are loaded, its last day, target, runtime, golden frames. Raises ArtifactError for a damaged, foreign or
    unproven engine, BackendMissingError where its runtime is not installed.
    """
    folder = active(directory)
    recover(folder)
    sealed = unseal(folder)
    manifest = sealed.manifest
    remedy = rebuild(folder, manifest)
    if manifest.verify is None or not manifest.verify.passed or sealed.golden is None:
        raise ArtifactError(f"{folder}: the engine was never verified; {remedy}")
    golden = from_bytes(sealed.golden, manifest.spec)
    session = open_sealed(sealed, folder)
    try:
        prove(session, golden, manifest.tolerance, remedy=remedy)
    except Exception:
        session.close()
        raise
    return session


def open_sealed(sealed: Sealed, folder: Path) -> Session:
    """The engine whose bytes were checked, opened on its runtime, not yet proven. Raises as ``open_engine``."""
    manifest = sealed.manifest
    refuse_expired(manifest, folder)
    refuse_elsewhere(manifest, folder)
    return open_as(manifest.recipe, sealed.engine, manifest.spec)


def rebuild(folder: Path, manifest: EngineManifest) -> str:
    """What to do about an engine that does not serve here."""
    return f"build it again: edge3vt build {manifest.name} -o {folder} --overwrite"


def refuse_expired(manifest: EngineManifest, where: Path) -> None:
    """Raises ArtifactError after the last day that the recipe allows, by this machine's own calendar."""
    last, today = manifest.recipe.not_after, wall_label()[:10]
    if last is not None and today > last:
        raise ArtifactError(
            f"{where}: release {manifest.release} of {manifest.name} was to be opened until {last}, and today is "
            f"{today}; import a newer one: edge3vt engines import BUNDLE; or set this machine's clock"
        )


def refuse_elsewhere(manifest: EngineManifest, where: Path, remedy: str | None = None) -> None:
    """Raises ArtifactError where the engine was built for another target, naming both; ``remedy`` ends the message."""
    here, built = target(manifest.recipe.runtime), manifest.target
    pairs = [("runtime_version", built.runtime_version, here.runtime_version)]
    names = sorted(built.facts.keys() | here.facts.keys())
    pairs += [(name, built.facts.get(name, "unknown"), here.facts.get(name, "unknown")) for name in names]
    for name, there, now in pairs:
        if there != now:
            what = f"{manifest.recipe.runtime} version" if name == "runtime_version" else name
            raise ArtifactError(
                f"{where}: built for {what} {there}, here is {now}; {remedy or rebuild(where, manifest)}"
            )


def target(runtime: Runtime) -> Target:
    """What an engine for ``runtime`` depends on, on this machine. Raises BackendMissingError."""
    return Target(runtime_version(runtime), facts(runtime))


def open_as(recipe: EngineRecipe, engine: bytes, spec: ModelSpec) -> Session:
    """An engine's bytes, opened and warm as ``recipe`` says."""
    return open_model(engine, spec, recipe.runtime, recipe.threads, recipe.tensorrt)


def open_model(
    model_bytes: bytes, spec: ModelSpec, runtime: Runtime, threads: int = 1, tensorrt: TensorRt | None = None
) -> Session:
    """A model that keeps the engine contract, opened and warm on ``runtime``; for TensorRT the bytes are a plan's."""
    own = (tensorrt,) if runtime == "tensorrt" else ()
    session: Session = _backend(runtime).open_session(model_bytes, spec, threads, *own)
    return session


def runtime_version(runtime: Runtime) -> str:
    """The installed version; raises BackendMissingError."""
    version: str = _backend(runtime).version()
    return version


def _backend(runtime: Runtime) -> ModuleType:
    match runtime:
        case "onnxruntime":
            name, remedy = "ONNX Runtime", "pip install onnxruntime"
        case "openvino":
            name, remedy = "OpenVINO", "pip install 'edge3vt[openvino]', or build a recipe for onnxruntime"
        case "tensorrt":
            name, remedy = "TensorRT", "install it as docs/jetson.md says, or build a recipe for a CPU"
    try:
        return import_module(f"edge3vt.engine.{runtime}")
    except ImportError as error:
        raise BackendMissingError(f"{name} cannot be imported here ({error}); {remedy}") from error
