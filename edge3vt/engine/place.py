"""The place of a folder or file: one writer at a time, put whole, and what a killed writer left is put right.

Beside NAME stand, while it is written, ``.NAME.lock``, ``.NAME.part`` (the new one) and ``.NAME.old``.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge3vt.core.errors import DataError


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of ``path``; without ``wait`` yields False at once where another process holds it.

    The lock ends with the process, however it ends. Raises DataError where it cannot be made.
    """
    lock = path.with_name(f".{path.name}.lock")
    handle = None
    try:
        while handle is None:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(handle)
                yield False
                return
            if not _same(handle, lock):  # removed by whom we waited for
                os.close(handle)
                handle = None
    except OSError as error:
        raise DataError(f"{lock}: cannot be locked ({error.strerror or error}); choose another output") from error
    try:
        yield True
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


def parts(folder: Path) -> tuple[Path, Path]:
    """Where the new one is made, and where the old one waits."""
    return folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old")


def recover(folder: Path) -> None:
    """Put right what a killed writer of ``folder`` left, unless a writer is at work. Raises DataError."""
    folder = Path(os.path.abspath(folder))
    lock = folder.with_name(f".{folder.name}.lock")
    if any(map(os.path.lexists, (*parts(folder), lock))) and os.access(folder.parent, os.W_OK):
        with locked(folder, wait=False) as mine:
            if mine:
                clear(folder)


def clear(folder: Path) -> None:
    """Under the lock: the old folder takes its name back where there is no new one, and what is half goes."""
    part, old = parts(folder)
    _remove(part)
    if old.exists() and not os.path.lexists(folder):
        old.rename(folder)
    _drop(old, part)


def put(folder: Path) -> None:
    """Under the lock: give ``.NAME.part`` its name, durably; an older folder goes only once the new one is there.

    Raises DataError; the older folder is then in its place.
    """
    part, old = parts(folder)
    try:
        _sync(part)
        if os.path.lexists(folder):
            folder.rename(old)
        part.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        if old.exists() and not os.path.lexists(folder):
            old.rename(folder)
        raise DataError(f"{folder}: cannot be written ({error.strerror or error}); choose another output") from error
    _drop(old, part)


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file, whole or not at all, and durably. Takes the lock of ``path``. Raises DataError."""
    part, _ = parts(path)
    with locked(path):
        try:
            _remove(part)
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
            _sync(path.parent)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror or error}); choose another output") from error
        finally:
            part.unlink(missing_ok=True)


def _drop(old: Path, part: Path) -> None:
    """Remove ``old`` under the name of what is half, so that no half of it can ever take its name back."""
    if old.exists():
        old.rename(part)
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
