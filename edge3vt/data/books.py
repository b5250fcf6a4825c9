"""The books of a data set in the making, ``items.partial.jsonl``: its head, then a line for all that was taken at once.

Only one run at a time may keep them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import from_mapping, to_json
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.data.dataset import MASKS, PARTIAL, PICTURES, Item

try:
    import fcntl
except ModuleNotFoundError:  # pragma: no cover - Windows; there nobody is kept out
    fcntl = None  # type: ignore[assignment]

Head = Mapping[str, Any]  # what a run that goes on must have in common with the one before


@dataclass(frozen=True, slots=True)
class _Line:
    items: tuple[Item, ...]


def lock(folder: Path) -> int:
    """A handle that keeps other runs out of ``folder`` until it is closed. Raises ConfigError where one is at work."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise ConfigError(f"{folder}: another run is writing this data set; wait for its end") from error
    except OSError:  # a file system without locks
        pass
    return handle


def begin(folder: Path, head: Head, items: Iterable[Item]) -> None:
    """Write the books anew, whole, so that neither a torn line nor an item that is not whole stays."""
    partial = folder / f".{PARTIAL}.part"
    lines = [to_json(head, indent=None), *(line([item]) for item in items)]
    partial.write_text("".join(lines), encoding="utf-8")
    partial.replace(folder / PARTIAL)


def line(items: Sequence[Item]) -> str:
    """The line for items that are taken together."""
    return to_json(list(items), indent=None)


def begun(folder: Path, head: Head) -> Iterator[Item]:
    """What an earlier run has finished and what is still whole on disk. Raises ConfigError for another head."""
    path = folder / PARTIAL
    first, *rest = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else [""]
    before = _parsed(first)
    if before is None:  # it ended before its first line was on disk
        return
    if before != head:
        raise ConfigError(
            f"{folder}: begun with {_difference(before, head)}; repeat its command, choose another name or add "
            "--overwrite"
        )
    for text in rest:
        try:
            items = from_mapping(_Line, {"items": _parsed(text)}, where=str(path)).items
        except Edge3vtError:  # torn by a kill: what it tells of is done again
            continue
        if all(_whole(folder, item) for item in items):
            yield from items


def _difference(before: object, head: Head) -> str:
    heads = [h if isinstance(h, Mapping) else {} for h in (before, head)]
    old, new = ({"schema": h.get("schema"), **h.get("request", {}), **h} for h in heads)  # in order of what to tell
    key = next((k for k in new if k != "request" and old.get(k) != new[k]), "request")
    return f"{key} {old.get(key)!r}, not {new.get(key)!r}"


def _whole(folder: Path, item: Item) -> bool:
    hashes = {PICTURES: item.picture_sha256, MASKS: item.mask_sha256}
    paths = {folder / kind / f"{item.id}.png": wanted for kind, wanted in hashes.items() if wanted is not None}
    return all(path.is_file() and sha256_file(path) == wanted for path, wanted in paths.items())


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
