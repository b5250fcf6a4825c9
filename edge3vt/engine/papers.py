"""An engine's papers: its card, its bill of materials (CycloneDX), and the wheels that a cart needs to run it."""

from __future__ import annotations

import platform
from importlib import metadata

from edge3vt import __version__
from edge3vt.core.errors import BackendMissingError
from edge3vt.engine.manifest import EngineManifest
from edge3vt.engine.recipe import Runtime

_REMEDY = "pip install 'edge3vt[bundle]'"


def card(manifest: EngineManifest) -> str:
    """What the engine is, what it was held against, and what it is not for, in Markdown."""
    spec, recipe, chain, report = manifest.spec, manifest.recipe, manifest.chain, manifest.verify
    facts = {
        "model": f"{spec.model_id}, {spec.training}",
        "classes": ", ".join(spec.classes),
        "input": f"uint8 {spec.width}x{spec.height}, one channel; logits at 1/{spec.stride}",
        "precision": f"{recipe.precision} on {recipe.runtime} {manifest.runtime_version}, {recipe.threads} thread(s)",
        "built for": "; ".join(f"{name} {value}" for name, value in manifest.target.facts.items()),
        "release": f"{manifest.release} of {manifest.name}, {manifest.created}, key {manifest.key}",
        "weights": chain.weights or "unknown: the ONNX file names none",
        "FP32 ONNX": chain.onnx,
        "calibration table": chain.table or "none",
        "engine": chain.engine,
    }
    if report is not None:
        scores = ", ".join(f"{name} {value:.3f}" for name, value in report.dice.items() if value is not None)
        facts["against FP32"] = f"agreement {report.agreement:.4f} on {report.frames} golden frames; Dice {scores}"
        facts["speed"] = (
            f"median {report.speed.engine_ms:.2f} ms where it was built, FP32 {report.speed.fp32_ms:.2f} ms"
        )
    if recipe.not_after is not None:
        facts["opened until"] = f"{recipe.not_after}, UTC"
    if manifest.choice is not None:
        facts["chosen"] = _cell(manifest.choice.why)
    if recipe.keep_float:
        facts["kept in floats"] = ", ".join(recipe.keep_float)
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return (
        f"# {manifest.name}\n\nA segmentation engine for edge3vt. **Not a medical device and not for diagnosis.** The "
        "figures compare it with the FP32 model that it was made from; how right that model is, they do not say.\n\n"
        f"| | |\n|---|---|\n{rows}\n"
    )


def _cell(text: str) -> str:
    """Text that stays in its cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def wheels(runtime: Runtime) -> dict[str, str]:
    """Name and version of every package that running such an engine needs, as installed here.

    Raises BackendMissingError without the extra ``bundle``, or where edge3vt is not installed.
    """
    try:
        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name
    except ImportError as error:
        raise BackendMissingError(f"the list of wheels needs packaging ({error}); {_REMEDY}") from error
    found: dict[str, str] = {}
    waiting: list[tuple[str, frozenset[str]]] = [("edge3vt", frozenset({runtime} - {"onnxruntime"}))]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            raise BackendMissingError(f"{name} is not installed here, so its version is unknown; install it") from error
        found[name] = package.version
        for text in package.requires or ():
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
                entry = (canonicalize_name(needed.name), frozenset(needed.extras))
                if entry not in seen:
                    seen.add(entry)
                    waiting.append(entry)
    return dict(sorted(found.items()))


def wheel_list(packages: dict[str, str]) -> str:
    """The packages as requirements; ``pip download -r`` fetches them where there is a network."""
    where = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return f"# As installed for {where}.\n" + "".join(f"{name}=={version}\n" for name, version in packages.items())


def bill(manifest: EngineManifest, packages: dict[str, str]) -> str:
    """The bill of materials, CycloneDX 1.6 in JSON: the engine, its model, and the packages that run it.

    Raises BackendMissingError without the extra ``bundle``.
    """
    try:
        from cyclonedx.model import HashAlgorithm, HashType
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
        from packageurl import PackageURL
    except ImportError as error:
        raise BackendMissingError(f"the bill of materials needs cyclonedx-python-lib ({error}); {_REMEDY}") from error

    def model(name: str, version: str, sha256: str) -> Component:
        return Component(
            name=name,
            version=version,
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=f"sha256:{sha256}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        )

    spec, chain = manifest.spec, manifest.chain
    engine = model(manifest.name, str(manifest.release), chain.engine)
    source = model(spec.name, spec.version, chain.onnx)
    libraries = [
        Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{name}=={version}",
            purl=PackageURL("pypi", None, name, version),
        )
        for name, version in packages.items()
    ]
    bom = Bom(components=[source, *libraries])
    bom.metadata.component = engine
    bom.metadata.tools.components.add(Component(name="edge3vt", version=__version__, type=ComponentType.APPLICATION))
    bom.register_dependency(engine, [source, *libraries])
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"
