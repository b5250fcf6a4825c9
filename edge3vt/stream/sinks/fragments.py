"""What is left of a recording that nobody finished: an MP4 in fragments plays up to its last whole one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge3vt.core.errors import DataError

SIDE = ".jsonl"
_HEADER_BYTES = 16


def recording_name(path: Path) -> Path:
    """The name of ``path`` while it is being recorded, this process' own."""
    return path.with_name(f"{path.stem}.{os.getpid()}.recording{path.suffix}")


def side_of(video: Path) -> Path:
    """The JSON lines beside a video: a head, then one line a picture."""
    return video.with_suffix(SIDE)


def salvage_all(path: Path) -> list[Path]:
    """Give what earlier processes left of recordings of this name names of their own; what is being written stays.

    Lines whose video is gone are those of ``path``: a kill came between the names of the two.
    """
    ours = re.compile(re.escape(path.stem) + r"\.[0-9]+\.recording(" + re.escape(path.suffix) + "|" + SIDE + ")")
    with suppress(OSError):
        left = sorted(each for each in path.parent.iterdir() if ours.fullmatch(each.name))
        for each in left:
            if each.suffix == SIDE and each.with_suffix(path.suffix) not in left and path.exists():
                each.replace(side_of(path))
        return [saved for each in left if each.suffix != SIDE and (saved := salvage(each, path)) is not None]
    return []


def salvage(partial: Path, path: Path) -> Path | None:
    """Cut a partial recording after its last whole fragment, and name it NAME.partial-N.mp4; None without a picture.

    Nothing is done to what is still being written.
    """
    try:
        with partial.open("rb+") as file, locked(file.fileno()):
            length = whole_length(file.fileno())
            file.truncate(length)
            os.fsync(file.fileno())
    except (FileNotFoundError, BlockingIOError):
        return None
    side = side_of(partial)
    if not length:
        for empty in (side, partial):  # lines without a video would be taken for those of a finished one
            empty.unlink(missing_ok=True)
        return None
    number = 1
    while (kept := path.with_name(f"{path.stem}.partial-{number}{path.suffix}")).exists():
        number += 1
    with suppress(FileNotFoundError):  # the lines first: killed in between, the next start does the rest
        side.rename(side_of(kept))
    partial.rename(kept)
    return kept


@contextmanager
def locked(handle: int) -> Iterator[None]:
    """Hold a file for writing, where the system has such locks; raises BlockingIOError where another process does."""
    try:
        import fcntl
    except ImportError:  # Windows keeps open files from being renamed
        yield
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


def whole_length(handle: int) -> int:
    """Bytes up to the end of the last whole fragment (ISO/IEC 14496-12: a moof box, then its mdat); 0 without one."""
    size, at, whole, before = os.fstat(handle).st_size, 0, 0, b""
    while at + 8 <= size:
        os.lseek(handle, at, os.SEEK_SET)
        head = os.read(handle, _HEADER_BYTES)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8 or at + length > size:
            break
        at += length
        if (kind == b"mdat" and before == b"moof") or kind == b"mfra":
            whole = at
        before = kind
    return whole


def not_whole(path: Path, pictures: int, why: str, kept: Path | None) -> DataError:
    """What to say of a recording that ended early."""
    there = f"what was recorded is in {kept.name}" if kept else "nothing was recorded"
    return DataError(
        f"{path}: the recording failed after {pictures} pictures ({why}); {there}; free disk space or choose another "
        "output"
    )
