"""What engines stand on this machine: those built, those in slots, and what killed writers left beside them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge3vt.core.errors import BackendMissingError, DataError, Edge3vtError
from edge3vt.engine.manifest import MANIFEST, unseal
from edge3vt.engine.open import refuse_elsewhere, refuse_expired
from edge3vt.engine.place import locked
from edge3vt.engine.slots import is_slots, read_slots


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine folder. The rest is None where it is damaged.

    refused: why it cannot be opened here. lacks: what this machine lacks to tell.
    """

    folder: str
    slot: Literal["active", "last good"] | None
    refused: str | None
    lacks: str | None = None
    name: str | None = None
    release: int | None = None
    precision: str | None = None
    runtime: str | None = None
    key: str | None = None


def engines_in(builds: Path, slots: Path) -> list[Engine]:
    """The engine folders below ``builds`` and ``slots``, in order of their names; none of them is run."""
    found = [_engine(folder, None) for folder in _folders(builds) if (folder / MANIFEST).is_file()]
    for home in _folders(slots):
        if is_slots(home):
            try:
                held = read_slots(home)
            except Edge3vtError as error:
                found.append(Engine(str(home), "active", str(error)))
                continue
            found.append(_engine(home / held.active.folder, "active"))
            if held.previous is not None:
                found.append(_engine(home / held.previous.folder, "last good"))
    return found


def leftovers(builds: Path, slots: Path) -> list[Path]:
    """The folders beside which a killed build or import left something; ``place.recover`` puts them right."""
    found = set()
    for room in (builds, slots, *_folders(slots)):
        for part in (*room.glob(".*.part"), *room.glob(".*.old")):
            folder = room / part.name[1:].rpartition(".")[0]
            with locked(folder, wait=False) as mine:
                if mine:  # nobody writes there
                    found.add(folder)
    return sorted(found)


def drop(folder: Path) -> None:
    """Remove an engine folder. Raises DataError."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be removed ({error.strerror or error}); remove it yourself") from error


def _engine(folder: Path, slot: Literal["active", "last good"] | None) -> Engine:
    try:
        manifest = unseal(folder).manifest
    except Edge3vtError as error:
        return Engine(str(folder), slot, str(error))
    refused = lacks = None
    try:
        refuse_expired(manifest, folder)
        refuse_elsewhere(manifest, folder)
    except BackendMissingError as error:
        lacks = str(error)
    except Edge3vtError as error:
        refused = str(error)
    recipe = manifest.recipe
    names = manifest.name, manifest.release, recipe.precision, recipe.runtime, manifest.key
    return Engine(str(folder), slot, refused, lacks, *names)


def _folders(room: Path) -> list[Path]:
    return sorted(path for path in room.glob("[!.]*") if path.is_dir() and not path.is_symlink())
