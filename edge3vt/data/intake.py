"""One file of an import, in the child: read, blanked outside the region, its patient renamed, written.

An item's id is a hash of its files' content, of prepared formats together with their place in the source. A patient is
a keyed hash (``pseudonym.py``) of what a DICOM header says, else of what the user groups by. Names of files may tell of
a patient, so a data set holds them only where the user asks for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path, PurePosixPath

import numpy as np

from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Pixels, Region
from edge3vt.data.dataset import VOUCHED, Item, Split
from edge3vt.data.importers.kind import Format
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.raw import Job, Raw
from edge3vt.data.patients import DOUBTED, PLACEHOLDERS
from edge3vt.data.pseudonym import pseudonym
from edge3vt.data.writer import Unwritable, write_item

SCREENS = ("dicom", "video")  # what a scanner exports: the same content twice is one item, and there are cines
AnyJob = Path | Job
WAYS = "file, folder, folder:N or pattern:REGEX"
_WAYS = re.compile(r"file|folder(:[1-9][0-9]?)?|pattern:.+", re.DOTALL)
_NO_REGION = (
    "of no region, and text around the picture may name the patient; give the picture's place with --region "
    "X0,Y0,X1,Y1, add --keep-outside, or write blanked = true into the class map where nothing stands outside"
)


@dataclass(frozen=True, slots=True)
class Request:
    """What to import, and how.

    patient_from: "file", "folder" (the innermost), "folder:N" (the N-th below the source) or "pattern:REGEX", for what
    no header names a patient of; ignore_header: for everything, as where all headers hold one placeholder. region: of
    files that tell of none, and of others what is kept of theirs. keep_outside: do not blank what lies outside the
    region. every: of a cine, each n-th picture. keep_names: let the data set tell the names of the files.
    """

    source: Path
    format: Format
    labels: LabelMap | None = None
    patient_from: str | None = None
    ignore_header: bool = False
    region: Region | None = None
    keep_outside: bool = False
    every: int = 1
    keep_names: bool = False

    def __post_init__(self) -> None:
        way = self.patient_from or "file"
        if not _WAYS.fullmatch(way):
            raise ConfigError(f"patient from '{way}': expected {WAYS}")
        try:
            re.compile(way.removeprefix("pattern:"))
        except re.error as error:
            raise ConfigError(f"patient from '{self.patient_from}': no regular expression ({error})") from error
        if self.ignore_header and self.patient_from is None:
            raise ConfigError("without the header, nothing tells of a patient; add --patient-from")
        if self.ignore_header and self.format != "dicom":
            raise ConfigError(f"{self.format} files have no header that names a patient; leave out --ignore-header")
        if self.every > 1 and self.format not in SCREENS:
            raise ConfigError(f"{self.format} files hold no cines; leave out --every")
        if self.every < 1:
            raise ConfigError(f"every {self.every}: expected 1 or more")
        if self.region is not None and min(self.region.width, self.region.height) < 1:
            raise ConfigError(f"region {self.region}: it is empty; expected x0,y0,x1,y1 with x1 > x0 and y1 > y0")
        if self.format == "pictures" and self.labels is None:
            raise ConfigError(
                "pictures need a class map, written as docs/usgra-seg.toml is; add --classes MAP.toml, and "
                f"--patient-from {WAYS}"
            )
        if self.format != "dicom" and self.region is None and not self.whole:
            raise ConfigError(f"{self.format} files tell {_NO_REGION}")

    @property
    def whole(self) -> bool:
        """Whether a picture without a region is taken as it is: on the user's word, nothing there names a patient."""
        return self.keep_outside or (self.labels is not None and self.labels.blanked)


@dataclass(frozen=True, slots=True)
class Task:
    """One job for a child, with all that it needs; ``group`` stands for the patient where the file names none."""

    job: AnyJob
    id: str
    source: str
    group: str | None
    split: Split | None
    folder: Path
    classes: tuple[str, ...]
    key: bytes = field(repr=False)
    request: Request

    def __str__(self) -> str:
        return str(self.job)


def task_of(job: AnyJob, request: Request, out: Path, classes: tuple[str, ...], key: bytes) -> Task:
    """Read a job's files through for its id. Raises DataError."""
    root = request.source if request.source.is_dir() else request.source.parent
    files, name = ((job,), job.relative_to(root).as_posix()) if isinstance(job, Path) else (job.files, job.name)
    digest = hashlib.sha256(b"" if request.format in SCREENS else name.encode("utf-8", "surrogateescape") + b"\0")
    for path in files:
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the file") from error
    whole = digest.hexdigest()
    group = _group(request.patient_from, name)
    split = None if isinstance(job, Path) else job.split
    source = _plain(name) if request.keep_names else f"sha256:{whole}"
    return Task(job, whole[:16], source, group, split, out, classes, key, request)


def written(task: Task) -> Iterator[Item | str]:
    """In the child: write the items of a job and give them back; a text says why the output cannot be written.

    Raises DataError for what is refused; what was written of it until then belongs to no item.
    """
    importer = import_module(f"edge3vt.data.importers.{task.request.format}")
    raw: Raw
    for raw in importer.read(task.job):
        if raw.frame is not None and raw.frame % task.request.every:
            continue
        picture, mask, region = _inside(raw, task)
        facts = dict(raw.facts)
        if region is not None:
            facts["region"] = f"{region.x0},{region.y0},{region.x1},{region.y1}"
        elif task.request.labels is not None and task.request.labels.blanked:
            facts |= [VOUCHED]
        if raw.patient_key is not None and raw.patient_key.partition("\0")[0] in PLACEHOLDERS:
            facts |= [DOUBTED]
        try:
            yield write_item(
                task.folder,
                task.classes,
                task.id if raw.frame is None else f"{task.id}-{raw.frame:05}",
                picture,
                mask,
                patient=_patient(raw, task),
                source=task.source,
                mm_per_px=raw.mm_per_px,
                split=task.split,
                cine=None if raw.frame is None else task.id,
                frame=raw.frame,
                facts=facts,
            )
        except Unwritable as error:
            yield str(error)
            return


def _group(patient_from: str | None, name: str) -> str | None:
    """What stands for the patient of a file whose place in the source is ``name``; None where nothing does."""
    way, _, which = (patient_from or "").partition(":")
    folder = PurePosixPath(name).parent
    match way:
        case "file":
            return f"file {name}"
        case "folder" if len(folder.parts) >= (depth := int(which or 0)):
            return f"folder {PurePosixPath(*folder.parts[: depth or None]).as_posix()}"
        case "pattern" if found := re.search(which, name):
            part = found[1] if found.re.groups else found[0]
            return f"pattern {part}" if part else None  # else one patient would be made of all that lack it
    return None


def _patient(raw: Raw, task: Task) -> str:
    if raw.patient_key is not None and not task.request.ignore_header:
        return pseudonym(task.key, f"header {raw.patient_key}")
    if task.group is None:
        missed = f", and '{way}' finds none in its path" if (way := task.request.patient_from) else ""
        raise DataError(
            f"{task}: names no patient{missed}; say what pictures of one patient share: --patient-from {WAYS}"
        )
    return pseudonym(task.key, task.group)


def _inside(raw: Raw, task: Task) -> tuple[Pixels, Pixels | None, Region | None]:
    """Picture and mask with nothing left outside the region, and the region; None where it is everything."""
    request = task.request
    region, (height, width) = _shared(raw.region, request.region), raw.picture.shape
    if region is None:
        if not request.whole:
            raise DataError(f"{task}: tells {_NO_REGION}")
        return raw.picture, raw.mask, None
    region = region.clipped(width, height)
    if min(region.width, region.height) < 1:
        what = "ultrasound region" if raw.region else f"{width}x{height} px"
        raise DataError(f"{task}: the region lies outside its {what}; correct --region")
    if request.keep_outside:
        return raw.picture, raw.mask, region
    rows, columns = slice(region.y0, region.y1), slice(region.x0, region.x1)
    kept: list[Pixels] = []
    for pixels in (raw.picture, raw.mask):
        if pixels is not None:
            blank = np.zeros_like(pixels)
            blank[rows, columns] = pixels[rows, columns]
            kept.append(blank)
    return kept[0], kept[1] if len(kept) > 1 else None, region


def _shared(told: Region | None, asked: Region | None) -> Region | None:
    """The part of the region that a file tells of which the user asks for."""
    if told is None or asked is None:
        return told or asked
    return Region(max(told.x0, asked.x0), max(told.y0, asked.y0), min(told.x1, asked.x1), min(told.y1, asked.y1))


def _plain(name: str) -> str:
    """A name without what is no Unicode in it."""
    return name.encode("utf-8", "replace").decode()
