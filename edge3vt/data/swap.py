"""Replacing a data set: the new one is made beside the old one and takes its place once it is whole."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edge3vt.data.dataset import MANIFEST, PARTIAL
from edge3vt.data.writer import Unwritable, clear


def beside(folder: Path) -> Path:
    """Where the set that shall replace the one in ``folder`` is made."""
    return folder.with_name(f".{folder.name}.new")


def workplace(folder: Path, *, overwrite: bool) -> Path:
    """Where to make the set of ``folder``: there, or beside the whole set that it shall replace.

    What a replacement that was killed half-way left is put right. Raises Unwritable or ConfigError.
    """
    old, new = _old(folder), beside(folder)
    try:
        if old.exists() and not folder.exists():
            old.rename(folder)
        _drop(old, folder)
        if old.exists():
            raise Unwritable(f"{old}: holds files that an earlier replacement left; move them away, then repeat")
        whole = (folder / MANIFEST).exists()
        if not whole or (new / MANIFEST).exists():  # left over, or whole for a request that nobody knows now
            _drop(new, folder)
    except OSError as error:
        raise Unwritable(f"{folder}: cannot be replaced ({error.strerror or error}); choose another output") from error
    return new if whole and overwrite else folder


def swap(new: Path, folder: Path) -> None:
    """Put the whole set in ``new`` into the place of ``folder``, whose other files stay. Raises Unwritable."""
    old = _old(folder)
    try:
        folder.rename(old)
        new.rename(folder)
        _drop(old, folder)
    except OSError as error:
        raise Unwritable(
            f"{folder}: cannot be replaced ({error.strerror or error}); the new set is in {new}, the old one in "
            f"{old if (old / MANIFEST).exists() else folder}"
        ) from error


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _drop(leaving: Path, folder: Path) -> None:
    """Remove the set in ``leaving``; what else lies there goes to ``folder``."""
    if leaving.exists():
        clear(leaving)
        (leaving / f".{PARTIAL}.part").unlink(missing_ok=True)  # killed before its first line
        for path in list(leaving.iterdir()):
            if folder.exists() and not (folder / path.name).exists():
                path.rename(folder / path.name)
        with suppress(OSError):  # a file of that name is in ``folder`` already: both stay
            leaving.rmdir()
