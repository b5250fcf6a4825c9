"""A recording at its own times: as often as asked for, and with what its side file tells of each picture.

file:// and dicom:// too give pictures at the file's times. What is added here: loops, and for a recording of ours the
exact capture times, epochs, regions and scales from the JSON lines beside it, which no video file holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

from edge3vt.core.clock import NS_PER_S, Clock
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Region
from edge3vt.picture.clip import Clip, Picture
from edge3vt.picture.dicom import open_dicom
from edge3vt.picture.video import open_video
from edge3vt.stream.sinks.fragments import side_of
from edge3vt.stream.sources.pace import Replay

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima", "")
MOST_SIDE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Line:
    """What a side file tells of one picture."""

    captured_ns: int
    epoch: int
    width: int
    height: int
    region: Region | None
    mm_per_px: float | None


class ReplaySource(Replay):
    """A video or DICOM clip, ``loops`` times over (0: for ever), each loop an epoch of its own.

    Raises what opening the file raises, and DataError for a side file that does not fit its video.
    """

    def __init__(self, path: Path, clock: Clock, *, paced: bool, loops: int = 1) -> None:
        if loops < 0:
            raise ConfigError(f"replay://{path}: {loops} loops, expected 0 (for ever) or more")
        looped = _Looped(path, loops)
        super().__init__(looped, clock, paced=paced)
        self.frames = None if loops == 0 else looped.frames


class _Looped:
    """A clip that begins again."""

    def __init__(self, path: Path, loops: int) -> None:
        clip: Clip = open_dicom(path) if path.suffix.lower() in DICOM_SUFFIXES else open_video(path)
        self._clip, self._loops = clip, loops
        self._lines = read_side(side_of(path), clip.frames) if side_of(path).is_file() else None
        self.name, self.width, self.height, self.rate_hz = clip.name, clip.width, clip.height, clip.rate_hz
        self.region, self.mm_per_px, self.notes = clip.region, clip.mm_per_px, clip.notes
        self.frames = clip.frames * max(loops, 1)
        if self._lines is not None:
            told = f"times, regions and scales from {side_of(path).name}; its pictures hold the overlay that was drawn"
            self.notes += (told,)

    def pictures(self) -> Iterator[Picture]:
        begin_ns = begin_epoch = done = 0
        while self._loops == 0 or done < self._loops:
            times_ns, epoch = list[int](), 0
            for index, picture in enumerate(self._clip.pictures()):
                told = self._told(picture, index)
                times_ns.append(max(told.time_ns, times_ns[-1] + 1) if times_ns else told.time_ns)
                epoch = max(epoch, told.epoch)
                yield replace(told, time_ns=begin_ns + times_ns[-1], epoch=begin_epoch + told.epoch)
            if not times_ns:
                return
            steps = [after - before for before, after in pairwise(times_ns)]
            begin_ns += times_ns[-1] + round(median(steps) if steps else NS_PER_S / self.rate_hz)
            begin_epoch += epoch + 1
            done += 1

    def _told(self, picture: Picture, index: int) -> Picture:
        """The picture with what its line says. Region and scale are of the picture that the line knew."""
        if self._lines is None:
            return picture
        first, line = self._lines[0], self._lines[index]
        fits = 0 <= self.width - line.width <= 1 and 0 <= self.height - line.height <= 1  # the recorder pads odd sides
        return replace(
            picture,
            time_ns=line.captured_ns - first.captured_ns,
            epoch=line.epoch - first.epoch,
            region=line.region if fits else None,
            mm_per_px=line.mm_per_px if fits else None,
        )


def read_side(path: Path, pictures: int) -> tuple[Line, ...]:
    """The lines of ``pictures`` pictures. A recording that was cut off may have more of them. Raises DataError."""
    lines: list[Line] = []
    try:
        if path.stat().st_size > MOST_SIDE_BYTES:
            raise DataError(f"{path}: larger than {MOST_SIDE_BYTES >> 30} GiB; this belongs to no recording")
        with path.open(encoding="utf-8") as file:
            if json.loads(next(file, "null")).get("schema") != 1:
                raise DataError(f"{path}: does not begin as the lines of a recording do; move the file away")
            for text in file:
                if len(lines) == pictures:
                    break
                lines.append(_line(json.loads(text)))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: line {len(lines) + 2} tells of no picture; move the file away to go on without"
        ) from error
    if len(lines) < pictures:
        raise DataError(f"{path}: tells of {len(lines)} pictures, the video holds {pictures}; copy both again")
    return tuple(lines)


def _line(raw: dict[str, object]) -> Line:
    numbers = [raw[key] for key in ("captured_ns", "epoch", "width", "height")]
    region, mm_per_px = raw["region"], raw["mm_per_px"]
    sides = region if isinstance(region, list) else []
    if not all(isinstance(number, int) for number in (*numbers, *sides)) or len(sides) != (0 if region is None else 4):
        raise TypeError
    if mm_per_px is not None and not (isinstance(mm_per_px, int | float) and mm_per_px > 0):
        raise TypeError
    captured_ns, epoch, width, height = (int(str(number)) for number in numbers)
    return Line(
        captured_ns, epoch, width, height, Region(*sides) if sides else None, float(mm_per_px) if mm_per_px else None
    )
