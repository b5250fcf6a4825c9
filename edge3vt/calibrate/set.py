"""Which pictures a model is calibrated or verified on, in words. Whoever holds the rooms for it makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge3vt.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """``count`` pictures: phantoms from ``seed`` on, or the first ones of the folder ``path`` in order of name."""

    schema: int
    name: str
    source: Literal["phantom", "folder"]
    count: int
    seed: int | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} is not known, expected 1; update edge3vt")
        if self.count < 1:
            raise ConfigError(f"count is {self.count}, expected 1 or more")
        needed, other = ("seed", "path") if self.source == "phantom" else ("path", "seed")
        if getattr(self, needed) is None:
            raise ConfigError(f"a {self.source} set needs the key '{needed}'; add it")
        if getattr(self, other) is not None:
            raise ConfigError(f"a {self.source} set has no '{other}'; remove the key")
