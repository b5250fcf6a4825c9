"""JSON lines: one object a line, whole or not at all, in files whose size together is bounded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edge3vt.core.documents import to_json
from edge3vt.core.errors import DataError

MAX_BYTES = 8 << 20
KEPT = 4
_TAIL = 1 << 20


class Rows:
    """``path``, and before it ``path`` with .1 (the newest before), .2 ... ; at most ``kept`` files of ``max_bytes``.

    A line is one write at the file's end, so that a kill loses at most the line being written; a torn last line of an
    earlier run is cut off when the file is opened. A disk that is full loses lines, counted in ``lost``, and raises
    nothing. Raises DataError where the file cannot be opened at all.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self._path, self._max_bytes, self._kept = path, max_bytes, kept
        self.lost = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = mend(self._handle)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror or error}); choose another output") from error

    def write(self, row: dict[str, Any]) -> None:
        """Append one object."""
        self.put(to_json(row, indent=None).encode())

    def put(self, line: bytes) -> None:
        """Append what ends in a newline, whole."""
        try:
            if self._size + len(line) > self._max_bytes and self._size:
                self._turn()
            if self._handle is None:
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                self._size = mend(self._handle)
            written = os.write(self._handle, line)
            if written < len(line):  # the disk is full: no half line stays
                os.ftruncate(self._handle, self._size)
                self.lost += 1
                return
            self._size += written
        except OSError:
            self.lost += 1

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _turn(self) -> None:
        """Begin a new file; the oldest goes."""
        self.close()
        names = [self._path, *(numbered(self._path, i) for i in range(1, self._kept))]
        for older, newer in zip(reversed(names), list(reversed(names))[1:], strict=False):
            if newer.exists():
                newer.replace(older)
        if self._kept == 1:
            self._path.unlink()
        self._size = 0


def numbered(path: Path, i: int) -> Path:
    """The i-th file before ``path``: a.jsonl, a.1.jsonl."""
    return path.with_name(f"{path.stem}.{i}{path.suffix}")


def mend(handle: int) -> int:
    """Cut a torn last line off an open file; the size that remains."""
    size = os.fstat(handle).st_size
    tail = os.pread(handle, min(size, _TAIL), max(size - _TAIL, 0))
    if tail and not tail.endswith(b"\n"):
        size -= len(tail) - (tail.rfind(b"\n") + 1)
        os.ftruncate(handle, size)
    return size
