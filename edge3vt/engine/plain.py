"""Plain files: read once, whole, and only where nothing can stand behind them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edge3vt.core.errors import ArtifactError


def read_plain(path: Path, most: int, *, remedy: str, folder: int | None = None) -> bytes:
    """The bytes of a regular file that is no link, has one name, and holds at most ``most`` bytes.

    folder: an open folder that ``path``'s last part is looked up in, so that a folder swapped meanwhile is not seen.
    Raises ArtifactError; ``remedy`` ends the message.
    """
    name = path if folder is None else path.name
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: {path.name} is missing; {remedy}") from error
    except OSError as error:
        what = "is a link, not a plain file" if path.is_symlink() else f"cannot be read ({error.strerror or error})"
        raise ArtifactError(f"{path}: {path.name} {what}; {remedy}") from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ArtifactError(f"{path}: {path.name} is not a plain file; {remedy}")
        if found.st_nlink != 1:
            raise ArtifactError(
                f"{path}: {path.name} has {found.st_nlink} names, so that it can be changed under another; {remedy}"
            )
        if found.st_size > most:
            raise ArtifactError(f"{path}: {path.name} has {found.st_size} bytes, at most {most} are read; {remedy}")
        with open(handle, "rb", buffering=0, closefd=False) as file:
            data = file.read(found.st_size + 1)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from error
    finally:
        os.close(handle)
    if not data:
        raise ArtifactError(f"{path}: the file is empty (0 bytes); {remedy}")
    if len(data) != found.st_size:
        raise ArtifactError(f"{path}: {path.name} changed while it was read; {remedy}")
    return data
