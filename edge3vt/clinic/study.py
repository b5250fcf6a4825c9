"""A reader study: a folder of documents, blinded pictures and readings.

STUDY/study.json          who reads what, in which order and arm
STUDY/pictures/CASE.png   blinded pictures
STUDY/given/CASE.json     the contours that readers with the AI start from
STUDY/readings/READER/SESSION/CASE.json
STUDY/secret/key.json     which picture of which patient a case is, and where wrong contours were planted
STUDY/secret/ai/CASE.png  the AI's own masks

Everything but ``secret`` may go to readers: copy the folder without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edge3vt.core.anatomy import ClassMap
from edge3vt.core.digest import read_verified
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.viewer.drawing import Contour, Drawing

SCHEMA = 1
STUDY, PICTURES, GIVEN, READINGS, SECRET, KEY, AI = (
    "study.json",
    "pictures",
    "given",
    "readings",
    "secret",
    "key.json",
    "ai",
)
WASH_OUT_DAYS = 28
Role = Literal["reader", "expert", "adjudicator"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Person:
    """Readers draw each picture alone and with the AI; experts once, alone; the adjudicator where these differ."""

    name: str
    role: Role

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"the reader {self.name[:60]!r}: expected up to 40 letters, digits, _ and -")


@dataclass(frozen=True, slots=True)
class Case:
    """A blinded picture."""

    id: str
    picture_sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Session:
    """A sitting of one reader. cases: in reading order; with_ai: those that start from the AI's contours."""

    reader: str
    number: int
    cases: tuple[str, ...]
    with_ai: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """id: drawn with the plan; every reading names it. structures: what is drawn, of the set's classes.

    differ_below: the Dice under which experts differ over a structure, so that the adjudicator draws it.
    """

    schema: int
    id: str
    title: str
    made: str
    edge3vt: str
    classes: tuple[str, ...]
    structures: tuple[str, ...]
    people: tuple[Person, ...]
    wash_out_days: int
    differ_below: float
    cases: tuple[Case, ...]
    sessions: tuple[Session, ...]

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ConfigError(f"schema {self.schema} of the study is not known, expected {SCHEMA}; update edge3vt")
        ClassMap(SCHEMA, self.classes)
        if unknown := set(self.structures) - set(self.classes[1:]):
            raise ConfigError(f"the structure '{min(unknown)}' is no class of the study")
        if len({person.name for person in self.people}) != len(self.people):
            raise ConfigError("a reader stands twice; name each once")

    def of(self, role: Role) -> tuple[str, ...]:
        """The names in a role."""
        return tuple(person.name for person in self.people if person.role == role)

    def case(self, id: str) -> Case:
        """Raises DataError for a case of another study."""
        for case in self.cases:
            if case.id == id:
                return case
        raise DataError(f"{id[:60]!r} is no case of this study")

    def session(self, reader: str, number: int) -> Session:
        """Raises DataError for a reader or a session that is not planned."""
        own = [session for session in self.sessions if session.reader == reader]
        if not own:
            known = ", ".join(person.name for person in self.people)
            raise DataError(f"{reader[:60]!r} is no reader of this study; known: {known}")
        for session in own:
            if session.number == number:
                return session
        raise DataError(f"{reader} has no session {number}; planned: {', '.join(str(s.number) for s in own)}")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a case is. planted: the structure whose given contour is wrong on purpose, "" for none."""

    case: str
    item: str
    patient: str
    mm_per_px: float | None
    weeks: float | None
    variant: str | None
    planted: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """What readers must not see. set_sha256: of the data set's manifest; ai: the engine or the folder of masks."""

    schema: int
    study: str
    set: str
    set_sha256: str
    seed: int
    ai: str
    origins: tuple[Origin, ...]

    def of(self, case: str) -> Origin:
        return next(origin for origin in self.origins if origin.case == case)


@dataclass(frozen=True, slots=True)
class Given:
    """The contours that a case starts from."""

    schema: int
    contours: tuple[Contour, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A drawing and whose it is. saved: when, UTC. timed: whether its seconds were taken (LabelMe takes none)."""

    schema: int
    study: str
    reader: str
    session: int
    case: str
    saved: str
    timed: bool
    drawing: Drawing

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ConfigError(f"schema {self.schema} of the reading is not known, expected {SCHEMA}; update edge3vt")


def read_study(folder: Path) -> Study:
    """Raises ConfigError or DataError."""
    if not (folder / STUDY).is_file():
        raise DataError(f"{folder}: no study (no {STUDY}); check the path, or make one with edge3vt study plan")
    return read_json(Study, folder / STUDY)


def read_key(folder: Path, study: Study) -> Key:
    """Raises ConfigError, and DataError where it was left out of this copy or belongs to another study."""
    path = folder / SECRET / KEY
    if not path.is_file():
        raise DataError(f"{path}: no such file; only where the study was planned can it be reported")
    key = read_json(Key, path)
    if key.study != study.id or {origin.case for origin in key.origins} != {case.id for case in study.cases}:
        raise DataError(f"{path}: the key of another study; put back the one that was made with it")
    return key


def picture_of(folder: Path, case: Case) -> bytes:
    """The PNG file of a case. Raises ArtifactError where it is not what was planned."""
    return read_verified(folder / PICTURES / f"{case.id}.png", case.picture_sha256, remedy="copy it from the plan")


def given_of(folder: Path, case: str) -> tuple[Contour, ...]:
    """The contours that a case starts from. Raises ConfigError."""
    return read_json(Given, folder / GIVEN / f"{case}.json").contours


def reading_path(folder: Path, reader: str, session: int, case: str) -> Path:
    return folder / READINGS / reader / str(session) / f"{case}.json"


def read_reading(path: Path) -> Reading:
    """Raises ConfigError or DataError."""
    return read_json(Reading, path)


def write_reading(folder: Path, reading: Reading) -> None:
    """Keep a reading, whole or not at all. Raises DataError where it cannot be written."""
    write_json(reading, reading_path(folder, reading.reader, reading.session, reading.case))


def reading_files(folder: Path) -> Iterator[Path]:
    """Every file under the readings, in order; what a kill left half-written is none."""
    root = folder / READINGS
    for path in sorted(root.rglob("*")) if root.is_dir() else ():
        if path.is_file() and not (path.name.startswith(".") and path.name.endswith(".part.json")):
            yield path


def days_between(earlier: str, later: str) -> int:
    """Calendar days between two labels of wall time: a wash-out is a matter of dates, not of clocks."""
    try:
        days = np.datetime64(later[:10], "D") - np.datetime64(earlier[:10], "D")
    except ValueError as error:
        raise DataError(f"'{earlier[:40]}' or '{later[:40]}' is no date, expected one like 2026-01-31") from error
    return int(days.astype(int))
