"""The import: a user's folder becomes a data set. Every file is read in a child process; the parent keeps the books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import BackendMissingError, ConfigError, DataError
from edge3vt.data.decoder import Undecoded, decode_all
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.importers.rest import passed_over
from edge3vt.data.intake import Request, Task, task_of, written
from edge3vt.data.patients import Place, known
from edge3vt.data.swap import swap, workplace
from edge3vt.data.writer import DatasetWriter, Unwritable

Told = Callable[[int, int], None]  # files done, of how many


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import. files = read + resumed + doubles + refused.

    doubles: the same as a file before them. joined, headed, suspect: as in ``patients.Known``. classes: items that hold
    each. passed_over: what of the source was not looked at, by suffix or reason. refused: one line each, why.
    """

    files: int
    read: int
    items: int
    labelled: int
    patients: int
    cines: int
    resumed: int
    doubles: int
    joined: int
    headed: int
    suspect: int
    splits: dict[str, int]
    classes: dict[str, int]
    passed_over: dict[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


def import_set(
    request: Request, out: Path, key: bytes, *, workers: int, overwrite: bool = False, told: Told | None = None
) -> Imported:
    """Make the data set ``out``, or go on with it; what is refused does not keep the rest from it.

    key: of the patients' pseudonyms. overwrite: a set that is there stays until the new one is whole.
    Raises DataError or ConfigError, also where nothing at all could be imported, BackendMissingError where that is for
    want of decoders only.
    """
    one, other = request.source.resolve(), out.resolve()
    if one.is_relative_to(other) or (other.is_relative_to(one) and one.is_dir()):
        raise ConfigError(f"{out}: of the data set and its source {request.source}, one lies in the other; move it")
    classes, jobs = _plan(request, workers)
    new = workplace(other, overwrite=overwrite)
    work = out if new == other else new
    refused: list[str] = []
    places: dict[str, list[Place]] = {}
    count: Counter[str] = Counter()
    asked = _asked(request, key)
    with DatasetWriter(work, other.name, classes, resume=True, overwrite=overwrite, request=asked) as writer:
        before = {item.cine or item.id for item in writer.items}

        def tell() -> None:
            if told is not None:
                told(count["done"] + count["resumed"] + count["doubles"] + len(refused), len(jobs))

        def tasks() -> Iterator[Task]:
            for job in jobs:
                try:
                    task = task_of(job, request, work, classes, key)
                except DataError as error:
                    refused.append(str(error))
                    continue
                what = "doubles" if task.id in places else "resumed" if writer.has(task.id) else None
                places.setdefault(task.id, []).append((task.group, str(task)))
                if what is None:
                    yield task
                else:
                    count[what] += 1

        with closing(decode_all(written, tasks(), workers)) as answers:
            for _, answer in answers:
                if isinstance(answer, DataError):
                    refused.append(str(answer))
                    count["undecoded"] += isinstance(answer, Undecoded)
                elif isinstance(answer[-1], str):
                    raise Unwritable(answer[-1])
                else:
                    writer.take(answer)
                    count["done"] += 1
                tell()
        tell()
        whose = known((item for item in writer.items if (item.cine or item.id) in places), places, key)
        refused += whose.refused.values()
        count.subtract("resumed" if id in before else "done" for id in whose.refused)
        writer.settle(items := whose.items)
        if not items:
            lacking = bool(refused) and count["undecoded"] == len(refused)
            raise (BackendMissingError if lacking else DataError)(_nothing(request.source, refused))
    if new != other:
        swap(new, other)
    return Imported(
        files=len(jobs),
        read=count["done"],
        items=len(items),
        labelled=sum(item.mask_sha256 is not None for item in items),
        patients=len({item.patient for item in items}),
        cines=len({item.cine for item in items} - {None}),
        resumed=count["resumed"],
        doubles=count["doubles"],
        joined=whose.joined,
        headed=whose.headed,
        suspect=whose.suspect,
        splits=dict(sorted(Counter(item.split or "none" for item in items).items())),
        classes={name: sum(name in item.classes for item in items) for name in classes[1:]},
        passed_over=passed_over(request.source, jobs),
        refused=tuple(sorted(refused)),
    )


def _plan(request: Request, workers: int) -> tuple[tuple[str, ...], list[Any]]:
    """The classes of the set, and the jobs."""
    importer = import_module(f"edge3vt.data.importers.{request.format}")
    source, labels = request.source, request.labels
    match request.format:
        case "pictures":
            assert labels is not None, "the request refuses pictures without a class map"
            return labels.classes, importer.find(source, labels)
        case "nnunet":
            return importer.classes_of(source, labels), importer.find(source, labels)
        case "labelme":
            if labels is None:
                labels = _labels_in(importer.find(source), importer.names, source, workers)
            return labels.classes, importer.find(source, labels)
        case "dicom" | "video":
            return labels.classes if labels else CLASS_NAMES, importer.find(source)


def _labels_in(jobs: list[Any], names: Callable[[Any], list[str]], source: Path, workers: int) -> LabelMap:
    """The labels that a first pass finds, sorted; documents that cannot be read are refused by the second."""
    found: set[str] = set()
    with closing(decode_all(names, jobs, workers)) as answers:
        for _, answer in answers:
            found.update(() if isinstance(answer, DataError) else answer)
    if not found - {"background"}:
        raise DataError(f"{source}: no shape has a label; draw some, or name the classes with --classes MAP.toml")
    return LabelMap(1, ("background", *sorted(found - {"background"})))


def _asked(request: Request, key: bytes) -> dict[str, str]:
    """What a run that goes on must have in common with the one before; hashes where a name may tell of a patient."""
    return {
        "source": _short(str(request.source.resolve())),
        "format": request.format,
        "labels": _short(repr(request.labels)),
        "patient from": (request.patient_from or "").partition(":")[0] + _short(request.patient_from or ""),
        "header": "ignored" if request.ignore_header else "read",
        "patient key": _short(key.hex()),
        "region": str(request.region),
        "outside": "kept" if request.keep_outside else "blanked",
        "every": str(request.every),
        "names": "kept" if request.keep_names else "left out",
    }


def _short(text: str) -> str:
    return sha256_bytes(text.encode("utf-8", "surrogateescape"))[:8]


def _nothing(source: Path, refused: list[str]) -> str:
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    return f"{source}: nothing could be imported; the first of them: {refused[0]}{more}" if refused else str(source)
