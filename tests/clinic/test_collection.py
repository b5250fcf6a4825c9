"""Everything that can be wrong with readings, one line each, and nothing lost."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from edge3vt.clinic.collection import Collection, collect
from edge3vt.clinic.desk import StudyDesk
from edge3vt.clinic.labelme import hand_out
from edge3vt.clinic.study import read_study, reading_path
from edge3vt.picture.images import read_image, write_image
from tests.clinic.planning import FIRST


def kinds(found: Collection) -> list[str]:
    return [problem.kind for problem in found.problems]


def files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.json")}


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_whole_study_is_complete(whole: Path) -> None:
    found = collect(whole)
    assert found.problems == ()
    assert found.done == found.wanted >= 2 * 2 * 6 + 2 * 6


def test_a_study_that_was_just_planned_lacks_everything(study: Path) -> None:
    found = collect(study)
    assert (found.done, found.wanted) == (0, 36)
    assert kinds(found) == ["missing"] * 7
    assert str(found.problems[0]).startswith("missing: ann, session 1: 6 of 6 cases (")


def test_every_fault_has_a_line_and_no_file_is_touched(read: Path) -> None:
    study = read_study(read)
    ids = [case.id for case in study.cases]
    home = [reading_path(read, "ann", 1, id) for id in ids] + [reading_path(read, "ann", 2, id) for id in ids[:2]]
    home[0].unlink()  # missing
    changed(home[1], study="0" * 16)  # foreign: of another study
    changed(home[2], reader="zoe")  # foreign: of nobody
    shutil.copy(home[3], home[3].with_name(f"{ids[3]} (1).json"))  # double
    home[4].write_text(home[4].read_text()[:100])  # damaged: cut off
    document = json.loads(home[5].read_text())
    bow = [[10, 10], [30, 30], [30, 10], [10, 30]]
    document["drawing"]["contours"][0]["points"] = bow  # crosses itself
    home[5].write_text(json.dumps(document))
    document = json.loads(home[6].read_text())
    document["drawing"]["contours"][0]["points"] = [[0, 0], [400, 0], [400, 400]]  # of another, larger picture
    home[6].write_text(json.dumps(document))
    document = json.loads(home[7].read_text())
    document["drawing"]["done"] = False  # unfinished
    home[7].write_text(json.dumps(document))
    (read / "readings" / "notes.txt").write_text("mine")
    for id in ids:
        changed(reading_path(read, "ben", 2, id), saved="2026-01-20T09:00:00+00:00")  # early
    gone = ", ".join(case for case in study.session("ann", 1).cases if case != ids[3])
    before = files(read)
    found = collect(read)
    text = "\n".join(str(problem) for problem in found.problems)
    assert files(read) == before
    for words in (
        f"missing: ann, session 1: 5 of 6 cases ({gone})",
        f"missing: ann, session 2: 1 of 6 cases ({ids[0]})",
        f"{home[1]}: a reading of another study",
        f"{home[2]}: 'zoe' is no reader of this study",
        f"(1).json: a reading of {ids[3]} by ann, session 1, which belongs into {home[3]}",
        f"damaged: {home[4]}: not JSON",
        f"damaged: {home[5]}: drawing: pulmonary_artery: the contour crosses itself",
        f"foreign: {home[6]}: pulmonary_artery: a point at (400.0, 0.0) lies outside the picture of 112x112",
        "unfinished: ann, session 2: 1 cases are begun",
        "damaged: " + str(read / "readings" / "notes.txt"),
        "early: ben: session 2 began 15 days after session 1 ended, expected 28",
    ):
        assert words in text, f"{words}\n\n{text}"
    assert len(found.problems) == 11
    assert all("\n" not in str(problem) for problem in found.problems)


def test_copies_of_the_study_are_taken_in_once(study: Path, whole: Path) -> None:
    found = collect(study, [whole])
    assert found.taken == found.done == found.wanted
    assert found.problems == ()
    again = collect(study, [whole])
    assert (again.taken, again.problems) == (0, ())


def test_a_reading_that_is_done_is_never_replaced(read: Path, whole: Path) -> None:
    case = read_study(read).cases[0].id
    path = reading_path(read, "ann", 1, case)
    document = json.loads(path.read_text())
    document["drawing"]["seconds"] = 1.0
    path.write_text(json.dumps(document))
    kept = path.read_bytes()
    found = collect(read, [whole])
    assert kinds(found) == ["double"]
    assert "which is kept; decide which one counts" in found.problems[0].what
    assert path.read_bytes() == kept


def test_one_that_is_begun_gives_way_to_one_saved_later(read: Path, whole: Path) -> None:
    case = read_study(read).cases[0].id
    path = reading_path(read, "ann", 1, case)
    document = json.loads(path.read_text())
    document["drawing"]["done"], document["saved"] = False, "2026-01-04T09:00:00+00:00"
    path.write_text(json.dumps(document))
    found = collect(read, [whole])
    assert (found.taken, found.problems) == (1, ())


def test_a_session_drawn_in_labelme_comes_back(study: Path, tmp_path: Path) -> None:
    desk = StudyDesk(study, "ann", now=lambda: FIRST)
    out = tmp_path / "ann-1"
    assert hand_out(desk, out) == 6
    assert (out / "labels.txt").read_text().split() == list(desk.structures)
    documents = sorted(path for path in out.glob("*.json") if path.name != "session.json")
    assert [path.stem.split("-")[1] for path in documents] == list(desk.cases)
    square = [[10, 10], [30, 10], [30, 30], [10, 30]]
    for place, path in enumerate(documents):
        document = json.loads(path.read_text())
        assert bool(document["shapes"]) == (desk.given(desk.cases[place]) is not None)
        document["flags"]["done"] = True
        if not document["shapes"]:
            document["shapes"] = [{"label": "trachea", "points": square, "shape_type": "polygon"}]
        path.write_text(json.dumps(document))
    spoilt = [json.loads(path.read_text()) for path in documents]
    spoilt[0]["flags"]["done"] = False
    spoilt[1]["shapes"] = [{"label": "trachea", "points": square[:2], "shape_type": "rectangle"}]
    spoilt[2]["imageWidth"] = 512
    spoilt[3]["shapes"] = [{"label": "trachea", "points": [square[i] for i in (0, 2, 1, 3)], "shape_type": "polygon"}]
    for path, document in zip(documents, spoilt, strict=True):
        path.write_text(json.dumps(document))
    picture = documents[4].with_suffix(".png")
    write_image(picture, read_image(picture)[:50])
    before = files(out)
    found = collect(study, [out])
    assert files(out) == before
    assert found.taken == 1
    lines = [str(problem) for problem in found.problems if problem.where.startswith(str(out))]
    for line, words in zip(
        lines,
        (
            "not marked done",
            "a rectangle in place of a polygon",
            "its imageWidth is not the 112 px of its picture",
            "the contour crosses itself",
            "not the picture that was handed out",
        ),
        strict=True,
    ):
        assert words in line, line
    drawing = StudyDesk(study, "ann", now=lambda: FIRST).saved(desk.cases[5])
    assert drawing is not None
    assert drawing.done
    assert {contour.structure for contour in drawing.contours} | set(drawing.not_seen) == set(desk.structures)


def test_what_was_drawn_so_far_goes_along_to_labelme(read: Path, tmp_path: Path) -> None:
    desk = StudyDesk(read, "ann", 1, now=lambda: FIRST)
    hand_out(desk, tmp_path / "out")
    found = collect(read, [tmp_path / "out"])
    assert set(kinds(found)) <= {"double"}  # the times differ, the contours do not
