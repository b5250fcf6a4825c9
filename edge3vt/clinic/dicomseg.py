"""DICOM SEG: masks of stills and cines as an object for an archive, read back and held against its source."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge3vt.clinic.coding import ANATOMICAL, TYPES, Concept
from edge3vt.clinic.derived import (
    MAX_BYTES,
    PERSON,
    SEGMENTATION,
    TAKEN,
    Maker,
    derived,
    object_uid,
)
from edge3vt.clinic.source import frames_of, source_head
from edge3vt.core.documents import whole_file
from edge3vt.core.errors import BackendMissingError, DataError
from edge3vt.core.segmentation import Mask
from edge3vt.picture.clip import file_size

__all__ = ["Maker", "SegObject", "Segment", "read", "require", "write"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A structure: its number in masks, its label, what it is."""

    number: int
    label: str
    concept: Concept


@dataclass(frozen=True, slots=True, eq=False)
class SegObject:
    """A SEG that was found right for its source.

    source_uid: SOP instance UID. frames: of the source. places: (frame index from 0, segment number) of each frame of
    the object.
    """

    uid: str
    source_uid: str
    frames: int
    height: int
    width: int
    segments: tuple[Segment, ...]
    maker: Maker
    places: tuple[tuple[int, int], ...]
    _pixels: bytes = field(repr=False)

    def masks(self) -> Iterator[tuple[int, Mask]]:
        """Frame index and (H, W) segment numbers, 0 for none, of each frame of the source that has a segment."""
        by_frame: dict[int, list[int]] = {}
        for at, (index, _) in enumerate(self.places):
            by_frame.setdefault(index, []).append(at)
        for index, held in sorted(by_frame.items()):
            mask = np.zeros((self.height, self.width), dtype=np.uint8)
            for at in held:
                mask[self._plane(at)] = self.places[at][1]
            yield index, mask

    def _plane(self, at: int) -> Any:
        size = self.height * self.width
        first, rest = divmod(at * size, 8)
        packed = np.frombuffer(self._pixels, np.uint8, (rest + size + 7) // 8, first)
        bits = np.unpackbits(packed, bitorder="little")[rest : rest + size]
        return bits.reshape(self.height, self.width).astype(bool)


def require() -> None:
    """Raises BackendMissingError without highdicom."""
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise BackendMissingError(
            "a DICOM SEG needs highdicom, which is not installed; pip install 'edge3vt[clinic]'"
        ) from error


def write(path: Path, source: Path, names: Sequence[str], masks: Iterable[tuple[int, Mask]], maker: Maker) -> SegObject:
    """Write masks on the pixels of the DICOM file ``source``, read them back, and give them their name if all is right.

    names: of the classes, 0 is background. masks: frame index from 0, (Rows, Columns) class indices. Raises DataError,
    and then there is no file, or still the old one.
    """
    require()
    head = source_head(source)
    try:
        with warnings.catch_warnings():  # of values that are the source's own
            warnings.simplefilter("ignore")
            dataset = derived(head, names, masks, maker)
    except DataError as error:
        raise DataError(f"{path}: {error}; nothing was written") from error
    with whole_file(path) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(partial, enforce_file_format=True)
        return read(partial, source, where=path)


def read(path: Path, source: Path, *, where: Path | None = None) -> SegObject:
    """A SEG that ``write`` made, held against the DICOM file that it was made from. Raises DataError for what differs.

    where: the name to say. Its own UID follows from all that it says of its masks, so that no change of frame, segment,
    pixel, source or engine goes unseen.
    """
    where, head = where or path, source_head(source)
    if file_size(path) > 2 * MAX_BYTES:
        raise DataError(f"{where}: larger than {2 * MAX_BYTES >> 30} GiB; this is no SEG of ours")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _checked(_dataset(path), head)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # of a damaged file: whatever the damage leads to
        raise DataError(f"{where}: damaged ({type(error).__name__} in it); make it again from its source") from error


def _dataset(path: Path) -> Any:
    import pydicom

    return pydicom.dcmread(path)


def _checked(ds: Any, head: Any) -> SegObject:
    if ds.SOPClassUID != SEGMENTATION or ds.SegmentationType != "BINARY":
        raise DataError("no binary DICOM segmentation, which is what is read here")
    _check_source(ds, head)
    _check_person(ds, head)
    height, width, count = int(ds.Rows), int(ds.Columns), int(ds.NumberOfFrames)
    if (height, width) != (head.Rows, head.Columns):
        raise DataError(f"{width}x{height} px, but its source has {head.Columns}x{head.Rows}")
    segments, maker = _segments(ds)
    places = tuple(_place(group, head) for group in ds.PerFrameFunctionalGroupsSequence)
    if len(places) != count or len(set(places)) != count:
        raise DataError(f"{count} frames are told, {len(set(places))} different ones are described")
    _check_index(ds, places)
    if stray := sorted({number for _, number in places} - {segment.number for segment in segments}):
        raise DataError(f"frames of segment {stray[0]}, which is not described")
    if len(ds.PixelData) != (needed := (count * height * width + 15) // 16 * 2):
        raise DataError(f"{len(ds.PixelData)} bytes of pixels, but {count} frames have {needed}")
    codes = [(segment.label, segment.concept.value) for segment in segments]
    if ds.SOPInstanceUID != object_uid(head, codes, maker, places, ds.PixelData):
        raise DataError("its UID is not that of these masks by this engine; it was changed")
    return SegObject(
        uid=str(ds.SOPInstanceUID),
        source_uid=str(head.SOPInstanceUID),
        frames=frames_of(head),
        height=height,
        width=width,
        segments=segments,
        maker=maker,
        places=tuple((number - 1, segment) for number, segment in places),
        _pixels=ds.PixelData,
    )


def _check_source(ds: Any, head: Any) -> None:
    """The study, the series and the object that it refers to."""
    if ds.StudyInstanceUID != head.StudyInstanceUID:
        raise DataError(f"of study {ds.StudyInstanceUID}, but its source is of {head.StudyInstanceUID}")
    (series,) = ds.ReferencedSeriesSequence
    if series.SeriesInstanceUID != head.SeriesInstanceUID:
        raise DataError(f"refers to series {series.SeriesInstanceUID}, but its source is of {head.SeriesInstanceUID}")
    for item in (*series.ReferencedInstanceSequence, *ds.SourceImageSequence):
        _check_reference(item, head)


def _check_reference(item: Any, head: Any) -> None:
    found, expected = (
        (str(item.ReferencedSOPInstanceUID), str(item.ReferencedSOPClassUID)),
        (str(head.SOPInstanceUID), str(head.SOPClassUID)),
    )
    if found != expected:
        raise DataError(f"refers to {found[0]} of class {found[1]}, but its source is {expected[0]} of {expected[1]}")


def _check_person(ds: Any, head: Any) -> None:
    """Nothing of a person but what the source holds."""
    for element in ds:
        name = element.keyword
        told = element.tag.group in (0x0010, 0x0012, 0x0032, 0x0038, 0x0040) or name in (*PERSON, *TAKEN)
        if name == "LossyImageCompression" or not told or element.is_empty:
            continue
        if name not in head or head[name].value != element.value:
            raise DataError(f"{name or element.tag} is not what its source holds")


def _segments(ds: Any) -> tuple[tuple[Segment, ...], Maker]:
    """What is described, and the one engine that made it all."""
    found, makers = [], set()
    for number, item in enumerate(ds.SegmentSequence, start=1):
        if item.SegmentNumber != number:
            raise DataError(f"segment {item.SegmentNumber} stands where {number} is expected; segments are missing")
        label = str(item.SegmentLabel)
        category, concept = (
            _concept(item[f"SegmentedProperty{kind}CodeSequence"].value) for kind in ("Category", "Type")
        )
        if category != ANATOMICAL or concept != TYPES.get(label, concept):
            raise DataError(f"segment {number}, {label}, is coded {concept.value} {concept.scheme}, a code for another")
        found.append(Segment(number, label, concept))
        (algorithm,) = item.SegmentationAlgorithmIdentificationSequence
        told = dict(pair.split("=", 1) for pair in str(algorithm.AlgorithmParameters).split(","))
        name, model_id = str(algorithm.AlgorithmName), str(algorithm.AlgorithmVersion)
        makers.add(Maker(name, int(told["release"]), told["sha256"], model_id))
    if len(makers) != 1:
        raise DataError(f"{len(makers)} engines are told, expected one")
    return tuple(found), makers.pop()


def _check_index(ds: Any, places: Sequence[tuple[int, int]]) -> None:
    """The dimensions' index: segment number, and the how-manieth of the source's frames that have any."""
    order = {number: at for at, number in enumerate(sorted({number for number, _ in places}), start=1)}
    for group, (number, segment) in zip(ds.PerFrameFunctionalGroupsSequence, places, strict=True):
        index = [int(value) for value in group.FrameContentSequence[0].DimensionIndexValues]
        if index != [segment, order[number]]:
            raise DataError(f"segment {segment} of frame {number} is indexed {index}")


def _concept(sequence: Any) -> Concept:
    (item,) = sequence
    return Concept(str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning))


def _place(group: Any, head: Any) -> tuple[int, int]:
    """(number of the source's frame, number of the segment) of one frame, which say it twice."""
    (derivation,), (content,) = group.DerivationImageSequence, group.FrameContentSequence
    (source,), (identification,) = derivation.SourceImageSequence, group.SegmentIdentificationSequence
    _check_reference(source, head)
    frames = frames_of(head)
    number = int(source.ReferencedFrameNumber) if frames > 1 else 1
    segment = int(identification.ReferencedSegmentNumber)
    if not 1 <= number <= frames:
        raise DataError(f"refers to frame {number}, but its source has {frames}")
    if content.TemporalPositionIndex != number:
        raise DataError(f"frame {number} of its source stands at position {content.TemporalPositionIndex}")
    return number, segment
