"""A reader's session as a folder for LabelMe, and back.

NNN-CASE.png and .json in reading order, and ``session.json``, which says whose it is. LabelMe shows the flag "done"
beside each picture: a reader ticks it when the case is done, and what is not drawn then is not seen.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge3vt.clinic.desk import StudyDesk
from edge3vt.clinic.study import SCHEMA, Reading, Study
from edge3vt.core.clock import wall_label
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import read_json, to_json
from edge3vt.core.errors import ConfigError, DataError, Edge3vtError
from edge3vt.data.exporters.labelme import VERSION
from edge3vt.data.importers.labelme import Document, read
from edge3vt.data.importers.labels import LabelMap
from edge3vt.viewer.drawing import Contour, Drawing, check

SESSION, LABELS, DONE = "session.json", "labels.txt", "done"
_FILE = re.compile(r"\d{3,}-([a-z]+)\.json")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Whose folder it is."""

    schema: int
    study: str
    reader: str
    session: int


def hand_out(desk: StudyDesk, out: Path) -> int:
    """Write the session's folder; returns the number of its pictures. What was drawn so far goes with it."""
    if out.exists():
        raise ConfigError(f"{out}: exists already; choose another name")
    partial = out.with_name(f".{out.name}.part")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        for place, id in enumerate(desk.cases, start=1):
            case, name = desk.study.case(id), f"{place:03d}-{id}"
            saved = desk.saved(id)
            contours = (desk.given(id) or ()) if saved is None else saved.contours
            document = _document(contours, f"{name}.png", case.width, case.height, saved is not None and saved.done)
            (partial / f"{name}.png").write_bytes(desk.picture(id))
            (partial / f"{name}.json").write_text(to_json(document), encoding="utf-8")
        (partial / LABELS).write_text("".join(f"{name}\n" for name in desk.structures), encoding="utf-8")
        sheet = Sheet(SCHEMA, desk.study.id, desk.session.reader, desk.session.number)
        (partial / SESSION).write_text(to_json(sheet), encoding="utf-8")
        partial.replace(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error}); choose another output") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(desk.cases)


def take_in(folder: Path, study: Study) -> Iterator[tuple[Path, Reading | str]]:
    """Each document of a session's folder with its reading, or with what is wrong with it."""
    sheet = read_json(Sheet, folder / SESSION)
    for path in sorted(folder.glob("*.json")):
        if path.name == SESSION:
            continue
        try:
            yield path, _reading(path, sheet, study)
        except Edge3vtError as error:
            text = str(error)
            yield path, text if text.startswith(str(path)) else f"{path}: {text}"


def _document(contours: tuple[Contour, ...], picture: str, width: int, height: int, done: bool) -> dict[str, object]:
    return {
        "version": VERSION,
        "flags": {DONE: done},
        "shapes": [
            {
                "label": contour.structure,
                "points": [list(point) for point in contour.points],
                "group_id": None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for contour in contours
        ],
        "imagePath": picture,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _reading(path: Path, sheet: Sheet, study: Study) -> Reading:
    """Raises DataError or ConfigError for one that is not of this study, not sound or not done."""
    if sheet.study != study.id:
        raise DataError("a reading of another study; leave it out")
    named = _FILE.fullmatch(path.name)
    if named is None:
        raise DataError("a file that was not handed out; leave it out")
    case = study.case(named[1])
    picture = path.with_suffix(".png")
    if not picture.is_file() or sha256_file(picture) != case.picture_sha256:
        raise DataError(f"{picture}: not the picture that was handed out; put that back")
    job = Document((path, picture), path.name, root=path.parent, labels=LabelMap(1, study.classes))
    (raw,) = read(job)  # refuses what is no LabelMe, of another size, or has unknown labels
    if raw.picture.shape != (case.height, case.width):
        height, width = raw.picture.shape
        raise DataError(f"drawn on a picture of {width}x{height} px, expected {case.width}x{case.height}")
    document = json.loads(path.read_bytes())
    flags = document.get("flags")
    if not (isinstance(flags, dict) and flags.get(DONE) is True):
        raise DataError("not marked done; tick its flag in LabelMe")
    contours = []
    for shape in document["shapes"]:
        kind = shape.get("shape_type") or "polygon"
        if kind != "polygon":
            raise DataError(f"a {kind} in place of a polygon; draw it as one")
        contours.append(Contour(str(shape["label"]), tuple((float(x), float(y)) for x, y in shape["points"])))
    drawn = {contour.structure for contour in contours}
    not_seen = tuple(name for name in study.structures if name not in drawn)
    drawing = Drawing(tuple(contours), 0.0, True, not_seen)
    check(drawing, study.structures, case.width, case.height)
    return Reading(SCHEMA, study.id, sheet.reader, sheet.session, case.id, wall_label(), False, drawing)
