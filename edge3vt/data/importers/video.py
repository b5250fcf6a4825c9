"""Video files of a folder, read by ``picture.video``: cines without masks, region, scale or patient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge3vt.core.errors import DataError
from edge3vt.data.importers.image import files_under, luma
from edge3vt.data.importers.raw import Raw
from edge3vt.picture.colour import FULL_RANGE
from edge3vt.picture.video import open_video

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".mpeg", ".mpg", ".m4v", ".webm")


def find(root: Path) -> list[Path]:
    """The video files at and under ``root``, by name. Raises DataError where there are none."""
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise DataError(f"{root}: is not there; check the path")
    found = list(files_under(root, SUFFIXES))
    if not found:
        raise DataError(f"{root}: holds no videos, expected {', '.join(SUFFIXES)} files; check the path")
    return found


def read(path: Path) -> Iterator[Raw]:
    """Every picture of one file, one by one. Raises DataError; then none of them counts."""
    clip = open_video(path)
    facts: dict[str, float | str] = {} if clip.notes else {"rate_hz": clip.rate_hz}
    for index, picture in enumerate(clip.pictures()):
        grey = luma(picture.pixels)
        yield Raw(grey if picture.full_range else FULL_RANGE[grey], frame=index, facts=facts)
