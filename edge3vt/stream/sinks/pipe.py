"""A pipe to a sink's process, wide enough for a picture."""

from __future__ import annotations

import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext

PIPE_BYTES = 1 << 20
"""Linux' pipes hold 64 KiB; a picture through that wakes both sides forty times."""


def wide_pipe(context: SpawnContext) -> tuple[Connection, Connection]:
    """(its end to read from, ours to write to)."""
    reader, writer = context.Pipe(duplex=False)
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # the system may allow less
            fcntl.fcntl(writer.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return reader, writer
