"""Sources: what gives frames to the loop, one file a kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from edge3vt.core.frame import Frame


class Source(Protocol):
    """An iterable of frames. frames: how many there will be, None where nobody knows; notes: what was assumed."""

    @property
    def name(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def rate_hz(self) -> float: ...
    @property
    def frames(self) -> int | None: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def __iter__(self) -> Iterator[Frame]: ...
