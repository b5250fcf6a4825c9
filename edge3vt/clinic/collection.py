"""Readings brought together: what came in, and all that is missing, double, foreign or damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge3vt.clinic.desk import adjudication
from edge3vt.clinic.labelme import SESSION as SHEET
from edge3vt.clinic.labelme import take_in
from edge3vt.clinic.study import (
    READINGS,
    Reading,
    Session,
    Study,
    days_between,
    read_reading,
    read_study,
    reading_files,
    reading_path,
    write_reading,
)
from edge3vt.core.errors import DataError, Edge3vtError
from edge3vt.viewer.drawing import check

NAMED = 8  # cases in a line
Readings = dict[tuple[str, int, str], Reading]
"""By reader, session and case."""
Kind = Literal["missing", "unfinished", "double", "foreign", "damaged", "early"]


@dataclass(frozen=True, slots=True)
class Problem:
    """kind: early: a second session before the wash-out was over. cases: that it is of, where they are known."""

    kind: Kind
    where: str
    what: str
    cases: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = ", ".join(self.cases[:NAMED]) + (", …" if len(self.cases) > NAMED else "")
        return f"{self.kind}: {self.where}: {self.what}" + (f" ({named})" if self.kind == "missing" else "")


@dataclass(frozen=True, slots=True)
class Collection:
    """wanted, done: readings, without the adjudicator's while the experts are not done. taken: that came in now."""

    study: str
    wanted: int
    done: int
    taken: int
    problems: tuple[Problem, ...]


def collect(folder: Path, incoming: Sequence[Path] = ()) -> Collection:
    """Take in what other folders hold, copies of the study or sessions for LabelMe, and look at everything.

    Nothing is removed, and nothing that is done is replaced: what is refused stays where it is, with a problem.
    Raises DataError where the study or an incoming folder is none.
    """
    study = read_study(folder)
    problems: list[Problem] = []
    taken = 0
    for source in incoming:
        for path, coming in _coming(source, study):
            outcome = _take(folder, study, path, coming)
            if isinstance(outcome, Problem):
                problems.append(outcome)
            else:
                taken += outcome
    return look(folder, study, taken, problems)[0]


def look(folder: Path, study: Study, taken: int = 0, problems: Sequence[Problem] = ()) -> tuple[Collection, Readings]:
    """Everything that the study holds, with its problems after those told already, and the readings that are sound."""
    problems = list(problems)
    sound: Readings = {}
    for path in reading_files(folder):
        found = _read(path)
        if isinstance(found, Problem):
            problems.append(found)
        elif (problem := _misplaced(folder, study, path, found)) is not None:
            problems.append(problem)
        else:
            sound[found.reader, found.session, found.case] = found
    sessions = list(study.sessions)
    for session in study.sessions:
        problems += _lacking(session, sound)
    problems += _early(study, sound)
    if all(_whole(session, sound) for session in study.sessions if session.reader in study.of("expert")):
        sessions.append(adjudication(folder, study))
        problems += _lacking(sessions[-1], sound)
    else:
        who = study.of("adjudicator")[0]
        problems.append(Problem("missing", who, "what the experts differ over is not known before both are done"))
    wanted = {(session.reader, session.number, case) for session in sessions for case in session.cases}
    done = sum(key in wanted and reading.drawing.done for key, reading in sound.items())
    return Collection(study.id, len(wanted), done, taken, tuple(problems)), sound


def _coming(source: Path, study: Study) -> Iterator[tuple[Path, Reading | str]]:
    if (source / SHEET).is_file():
        yield from take_in(source, study)
    elif (source / READINGS).is_dir():
        for path in reading_files(source):
            found = _read(path)
            yield path, found.what if isinstance(found, Problem) else found
    else:
        raise DataError(f"{source}: neither a copy of the study nor a session for LabelMe ({SHEET}); check the path")


def _read(path: Path) -> Reading | Problem:
    try:
        if path.suffix != ".json":
            raise DataError("no reading, expected a .json file; take it out")
        return read_reading(path)
    except Edge3vtError as error:
        return Problem("damaged", str(path), _without(str(error), path))


def _take(folder: Path, study: Study, path: Path, found: Reading | str) -> Problem | int:
    """1 where a reading was taken in, 0 where it is there already."""
    if isinstance(found, str):
        return Problem("damaged", str(path), _without(found, path))
    wrong = _foreign(study, found)
    if wrong is not None:
        return Problem("foreign", str(path), wrong, (found.case,))
    target = reading_path(folder, found.reader, found.session, found.case)
    if target.exists():
        there = _read(target)
        if isinstance(there, Reading):
            if there.drawing == found.drawing:
                return 0
            if there.drawing.done or there.saved > found.saved:
                what = f"another reading than {target}, which is kept; decide which one counts, and remove the other"
                return Problem("double", str(path), what, (found.case,))
        else:
            return Problem("double", str(path), f"{target} is there and cannot be read; remove it first", (found.case,))
    write_reading(folder, found)
    return 1


def _foreign(study: Study, reading: Reading) -> str | None:
    """Why a reading is not of this study, or its drawing does not fit its case."""
    if reading.study != study.id:
        return "a reading of another study; take it out"
    try:
        if reading.reader in study.of("adjudicator"):
            if reading.session != 1:
                return f"{reading.reader} has no session {reading.session}"
        elif reading.case not in study.session(reading.reader, reading.session).cases:
            return f"{reading.case[:60]!r} is no case of {reading.reader}'s session {reading.session}"
        case = study.case(reading.case)
        check(reading.drawing, study.structures, case.width, case.height)
    except Edge3vtError as error:
        return str(error)
    return None


def _misplaced(folder: Path, study: Study, path: Path, reading: Reading) -> Problem | None:
    wrong = _foreign(study, reading)
    if wrong is not None:
        return Problem("foreign", str(path), wrong, (reading.case,))
    home = reading_path(folder, reading.reader, reading.session, reading.case)
    if path != home:
        kind: Kind = "double" if home.exists() else "foreign"
        what = f"a reading of {reading.case} by {reading.reader}, session {reading.session}, which belongs into {home}"
        return Problem(kind, str(path), what, (reading.case,))
    return None


def _lacking(session: Session, sound: Readings) -> Iterator[Problem]:
    """Missing cases of a session in one line, unfinished ones in another."""
    where = f"{session.reader}, session {session.number}"
    readings = {case: sound.get((session.reader, session.number, case)) for case in session.cases}
    missing = tuple(case for case, reading in readings.items() if reading is None)
    begun = tuple(case for case, reading in readings.items() if reading is not None and not reading.drawing.done)
    if missing:
        yield Problem("missing", where, f"{len(missing)} of {len(session.cases)} cases", missing)
    if begun:
        yield Problem("unfinished", where, f"{len(begun)} cases are begun and not done", begun)


def _whole(session: Session, sound: Readings) -> bool:
    return not list(_lacking(session, sound))


def _early(study: Study, sound: Readings) -> Iterator[Problem]:
    for reader in study.of("reader"):
        first, second = (
            [reading.saved for (who, number, _), reading in sound.items() if (who, number) == (reader, session)]
            for session in (1, 2)
        )
        if first and second:
            try:
                days = days_between(max(first), min(second))
            except DataError as error:
                yield Problem("damaged", reader, str(error))
                continue
            if days < study.wash_out_days:
                what = f"session 2 began {days} days after session 1 ended, expected {study.wash_out_days} or more"
                yield Problem("early", reader, what)


def _without(text: str, path: Path) -> str:
    """A message without the path that it begins with."""
    return text.removeprefix(f"{path}: ")
