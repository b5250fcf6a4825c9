"""One holder at a time of a thing of this machine: a capture device, a GPU, a cache. The kernel frees it at any end."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from pathlib import Path
from types import TracebackType

from edge3vt.core.errors import BackendMissingError, ConfigError

_SHARED = Path("/run/lock")


class Claim:
    """``name`` is held until ``close``, or the end of the process. Raises BackendMissingError, which names the holder.

    places: how many may hold it at once. folder: of the lock files; /run/lock where it can be written, so that all
    users of the machine meet there. The files stay: removing one would let two hold it. Not inherited by children.
    """

    def __init__(self, name: str, *, places: int = 1, folder: Path | None = None) -> None:
        if places < 1:
            raise ConfigError(f"{name}: {places} places, expected at least 1")
        folder = folder or (_SHARED if os.access(_SHARED, os.W_OK) else Path(tempfile.gettempdir()))
        plain = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-")
        paths = [folder / f"edge3vt-{plain}{f'.{place}' if place else ''}.lock" for place in range(places)]
        self._file = next((file for path in paths if (file := _held(path, name)) is not None), -1)
        if self._file < 0:
            holders = ", ".join(_holder(path) for path in paths)
            place = f"all {places} places are" if places > 1 else "it is"
            raise BackendMissingError(f"{name}: {place} in use by process {holders}; end that one, or use another")

    def close(self) -> None:
        """Let go; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _held(path: Path, name: str) -> int | None:
    """The open file with its lock, our PID in it; None when another has it."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            file = os.open(path, flags)  # without O_CREAT: in a sticky folder that is refused for another user's file
        except FileNotFoundError:
            file = os.open(path, flags | os.O_CREAT, 0o666)
            if os.fstat(file).st_uid == os.getuid():
                os.fchmod(file, 0o666)
    except OSError as error:
        raise BackendMissingError(
            f"{name}: {path} cannot be opened to lock it: {error.strerror}; remove it, or ask who owns it"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    os.pwrite(file, f"{os.getpid():<20}\n".encode(), 0)
    return file


def _holder(path: Path) -> str:
    """PID of who holds it: as the kernel says, else what was written into the file, which may be of the one before."""
    inode = str(path.stat().st_ino)
    try:
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()  # "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF"
            if "FLOCK" in words and words[5].rpartition(":")[2] == inode and int(words[4]) > 0:
                return words[4]
    except (OSError, IndexError, ValueError):
        pass
    return path.read_text().strip() or "unknown"
