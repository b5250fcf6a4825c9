"""``edge3vt engines``: engines of this machine, and one file that takes them to a cart and back a step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge3vt.calibrate.table import CalibrationTable
from edge3vt.cli.engines import BUILDS, named_model, named_table, prepare
from edge3vt.cli.output import Json, Overwrite, finish, note
from edge3vt.cli.pictures import named_set, pictures_of
from edge3vt.core.documents import parse_json, to_json, write_bytes
from edge3vt.core.errors import ArtifactError, ConfigError, DataError
from edge3vt.engine import keyring
from edge3vt.engine.build import build
from edge3vt.engine.bundle import CARD, SBOM, TABLE, WHEELS, Bundle, pack, unpack
from edge3vt.engine.install import install
from edge3vt.engine.manifest import EngineManifest, unseal
from edge3vt.engine.model import read_model
from edge3vt.engine.open import refuse_elsewhere
from edge3vt.engine.papers import bill, card, wheel_list, wheels
from edge3vt.engine.place import recover
from edge3vt.engine.probe import probe
from edge3vt.engine.shelf import Engine, drop, engines_in, leftovers
from edge3vt.engine.slots import active, fill, is_slots, read_slots
from edge3vt.engine.slots import rollback as roll_back

SLOTS = Path("engines/slots")
Home = Annotated[Path, typer.Option("--slots", help="Where imported engines live, a folder of slots each.")]

app = typer.Typer(no_args_is_help=True, help="Engines: list, show, export, import, roll back, prune; keys.")


@app.command("list")
def list_(
    builds: Annotated[Path, typer.Option(help="Where engines are built.")] = BUILDS,
    slots: Home = SLOTS,
    json: Json = False,
) -> int:
    """What is built and imported here, and whether it can be opened.

    Example: edge3vt engines list
    """
    found = engines_in(builds, slots)
    text = [line for engine in found for line in _row(engine)]
    return finish("engines list", True, {"engines": found}, text or ["no engines; edge3vt build RECIPE"], json=json)


@app.command()
def show(
    engine: Annotated[Path, typer.Argument(help="An engine folder, a folder of slots, or a bundle.")],
    json: Json = False,
) -> int:
    """What an engine is, after its signature and hashes were found right.

    Example: edge3vt engines show engines/build/cpu-int8
    """
    if engine.is_file():
        bundle = unpack(engine)
        manifest, files = bundle.engine, {name: entry.size for name, entry in bundle.manifest.files.items()}
    else:
        manifest = unseal(active(engine)).manifest
        files = {name: entry.size for name, entry in manifest.files.items()}
    text = [*card(manifest).splitlines(), "", *(f"{size:>10} {name}" for name, size in files.items())]
    return finish("engines show", True, {"engine": str(engine), "manifest": manifest, "files": files}, text, json=json)


@app.command()
def export(
    engine: Annotated[Path, typer.Argument(help="An engine folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The bundle, as in cpu-int8.tar.")],
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """One signed file for a cart without a network: engine, FP32 ONNX, table, card, bill of materials, wheels list.

    Example: edge3vt engines export engines/build/cpu-int8 -o cpu-int8.tar
    """
    if out.exists() and not overwrite:
        raise DataError(f"{out}: exists already; choose another output or give --overwrite")
    sealed = unseal(active(engine))
    manifest = sealed.manifest
    recipe = manifest.recipe
    table = None if manifest.table_sha256 is None else to_json(named_table(recipe)).encode()
    packages = wheels(recipe.runtime)
    papers = {
        CARD: card(manifest).encode(),
        SBOM: bill(manifest, packages).encode(),
        WHEELS: wheel_list(packages).encode(),
    }
    data = pack(sealed, named_model(recipe.model).data, table, papers)
    write_bytes(out, data)
    key, _ = keyring.own_key()
    text = [
        f"{out}: {manifest.name} release {manifest.release}, {len(data)} bytes, signed by key {key}",
        "A cart needs that key once: edge3vt engines key -o maker.pub, and there: edge3vt engines trust maker.pub",
    ]
    document = {"bundle": str(out), "bytes": len(data), "key": key, "manifest": manifest}
    return finish("engines export", True, document, text, json=json)


@app.command("import")
def import_(
    bundle: Annotated[Path, typer.Argument(help="A bundle by edge3vt engines export, of a maker whose key is pinned.")],
    rebuild: Annotated[
        bool, typer.Option("--build", help="Build the engine here from the bundle's ONNX and table, for this machine.")
    ] = False,
    slots: Home = SLOTS,
    json: Json = False,
) -> int:
    """Put an engine from a bundle into the slot that does not run, prove it here, and let it run; the last is kept.

    Example: edge3vt engines import cpu-int8.tar
    """
    found = unpack(bundle)
    manifest = found.engine
    folder = slots / manifest.name
    there = _running(folder)
    if there is not None and (there.key, there.name) == (manifest.key, manifest.name):
        if there == manifest:
            text = f"{active(folder)}: {manifest.name} release {manifest.release} runs already"
            return finish("engines import", True, _slot(folder, there), [text], json=json)
        if manifest.release <= there.release:
            raise ArtifactError(
                f"{bundle}: release {manifest.release} of {manifest.name}, but release {there.release} is here; import "
                f"a newer one, or go back a step: edge3vt engines rollback {folder}"
            )
    if rebuild:
        made = fill(folder, lambda slot: _built(found, slot))
        keyring.raise_floor(manifest.key, manifest.name, manifest.release)
    else:
        refuse_elsewhere(manifest, bundle, f"build it here: edge3vt engines import {bundle} --build")
        made = fill(folder, lambda slot: install(found.sealed, slot))
    text = f"{active(folder)}: {made.name} release {made.release} runs from now on: edge3vt run --engine {folder}"
    return finish("engines import", True, _slot(folder, made), [text], json=json)


@app.command()
def rollback(
    folder: Annotated[Path, typer.Argument(help="A folder of slots, as engines/slots/cpu-int8.")],
    json: Json = False,
) -> int:
    """Let the last good engine run again, once it proved itself; the other one is kept.

    Example: edge3vt engines rollback engines/slots/cpu-int8
    """

    def proven(slot: Path) -> EngineManifest:
        probe(slot)
        return unseal(slot).manifest

    manifest = roll_back(folder, proven)
    text = f"{active(folder)}: {manifest.name} release {manifest.release} runs again"
    return finish("engines rollback", True, _slot(folder, manifest), [text], json=json)


@app.command()
def prune(
    builds: Annotated[Path, typer.Option(help="Where engines are built.")] = BUILDS,
    slots: Home = SLOTS,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only named.")] = False,
    json: Json = False,
) -> int:
    """Remove built engines that cannot be opened here, and what killed builds and imports left. Slots keep theirs.

    Example: edge3vt engines prune --yes
    """
    useless = {e.folder: e.refused for e in engines_in(builds, slots) if e.refused is not None and e.slot is None}
    left = leftovers(builds, slots)
    if yes:
        for name in useless:
            drop(Path(name))
        for folder in left:
            recover(folder)
    done = "removed" if yes else "would be removed"
    text = [f"{done}: {why}" for why in useless.values()]
    text += [f"{done}: what a killed build or import left beside {folder}" for folder in left]
    document = {"removed": yes, "engines": useless, "left_beside": [str(folder) for folder in left]}
    return finish("engines prune", True, document, text or ["nothing to remove"], json=json)


@app.command()
def trust(
    key: Annotated[Path, typer.Argument(metavar="KEY.pub", help="The public key of a maker whom you know.")],
    json: Json = False,
) -> int:
    """Open engines and bundles that this key signed, from now on.

    Example: edge3vt engines trust maker.pub
    """
    name = keyring.pin(key)
    text = f"key {name} is pinned in {keyring.keys_folder()}; compare the name with its maker's: edge3vt engines key"
    return finish("engines trust", True, {"key": name, "pinned": sorted(keyring.pinned())}, [text], json=json)


@app.command("key")
def key_(
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="KEY.pub", help="Write the public key.")] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """The public key of this machine, which signs what is built here; it is made at its first use.

    Example: edge3vt engines key -o maker.pub
    """
    name, public = keyring.own_key()
    if out is not None:
        if out.exists() and not overwrite:
            raise DataError(f"{out}: exists already; choose another output or give --overwrite")
        write_bytes(out, keyring.public_text(public).encode())
    document = {"key": name, "public": public.hex(), "pinned": sorted(keyring.pinned())}
    return finish("engines key", True, document, [f"key {name}", keyring.public_text(public).rstrip()], json=json)


def _built(found: Bundle, slot: Path) -> EngineManifest:
    """The bundle's engine, made again for this machine from the ONNX file and table that it brought."""
    recipe, model = found.engine.recipe, read_model(found.files["model.onnx"])
    table = None
    if TABLE in found.files:
        table = parse_json(CalibrationTable, found.files[TABLE].decode(), where=TABLE)
    try:
        named_set(recipe.golden)
    except ConfigError as error:
        raise ConfigError(
            f"{error}: {recipe.name} is verified on it; bring it to this machine, by that name"
        ) from error
    note(f"building {recipe.name} for this machine")
    pictures = pictures_of(recipe.golden, model.spec)
    prepared = prepare(recipe, model, table)
    weights = found.engine.chain.weights
    return build(recipe, model.data, prepared, pictures, slot, overwrite=True, weights_sha256=weights)


def _running(folder: Path) -> EngineManifest | None:
    """What runs in a folder of slots; None where nothing does, or nothing that can be opened."""
    if not is_slots(folder):
        return None
    try:
        return unseal(active(folder)).manifest
    except ArtifactError as error:
        note(f"{error}; it is left behind")
        return None


def _slot(folder: Path, manifest: EngineManifest) -> dict[str, Any]:
    return {"engine": str(folder), "slots": read_slots(folder), "manifest": manifest}


def _row(engine: Engine) -> list[str]:
    where = f"{engine.folder}{f' ({engine.slot})' if engine.slot else ''}"
    if engine.refused is not None:
        return [f"{where}: refused: {engine.refused}"]
    return [
        f"{where}: {engine.name} release {engine.release}, {engine.precision} on {engine.runtime}, key {engine.key}"
    ]
