"""Which pictures a model is calibrated or verified on, in words. Whoever holds the rooms for it makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import to_json
from edge3vt.core.errors import ConfigError

GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """``count`` pictures: phantoms from ``seed`` on; the first ones of the folder ``path`` in order of name, each a
    whole region of ultrasound; or items of the data set in ``path``, spread over it, each by its own region.

    path: relative to the working folder. split: of a data set, None for the items of all splits. track_share: share
    of the pictures that are cut as live tracking looks closer, around the structures, where there are any.
    """

    schema: int
    name: str
    source: Literal["phantom", "folder", "dataset"]
    count: int
    seed: int | None = None
    path: str | None = None
    split: Literal["train", "validation", "test"] | None = None
    track_share: float = 0.0

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
        if self.split is not None and self.source != "dataset":
            raise ConfigError(f"a {self.source} set has no 'split'; remove the key")
        if not 0 <= self.track_share <= 1:
            raise ConfigError(f"track_share is {self.track_share:g}, expected 0 to 1")
        if self.track_share and self.source == "folder":
            raise ConfigError("a folder's pictures have no masks to look closer at; remove the key 'track_share'")

    @property
    def sha256(self) -> str:
        """The hash of what is asked, however its file is laid out."""
        return sha256_bytes(to_json(self).encode())

    def looks_closer(self, index: int) -> bool:
        """Whether the picture at ``index`` is to be cut closer: spread evenly, in step with nothing else."""
        return (index + 1) * GOLDEN_RATIO % 1 < self.track_share
