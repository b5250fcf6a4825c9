"""LabelMe: a JSON document a picture, which holds the picture or names it, and the shapes drawn on it.

https://github.com/wkentaro/labelme, versions 3 to 5. A pixel belongs to a shape when its centre lies inside
(``shape.py``); a shape lies over those before it. A label is the name of a class, or is listed in the class map.

LabelMe names a document as its picture. Where all documents of a folder have such a picture beside them, the pictures
of that folder without a document are unlabelled items.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge3vt.core.anatomy import MAX_CLASSES
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.data.importers.image import decoded_luma, files_under, is_turned, read_luma
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.raw import Job, Raw
from edge3vt.data.importers.rest import WITHOUT_PICTURES
from edge3vt.data.importers.shape import Inside, Points, circle, polygon, rectangle
from edge3vt.picture.clip import file_size
from edge3vt.picture.images import SUFFIXES, decoded_image

MAX_BYTES = 64 << 20
MAX_POINTS = 100_000  # of all shapes of a picture; our own choice
FARTHEST_PX = 1e6
_NO_AREA = ("line", "linestrip", "point", "points")


@dataclass(frozen=True, slots=True)
class Document(Job):
    """files: the JSON and the pictures of its name, or a picture without one.

    labels: None to number the document's own labels in the order of the alphabet.
    """

    root: Path = Path()
    labels: LabelMap | None = None

    @property
    def bare(self) -> bool:
        """Whether it is a picture without a document."""
        return self.files[0].suffix.lower() in SUFFIXES


def find(root: Path, labels: LabelMap | None = None) -> list[Document]:
    """A job for each JSON document at and under ``root``, and each picture without one that is unlabelled.

    Raises DataError where there are no documents.
    """
    if not root.exists():
        raise DataError(f"{root}: is not there; check the path")
    folder = root if root.is_dir() else root.parent
    paths = files_under(root, [".json"]) if root.is_dir() else [root]
    documents = [path for path in paths if path.name not in WITHOUT_PICTURES]
    if not documents:
        raise DataError(f"{root}: holds no LabelMe documents, expected .json files; check the path")
    pictures: dict[Path, list[Path]] = {}  # by their paths without suffix
    for path in files_under(folder, SUFFIXES):
        pictures.setdefault(path.with_suffix(""), []).append(path)
    files = [(path, *pictures.pop(path.with_suffix(""), ())) for path in documents]
    if root.is_dir():
        other = {each[0].parent for each in files if len(each) == 1}  # there a picture may belong to any document
        named = {each[0].parent for each in files} - other
        files += [(path,) for bare in pictures.values() for path in bare if path.parent in named]
    return [Document(each, each[0].relative_to(folder).as_posix(), root=folder, labels=labels) for each in files]


def names(job: Document) -> list[str]:
    """The labels of a document, sorted. Raises DataError."""
    if job.bare:
        return []
    return sorted({_label(shape, job) for shape in _shapes(_parsed(job), job)})


def read(job: Document) -> Iterator[Raw]:
    """The one picture of a job. Raises DataError."""
    if job.bare:
        yield Raw(_upright(job.files[0]))
        return
    document = _parsed(job)
    picture = _picture(document, job)
    height, width = picture.shape
    for key, size in (("imageHeight", height), ("imageWidth", width)):
        if document.get(key) not in (None, size):
            raise DataError(f"{job}: its {key} is not the {size} px of its picture; label the picture again")
    shapes = _shapes(document, job)
    labels = job.labels or _own(shapes, job)
    if sum(len(shape["points"]) for shape in shapes if isinstance(shape.get("points"), list)) > MAX_POINTS:
        raise DataError(f"{job}: more than {MAX_POINTS} points; draw its outlines with fewer")
    mask: Mask = np.zeros((height, width), np.uint8)
    for shape in shapes:
        try:
            index = labels.index_of(_label(shape, job))
        except DataError as error:
            raise DataError(f"{job}: {error}") from error
        if index:
            mask[_inside(shape, height, width, job)] = index
    yield Raw(picture, mask)


def _parsed(job: Document) -> dict[str, Any]:
    path = job.files[0]
    if file_size(path) > MAX_BYTES:
        raise DataError(f"{path}: larger than {MAX_BYTES >> 20} MiB; save it without the picture's data")
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON, or damaged; save it again in LabelMe, or leave it out") from error
    if not isinstance(document, dict) or not isinstance(document.get("shapes"), list):
        raise DataError(f"{path}: no LabelMe document, expected a list 'shapes'; leave it out")
    return document


def _shapes(document: dict[str, Any], job: Document) -> list[dict[str, Any]]:
    shapes: list[Any] = document["shapes"]
    if not all(isinstance(shape, dict) for shape in shapes):
        raise DataError(f"{job}: a shape that is no object; save it again in LabelMe")
    return shapes


def _label(shape: dict[str, Any], job: Document) -> str:
    label = shape.get("label")
    if not isinstance(label, str) or not 1 <= len(label) <= 100 or not label.isprintable():
        raise DataError(f"{job}: a shape without a name for its label, expected 1 to 100 printable letters")
    return label


def _own(shapes: list[dict[str, Any]], job: Document) -> LabelMap:
    found = sorted({_label(shape, job) for shape in shapes} - {"background"})
    if len(found) >= MAX_CLASSES:
        raise DataError(f"{job}: {len(found)} labels, expected at most {MAX_CLASSES - 1}; merge some in a class map")
    return LabelMap(1, ("background", *(found or ["nothing"])))


def _picture(document: dict[str, Any], job: Document) -> Pixels:
    data, name = document.get("imageData"), document.get("imagePath")
    if data is not None:
        return decoded_luma(_decoded(data, "imageData", job), f"{job}: its imageData")
    if not isinstance(name, str) or not name or "\0" in name or len(name) > 1000:
        raise DataError(f"{job}: neither imageData nor an imagePath; save it again in LabelMe")
    path = job.files[0].parent / name.replace("\\", "/")
    try:
        inside = path.resolve().is_relative_to(job.root.resolve())
    except (OSError, RuntimeError) as error:
        raise DataError(f"{job}: its imagePath cannot be followed; put the picture beside it") from error
    if not inside:
        raise DataError(f"{job}: its imagePath leads out of {job.root}; put the picture beside the document")
    return _upright(path)


def _upright(path: Path) -> Pixels:
    """A picture that LabelMe shows as it is stored."""
    picture = read_luma(path)
    if is_turned(path):
        raise DataError(
            f"{path}: its EXIF turns it, which LabelMe does and others do not; save it upright, without EXIF"
        )
    return picture


def _decoded(text: object, key: str, job: Document) -> bytes:
    if not isinstance(text, str):
        raise DataError(f"{job}: its {key} is no text, expected a picture in base64; save it again in LabelMe")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{job}: its {key} is no base64; save it again in LabelMe") from error


def _inside(shape: dict[str, Any], height: int, width: int, job: Document) -> Inside:
    """(H, W): where a shape is."""
    points, kind = _points(shape, job), shape.get("shape_type") or "polygon"
    match kind, len(points):
        case "polygon" | "oriented_rectangle", count if count >= 3:
            return polygon(points, height, width)
        case "rectangle", 2:
            return rectangle(points[0], points[1], height, width)
        case "rectangle", 4:
            return polygon(points, height, width)
        case "circle", 2:
            return circle(points[0], points[1], height, width)
        case "mask", 2:
            return _pasted(shape, points, height, width, job)
    if kind in _NO_AREA:
        raise DataError(f"{job}: a {kind} has no area; draw a polygon, or make its label 'background' in a class map")
    known = kind if kind in ("polygon", "rectangle", "oriented_rectangle", "circle", "mask") else None
    what = f"a {known} of {len(points)} points" if known else "a shape of a kind that is not known"
    raise DataError(f"{job}: {what}; draw it again in LabelMe")


def _points(shape: dict[str, Any], job: Document) -> Points:
    points = shape.get("points")
    if not isinstance(points, list) or not all(_is_point(point) for point in points):
        raise DataError(f"{job}: a shape whose points are no pairs of numbers; draw it again in LabelMe")
    return np.array(points, np.float64).reshape(-1, 2)


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(type(value) in (int, float) and -FARTHEST_PX <= value <= FARTHEST_PX for value in point)
    )


def _pasted(shape: dict[str, Any], points: Points, height: int, width: int, job: Document) -> Inside:
    """A shape that is itself a mask, between two corners that both belong to it."""
    drawn = decoded_image(_decoded(shape.get("mask"), "mask", job), f"{job}: its mask")
    (x0, y0), (x1, y1) = np.trunc(points).astype(int).tolist()
    if drawn.shape != (y1 - y0 + 1, x1 - x0 + 1) or not (0 <= x0 <= x1 < width and 0 <= y0 <= y1 < height):
        raise DataError(f"{job}: a mask that does not fit its corners or the picture; draw it again in LabelMe")
    inside = np.zeros((height, width), bool)
    inside[y0 : y1 + 1, x0 : x1 + 1] = drawn > 0
    return inside
