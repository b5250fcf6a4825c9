"""What lies on a reader's desk: the cases of one session, over the study's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge3vt.clinic.reference import differing
from edge3vt.clinic.study import (
    SCHEMA,
    Case,
    Reading,
    Session,
    Study,
    days_between,
    given_of,
    picture_of,
    read_reading,
    read_study,
    reading_path,
    write_reading,
)
from edge3vt.core.clock import wall_label
from edge3vt.core.errors import DataError
from edge3vt.viewer.drawing import Contour, Drawing, check


class StudyDesk:
    """A session of one reader, as ``viewer.reading.Desk`` asks for it. Raises DataError for one that may not begin."""

    def __init__(
        self, folder: Path, reader: str, number: int | None = None, now: Callable[[], str] = wall_label
    ) -> None:
        self.folder, self.study, self._now = folder, read_study(folder), now
        self.session = due(folder, self.study, reader, number, now())
        self._with_ai = frozenset(self.session.with_ai)

    @property
    def title(self) -> str:
        """Of the study, and whose session it is; not of the arm."""
        return f"{self.study.title}: {self.session.reader}, session {self.session.number}"

    @property
    def structures(self) -> tuple[str, ...]:
        return self.study.structures

    @property
    def cases(self) -> tuple[str, ...]:
        return self.session.cases

    def picture(self, case: str) -> bytes:
        return picture_of(self.folder, self._own(case))

    def given(self, case: str) -> tuple[Contour, ...] | None:
        own = self._own(case)
        return given_of(self.folder, own.id) if case in self._with_ai else None

    def saved(self, case: str) -> Drawing | None:
        path = self._path(case)
        return read_reading(path).drawing if path.is_file() else None

    def save(self, case: str, drawing: Drawing) -> None:
        own = self._own(case)
        check(drawing, self.study.structures, own.width, own.height)
        session = self.session
        reading = Reading(SCHEMA, self.study.id, session.reader, session.number, case, self._now(), True, drawing)
        write_reading(self.folder, reading)

    def _own(self, case: str) -> Case:
        if case not in self.session.cases:
            raise DataError(f"{case[:60]!r} is no case of this session")
        return self.study.case(case)

    def _path(self, case: str) -> Path:
        return reading_path(self.folder, self.session.reader, self.session.number, self._own(case).id)


def due(folder: Path, study: Study, reader: str, number: int | None, today: str) -> Session:
    """The session that a reader may read now: ``number``, or the first that is not done.

    Raises DataError for a second one before the wash-out is over, and for the adjudicator before both experts are done.
    """
    if reader in study.of("adjudicator"):
        return adjudication(folder, study)
    own = [session for session in study.sessions if session.reader == reader]
    if number is None:
        number = next((session.number for session in own if not _done(folder, session)), own[-1].number if own else 1)
    session = study.session(reader, number)
    for earlier in own:
        if earlier.number < number:
            left = [case for case in earlier.cases if not _is_done(folder, earlier, case)]
            if left:
                raise DataError(
                    f"{reader}: {len(left)} cases of session {earlier.number} are not done; finish it first"
                )
            last = max(_saved(folder, earlier, case) for case in earlier.cases)
            begun = [_saved(folder, session, case) for case in session.cases if _path(folder, session, case).is_file()]
            days = days_between(last, min([today, *begun]))
            if days < study.wash_out_days:
                raise DataError(
                    f"{reader}: session {earlier.number} ended {days} days ago, and the wash-out takes "
                    f"{study.wash_out_days}; come back in {study.wash_out_days - days} days"
                )
    return session


def adjudication(folder: Path, study: Study) -> Session:
    """The adjudicator's session: where the experts differ. Raises DataError before both are done."""
    cases = tuple(case for case, names in differing(folder, study).items() if names)
    return Session(study.of("adjudicator")[0], 1, cases, ())


def _path(folder: Path, session: Session, case: str) -> Path:
    return reading_path(folder, session.reader, session.number, case)


def _done(folder: Path, session: Session) -> bool:
    return all(_is_done(folder, session, case) for case in session.cases)


def _is_done(folder: Path, session: Session, case: str) -> bool:
    path = _path(folder, session, case)
    return path.is_file() and read_reading(path).drawing.done


def _saved(folder: Path, session: Session, case: str) -> str:
    return read_reading(_path(folder, session, case)).saved
