"""Measurements of a run into a file: a row a frame, then what each cine comes to. CSV for tables, JSON for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edge3vt import __version__
from edge3vt.clinic.cine import CineMeasure, Robust, cines
from edge3vt.clinic.confidence import Value
from edge3vt.clinic.measure import NAMES, FrameMeasure, measured
from edge3vt.clinic.norms import Reference, references
from edge3vt.core.clock import NS_PER_MS, wall_label
from edge3vt.core.documents import to_json, write_bytes
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.segmentation import Segmentation
from edge3vt.picture.view import Side
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sinks.mailbox import Mailbox

NOTICE = "Measured on what a network outlined. Not a medical device; not for diagnosis."
SUFFIXES = (".csv", ".json")
DEPTH = 16
CLOSE_S = 10.0
LIVE_NS = 100 * NS_PER_MS  # live, a frame so often is measured: more would take time from the loop
MOST_FRAMES = 18_000  # half an hour live, five minutes at 60 Hz offline; beyond, frames count as dropped
WEEKS = 10.0, 45.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the operator knows. weeks: gestational age. left: where on the picture the left of the fetus lies.

    mm_per_px: spacing of a source that tells none. Raises ConfigError for what cannot be.
    """

    weeks: float | None = None
    left: Side = ""
    mm_per_px: float | None = None

    def __post_init__(self) -> None:
        if self.weeks is not None and not WEEKS[0] <= self.weeks <= WEEKS[1]:
            raise ConfigError(f"weeks is {self.weeks:g}, expected a gestational age of {WEEKS[0]:g} to {WEEKS[1]:g}")
        if self.mm_per_px is not None and not 0.005 <= self.mm_per_px <= 2:
            raise ConfigError(f"mm_per_px is {self.mm_per_px:g}, expected 0.005 to 2; measure it on the depth scale")


@dataclass(frozen=True, slots=True)
class Sheet:
    """The document. left holds for the first cine only: it is forgotten when the picture changes.

    references: what the cines' values can be held against.
    """

    schema: int
    edge3vt: str
    made: str
    notice: str
    model_id: str
    weeks: float | None
    left: Side
    cines: tuple[CineMeasure, ...]
    references: tuple[Reference, ...]
    frames: tuple[FrameMeasure, ...]

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the measurements is not known, expected 1; update edge3vt")


class Measurer:
    """Frame after frame of a run. Raises DataError for a spacing that is no length."""

    def __init__(self, asked: Asked, classes: tuple[str, ...] | None = None) -> None:
        self._asked, self._classes = asked, classes
        self._frames: list[FrameMeasure] = []
        self._model = ""

    def __call__(self, seg: Segmentation) -> FrameMeasure:
        if seg.frame.mm_per_px is None and self._asked.mm_per_px is not None:
            seg = replace(seg, frame=replace(seg.frame, mm_per_px=self._asked.mm_per_px))
        first = self._frames[0].epoch if self._frames else seg.frame.epoch
        left = self._asked.left if seg.frame.epoch == first else ""
        self._model = seg.model_id or self._model
        found = measured(seg, self._classes, left)
        self._frames.append(found)
        return found

    def sheet(self) -> Sheet:
        found = cines(self._frames)
        unit = "mm" if any(one.unit == "mm" for one in found) else "px"
        return Sheet(
            schema=1,
            edge3vt=__version__,
            made=wall_label(),
            notice=NOTICE,
            model_id=self._model,
            weeks=self._asked.weeks,
            left=self._asked.left,
            cines=found,
            references=references(self._asked.weeks, unit),
            frames=tuple(self._frames),
        )


class MeasureSink(Sink):
    """A .csv or .json of measurements, there whole at the end; made in a thread.

    block: measure every frame, however long it takes; else ten a second at most, and the others are dropped. Raises
    ConfigError for an existing file without ``overwrite`` and for another suffix, DataError at the end for a spacing
    that is no length and a file that cannot be written. A stream without pictures leaves no file.
    """

    def __init__(self, path: Path, asked: Asked | None = None, *, overwrite: bool, block: bool = False) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"{path}: measurements are written as {' or '.join(SUFFIXES)}; choose another name")
        if path.exists() and not overwrite:
            raise ConfigError(f"{path}: exists already; choose another name, or replace it with --overwrite")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror or error}); choose another output") from error
        self._path, self._asked, self._block = path, asked or Asked(), block
        self._measurer: Measurer | None = None
        self._beyond = self._between = 0
        self._last_ns: int | None = None
        self._mailbox: Mailbox[Segmentation] = Mailbox(self._measure, depth=DEPTH if block else 1, block=block)

    @property
    def written(self) -> int:
        return self._mailbox.written

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped + self._beyond + self._between

    @property
    def notice(self) -> str:
        if self._mailbox.error is not None:
            return "MEASURE STOPPED"
        return "MEASURE FULL" if self._beyond else ""

    def __call__(self, seg: Segmentation) -> None:
        if self._mailbox.written >= MOST_FRAMES:
            self._beyond += 1
            return
        captured_ns = seg.frame.captured_ns
        if not self._block and self._last_ns is not None and 0 <= captured_ns - self._last_ns < LIVE_NS:
            self._between += 1
            return
        self._last_ns = captured_ns
        self._mailbox.put(replace(seg, picture=None))

    def close(self) -> None:
        error = self._mailbox.close(timeout_s=None if self._block else CLOSE_S)
        if error is not None:
            if isinstance(error, DataError):
                raise error
            raise DataError(f"{self._path}: not written, measuring failed ({error}); please report it") from error
        if self._measurer is not None:
            write_sheet(self._measurer.sheet(), self._path)

    def discard(self) -> None:
        self._mailbox.close(drain=False, timeout_s=CLOSE_S)

    def _measure(self, seg: Segmentation) -> None:
        if self._measurer is None:
            self._measurer = Measurer(self._asked, self.spec.classes if self.spec else None)
        self._measurer(seg)


def write_sheet(sheet: Sheet, path: Path) -> None:
    """By the path's suffix, whole or not at all."""
    text = to_json(sheet, indent=None) if path.suffix.lower() == ".json" else to_csv(sheet)
    write_bytes(path, text.encode())


def to_csv(sheet: Sheet) -> str:
    """A row a frame, then one for each cine, with spread, frames and what its values can be held against."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([_plain(cell) for cell in row] for row in _rows(sheet))
    return out.getvalue()


COLUMNS = (
    *("row", "index", "time_ms", "epoch", "model", "unit", "frames_counted", "not_counted"),
    *(f"{name}{part}" for name in NAMES for part in ("", "_confidence", "_withheld", "_low", "_high", "_frames")),
    *("reference", "notice"),
)
"""row: "frame" or "cine". index: the frame's, or the number of the cine. frames_counted: 0 or 1, or how many."""


def _rows(sheet: Sheet) -> Iterator[list[object]]:
    start_ns = sheet.frames[0].captured_ns if sheet.frames else 0
    for frame in sheet.frames:
        time_ms = round((frame.captured_ns - start_ns) / NS_PER_MS, 3)
        head = ["frame", frame.frame, time_ms, frame.epoch, sheet.model_id, frame.unit, int(not frame.uncounted)]
        yield [*head, frame.uncounted, *_cells(frame.values), "", sheet.notice]
    words = "; ".join(reference.words() for reference in sheet.references)
    for number, cine in enumerate(sheet.cines):
        head = ["cine", number, None, cine.epoch, sheet.model_id, cine.unit, cine.counted]
        yield [*head, "", *_cells(cine.values), words, sheet.notice]


def _cells(values: dict[str, Value] | dict[str, Robust]) -> Iterator[object]:
    for name in NAMES:
        value = values[name]
        yield from (value.value, value.confidence, value.withheld)
        yield from (value.low, value.high, value.frames) if isinstance(value, Robust) else (None, None, None)


def _plain(cell: object) -> str:
    return "" if cell is None else f"{cell:g}" if isinstance(cell, float) else str(cell)
