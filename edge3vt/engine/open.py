"""Opening: an engine folder, or a model's bytes, on the runtime that it names."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from edge3vt.core.errors import BackendMissingError
from edge3vt.core.session import Session
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.manifest import open_verified
from edge3vt.engine.recipe import Runtime


def open_engine(directory: Path) -> Session:
    """The engine in ``directory``, verified byte for byte, opened and warm. ``partial(open_engine, dir)`` pickles.

    Raises ArtifactError for a damaged or foreign engine, BackendMissingError where its runtime is not installed.
    """
    manifest, engine = open_verified(directory)
    return open_model(engine, manifest.spec, manifest.recipe.runtime, manifest.recipe.threads)


def open_model(model_bytes: bytes, spec: ModelSpec, runtime: Runtime, threads: int = 1) -> Session:
    """A model that keeps the engine contract, opened and warm on ``runtime``."""
    session: Session = _backend(runtime).open_session(model_bytes, spec, threads)
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
    try:
        return import_module(f"edge3vt.engine.{runtime}")
    except ImportError as error:
        raise BackendMissingError(f"{name} cannot be imported here ({error}); {remedy}") from error
