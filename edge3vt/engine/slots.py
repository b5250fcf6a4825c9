"""Two slots for the engine of a cart: the one that runs, and the last one that was good.

A slots folder holds ``a``, ``b`` and SLOTS, which is replaced in one step: a new engine is made and proven beside the
one that runs, and only then takes over.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import read_json, to_json
from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.engine import keyring
from edge3vt.engine.manifest import EngineManifest, unseal
from edge3vt.engine.place import locked, recover, write

SLOTS = "slots.json"
_REMEDY = "import the engine again: edge3vt engines import BUNDLE"


@dataclass(frozen=True, slots=True)
class Slot:
    """manifest_sha256: of the manifest's bytes: what the slot held when it was filled."""

    folder: Literal["a", "b"]
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class Slots:
    """previous: the last good engine; None before the second import."""

    schema: int
    active: Slot
    previous: Slot | None

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ArtifactError(f"schema {self.schema} of the slots is not known, expected 1; update edge3vt")


def is_slots(folder: Path) -> bool:
    """Whether ``folder`` holds slots."""
    return (folder / SLOTS).is_file()


def active(folder: Path) -> Path:
    """The engine folder that ``folder`` means: the active slot, where it holds slots. Raises ArtifactError."""
    if not is_slots(folder):
        return folder
    for place in (folder, folder / SLOTS, folder / "a", folder / "b"):
        recover(place)
    return folder / read_slots(folder).active.folder


def read_slots(folder: Path) -> Slots:
    """Raises ArtifactError."""
    try:
        return read_json(Slots, folder / SLOTS)
    except ConfigError as error:
        raise ArtifactError(f"{error}; {_REMEDY}") from error


def fill(folder: Path, make: Callable[[Path], EngineManifest]) -> EngineManifest:
    """Let ``make`` put an engine into the slot that does not run, then let that one run.

    make: gets the engine folder, which it replaces whole or not at all. What runs now becomes the last good one, and
    the oldest release that is opened here. Whatever goes wrong, what runs now goes on. Raises what ``make`` raises.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        folder.mkdir(exist_ok=True)
        before, last = _running(folder)
        name: Literal["a", "b"] = "b" if before is not None and before.folder == "a" else "a"
        try:
            manifest = make(folder / name)
        except BaseException:
            with suppress(OSError):
                folder.rmdir()  # where nothing runs yet, nothing stays
            raise
        made = sha256_bytes(unseal(folder / name).manifest_bytes)
        _write(Slots(1, Slot(name, made), None if last is None else before), folder)
    if last is not None and (last.key, last.name) == (manifest.key, manifest.name):
        keyring.raise_floor(last.key, last.name, last.release)
    return manifest


def _running(folder: Path) -> tuple[Slot | None, EngineManifest | None]:
    """The slot that runs, and what is in it; an engine that is damaged is no last good one."""
    if not is_slots(folder):
        return None, None
    slot = read_slots(folder).active
    try:
        return slot, unseal(folder / slot.folder).manifest
    except ArtifactError:
        return slot, None


def rollback(folder: Path, check: Callable[[Path], EngineManifest]) -> EngineManifest:
    """Let the last good engine run again, and keep the other. Raises ArtifactError, and what ``check`` raises."""
    if not is_slots(folder):
        raise ArtifactError(f"{folder}: holds no slots, expected {SLOTS}; {_REMEDY}")
    with locked(folder):
        slots = read_slots(folder)
        if slots.previous is None:
            raise ArtifactError(f"{folder}: there is no earlier engine to go back to; {_REMEDY}")
        slot = folder / slots.previous.folder
        recover(slot)
        if sha256_bytes(unseal(slot).manifest_bytes) != slots.previous.manifest_sha256:
            raise ArtifactError(f"{slot}: not the engine that ran before; {_REMEDY}")
        manifest = check(slot)
        _write(Slots(1, slots.previous, slots.active), folder)
    return manifest


def _write(slots: Slots, folder: Path) -> None:
    write(folder / SLOTS, to_json(slots).encode())
