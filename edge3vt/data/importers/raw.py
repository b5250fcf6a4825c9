"""What an importer reads out of a user's file: a picture, perhaps its mask, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge3vt.core.frame import Pixels, Region
from edge3vt.data.dataset import Split


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """One picture as read. Its arrays belong to whoever receives it.

    picture: (H, W) luma. mask: (H, W) class indices, None where unlabelled. region: where the ultrasound picture is,
    None where unknown. mm_per_px: edge of a (square) pixel. patient_key: who it shows, as the file says it; it may
    leave the importer as a keyed hash only. frame: its place in a cine, None for a single picture.
    """

    picture: Pixels
    mask: Pixels | None = None
    region: Region | None = None
    mm_per_px: float | None = None
    patient_key: str | None = field(default=None, repr=False)
    frame: int | None = None
    facts: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """One picture that people have prepared, with its mask.

    files: what it is made of, the first one names it in messages. name: of the first, from the source's folder on.
    split: where the source's folders tell. fault: why it cannot be read, where that is known already.
    """

    files: tuple[Path, ...]
    name: str
    split: Split | None = None
    fault: str = ""

    def __str__(self) -> str:
        return str(self.files[0])
