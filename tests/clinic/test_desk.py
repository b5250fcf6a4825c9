"""A reader's desk: the right pictures, saved whole, and no second session too early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge3vt.clinic.desk import StudyDesk
from edge3vt.clinic.study import days_between, read_reading, reading_files, reading_path
from edge3vt.core.errors import DataError
from edge3vt.data.dataset import Dataset
from edge3vt.viewer.drawing import Contour, Drawing
from edge3vt.viewer.reading import Desk
from tests.clinic.planning import FIRST, SECOND, STRUCTURES

SQUARE = ((10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0))
DONE = Drawing((Contour("trachea", SQUARE),), 12.5, True, STRUCTURES[:3])


def test_a_desk_is_what_the_reading_page_asks_for(study: Path) -> None:
    desk: Desk = StudyDesk(study, "ann", now=lambda: FIRST)
    assert desk.structures == STRUCTURES
    assert len(desk.cases) == 6
    given = [desk.given(case) for case in desk.cases]
    assert sum(each is not None for each in given) == 3
    assert desk.picture(desk.cases[0]).startswith(b"\x89PNG")
    assert desk.saved(desk.cases[0]) is None
    begun = Drawing((Contour("trachea", SQUARE),), 3.0, False)
    for drawing in (begun, DONE):
        desk.save(desk.cases[0], drawing)
        assert StudyDesk(study, "ann", now=lambda: FIRST).saved(desk.cases[0]) == drawing
    assert "session 1" in desk.title


def test_what_does_not_fit_is_not_saved(study: Path) -> None:
    desk = StudyDesk(study, "ann", now=lambda: FIRST)
    outside = Drawing((Contour("trachea", ((0.0, 0.0), (500.0, 0.0), (0.0, 500.0))),), 1.0, False)
    with pytest.raises(DataError, match="outside the picture"):
        desk.save(desk.cases[0], outside)
    for call in (desk.picture, desk.given, desk.saved):
        with pytest.raises(DataError, match="no case of this session"):
            call("../key")
    assert not list(reading_files(study))


def test_the_second_session_waits_for_the_first_and_for_the_wash_out(study: Path) -> None:
    with pytest.raises(DataError, match="6 cases of session 1 are not done"):
        StudyDesk(study, "ann", 2, now=lambda: SECOND)
    desk = StudyDesk(study, "ann", now=lambda: FIRST)
    for case in desk.cases:
        desk.save(case, DONE)
    with pytest.raises(DataError, match="ended 27 days ago, and the wash-out takes 28; come back in 1 days"):
        StudyDesk(study, "ann", now=lambda: "2026-02-01T23:00:00+00:00")
    assert StudyDesk(study, "ann", now=lambda: "2026-02-02T00:00:00+00:00").session.number == 2
    with pytest.raises(DataError, match="is no reader of this study; known: ann, ben, eva, finn, gil"):
        StudyDesk(study, "zoe")
    with pytest.raises(DataError, match="has no session 3; planned: 1, 2"):
        StudyDesk(study, "ann", 3)


def test_the_adjudicator_gets_what_the_experts_differ_over(study: Path, painted: Dataset) -> None:
    with pytest.raises(DataError, match="eva has not read this case"):
        StudyDesk(study, "gil")
    for expert, last in (("eva", STRUCTURES[:3]), ("finn", STRUCTURES[:3])):
        desk = StudyDesk(study, expert, now=lambda: FIRST)
        for case in sorted(desk.cases):
            desk.save(case, Drawing((Contour("trachea", SQUARE),), 1.0, True, last))
    assert StudyDesk(study, "gil").cases == ()
    desk = StudyDesk(study, "finn", now=lambda: FIRST)
    moved = tuple((x + 15, y) for x, y in SQUARE)
    desk.save(desk.cases[0], Drawing((Contour("trachea", moved),), 1.0, True, STRUCTURES[:3]))
    adjudicator = StudyDesk(study, "gil", now=lambda: FIRST)
    assert adjudicator.cases == (desk.cases[0],)
    assert adjudicator.given(desk.cases[0]) is None


def test_a_whole_study_is_read_in_order(whole: Path) -> None:
    saved = [read_reading(path) for path in reading_files(whole)]
    assert {reading.saved for reading in saved} == {FIRST, SECOND}
    assert len([reading for reading in saved if reading.reader == "ann"]) == 12


def test_a_kill_while_saving_leaves_the_last_whole_reading(study: Path) -> None:
    desk = StudyDesk(study, "ann", now=lambda: FIRST)
    case = desk.cases[0]
    desk.save(case, DONE)
    script = f"""
import itertools
from pathlib import Path
from edge3vt.clinic.desk import StudyDesk
from edge3vt.viewer.drawing import Contour, Drawing
desk = StudyDesk(Path({str(study)!r}), "ann")
for number in itertools.count():
    points = tuple((float(10 + i % 40), 10.0 + number % 7) for i in range(60))
    desk.save({case!r}, Drawing((Contour("trachea", points),), float(number), False))
    print(number, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = -1
        while told < 20:
            told = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read().split()
    told = max([told, *(int(word) for word in rest if word.isdigit())])
    reading = read_reading(reading_path(study, "ann", 1, case))
    assert reading.drawing.seconds >= told  # what was said to be saved is there
    assert len(list(reading_files(study))) == 1


def test_days_are_of_the_calendar() -> None:
    assert days_between("2026-01-31T23:59:00+00:00", "2026-02-01T00:01:00+00:00") == 1
    with pytest.raises(DataError, match="is no date"):
        days_between("yesterday", FIRST)
