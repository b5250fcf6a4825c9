"""A DICOM Segmentation dataset from masks: what it says, and of whom (PS3.3 A.51 and C.8.20).

Ultrasound has no frame of reference, so the segments' frames have none either: each names the frame that it was made
from, whose pixels are its own, one for one (PS3.3 A.51.5.1). Nothing of a person is in it that the source does not
hold. Every UID follows from what it names, so that the same masks by the same engine are the same object.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

import edge3vt
from edge3vt.clinic.coding import ANATOMICAL, Concept, concept_of, printable, remark_of
from edge3vt.clinic.source import frames_of
from edge3vt.core.clock import wall_label
from edge3vt.core.errors import DataError
from edge3vt.core.segmentation import Mask
from edge3vt.picture.outline import colour_of

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
MAX_BYTES = 1 << 30
PERSON = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
"""Type 2 of Patient and General Study: they stand in every object, empty where the source holds none."""
TAKEN = (
    *("SpecificCharacterSet", "IssuerOfPatientID", "StudyDescription"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("LongitudinalTemporalInformationModified", "LossyImageCompression"),
    *("LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
"""What else is taken over where the source holds it; not its time zone, since our own time is UTC."""
NO_DATE, NO_TIME = "19000101", "000000"
NOT_FOR_DIAGNOSIS = "computed; not for diagnosis"
_DERIVATION = Concept("113076", "DCM", "Segmentation")  # CID 7203
_PURPOSE = Concept("121322", "DCM", "Source Image for Image Processing Operation")  # CID 7202


@dataclass(frozen=True, slots=True)
class Maker:
    """The engine that made the masks. sha256: of its file."""

    name: str
    release: int
    sha256: str
    model_id: str


def derived(head: Any, names: Sequence[str], masks: Iterable[tuple[int, Mask]], maker: Maker) -> Any:
    """The dataset. names: of the classes, 0 is background. masks: frame index from 0, (Rows, Columns) class indices;
    in the order of the source.

    Each structure that a mask holds becomes one frame; a mask without any, none. Raises DataError where there is none
    at all, or more than MAX_BYTES of them.
    """
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    shape, frames = (int(head.Rows), int(head.Columns)), frames_of(head)
    bits, groups, places, ordinal = _Bits(), [], list[tuple[int, int]](), 0
    for index, mask in masks:
        if mask.shape != shape or not 0 <= index < frames:
            raise DataError(
                f"a mask of {mask.shape[1]}x{mask.shape[0]} px for frame {index + 1}, but the source has {frames} of "
                f"{shape[1]}x{shape[0]}"
            )
        held = np.unique(mask[mask > 0]).tolist()
        ordinal += bool(held)
        for label in held:
            bits.add(mask == label)
            places.append((index + 1, label))
            groups.append(_frame(head, index + 1, label, ordinal))
            if len(bits.packed) > MAX_BYTES:
                raise DataError(f"more than {MAX_BYTES >> 30} GiB of masks; cut the clip first")
    if not groups:
        raise DataError("no frame has a mask that was shown, so there is no segment")
    pixels = bits.whole()
    codes = [(printable(name), concept_of(name).value) for name in names[1:]]
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _take_over(ds, head)
    ds.SOPClassUID, ds.SOPInstanceUID = SEGMENTATION, object_uid(head, codes, maker, places, pixels)
    ds.SeriesInstanceUID = uid("series", str(head.SeriesInstanceUID), *_identity(maker))
    _tell(ds, head, maker)
    ds.SegmentSequence = [_segment(number, name, maker) for number, name in enumerate(names) if number]
    organisation = Dataset()
    organisation.DimensionOrganizationUID = uid("dimensions", str(ds.SOPInstanceUID))
    ds.DimensionOrganizationSequence = [organisation]
    ds.DimensionIndexSequence = [
        _dimension(organisation, "ReferencedSegmentNumber", "SegmentIdentificationSequence", "Segment"),
        _dimension(organisation, "TemporalPositionIndex", "FrameContentSequence", "Frame of the source"),
    ]
    ds.SharedFunctionalGroupsSequence = [Dataset()]
    ds.PerFrameFunctionalGroupsSequence = groups
    ds.NumberOfFrames, (ds.Rows, ds.Columns) = len(groups), shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = ds.PixelRepresentation = 0
    ds.PixelData = pixels
    ds["PixelData"].VR = "OB"  # in Explicit VR, of one bit a pixel (PS3.5 8.1.2 leaves OB or OW)
    return ds


def uid(*parts: str) -> str:
    """A UID that follows from ``parts``: 2.25 and a UUID of version 5 (PS3.5 B.2, RFC 9562 5.5)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(('edge3vt', *parts))).int}"


def object_uid(
    head: Any, codes: Sequence[tuple[str, str]], maker: Maker, places: Sequence[tuple[int, int]], pixels: bytes
) -> str:
    """The SOP instance UID of exactly these masks.

    codes: label and code of each segment. places: (frame number from 1, segment number) of each frame.
    """
    digest = sha256(pixels)
    digest.update(repr((list(codes), list(places))).encode())
    return uid("object", str(head.SOPInstanceUID), *_identity(maker), digest.hexdigest())


def _identity(maker: Maker) -> tuple[str, ...]:
    return printable(maker.name), str(maker.release), maker.sha256, printable(maker.model_id)


class _Bits:
    """Frames of one bit a pixel in one stream, least significant bit first, without gaps (PS3.5 8.1.1 and D.1)."""

    def __init__(self) -> None:
        self.packed, self._rest = bytearray(), np.zeros(0, dtype=bool)

    def add(self, plane: Any) -> None:
        stream = np.concatenate((self._rest, plane.ravel()))
        whole = len(stream) // 8 * 8
        self.packed += np.packbits(stream[:whole], bitorder="little").tobytes()
        self._rest = stream[whole:]

    def whole(self) -> bytes:
        data = bytes(self.packed) + np.packbits(self._rest, bitorder="little").tobytes()
        return data + bytes(len(data) % 2)


def _take_over(ds: Any, head: Any) -> None:
    """Patient and study as the source has them."""
    for name in (*TAKEN, *PERSON):
        if name in head:
            ds[name] = head[name]
        elif name in PERSON:
            setattr(ds, name, None)
    ds.StudyInstanceUID = head.StudyInstanceUID


def _tell(ds: Any, head: Any, maker: Maker) -> None:
    """Series, equipment, dates and the source."""
    from highdicom import ContributingEquipment
    from pydicom import Dataset
    from pydicom.sr.codedict import codes

    name, version = printable(maker.name), edge3vt.__version__
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "SEG", 1000 + max(int(head.get("SeriesNumber") or 0), 0), 1
    ds.SeriesDescription = f"edge3vt masks, {NOT_FOR_DIAGNOSIS}"
    ds.Manufacturer, ds.ManufacturerModelName, ds.DeviceSerialNumber = "edge3vt", name, maker.sha256
    ds.SoftwareVersions = [version, f"release {maker.release}"]
    ds.ContributingEquipmentSequence = [
        ContributingEquipment(
            "edge3vt",
            codes.DCM.ProcessingEquipment,
            manufacturer_model_name=name,
            software_versions=[version, f"release {maker.release}"],
            device_serial_number=maker.sha256,
            contribution_description=f"masks by {printable(maker.model_id)}, {NOT_FOR_DIAGNOSIS}",
        )
    ]
    ds.ContentDate, ds.ContentTime = _content_date(head)
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.SegmentationType, ds.SegmentsOverlap = "BINARY", "NO"
    ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = "EDGE3VT", NOT_FOR_DIAGNOSIS, None
    ds.BurnedInAnnotation, ds.PresentationLUTShape = "NO", "IDENTITY"
    if "LossyImageCompression" not in ds:
        ds.LossyImageCompression = "00"
    series = Dataset()
    series.SeriesInstanceUID = head.SeriesInstanceUID
    series.ReferencedInstanceSequence = [_reference(head)]
    ds.ReferencedSeriesSequence = [series]
    ds.SourceImageSequence = [_source_image(head)]


def _content_date(head: Any) -> tuple[str, str]:
    """Date and time of the making, UTC; but of a source without identity only what that holds itself."""
    if str(head.get("PatientIdentityRemoved") or "") != "YES" and head.get("StudyDate"):
        stamp = wall_label()
        return stamp[:10].replace("-", ""), stamp[11:19].replace(":", "")
    for kind in ("Content", "Acquisition", "Series", "Study"):
        if held := head.get(f"{kind}Date"):
            return str(held), str(head.get(f"{kind}Time") or NO_TIME)
    return NO_DATE, NO_TIME


def _reference(head: Any) -> Any:
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = head.SOPClassUID, head.SOPInstanceUID
    return item


def _source_image(head: Any) -> Any:
    item = _reference(head)
    item.PurposeOfReferenceCodeSequence = [_coded(_PURPOSE)]
    item.SpatialLocationsPreserved = "YES"
    return item


def _frame(head: Any, number: int, segment: int, ordinal: int) -> Any:
    """The functional groups of one frame. number: of the source's frame, from 1; ordinal: of those that have any."""
    from pydicom import Dataset

    derivation, content, identification, groups = (Dataset() for _ in range(4))
    source = _source_image(head)
    if frames_of(head) > 1:
        source.ReferencedFrameNumber = number
    derivation.DerivationCodeSequence = [_coded(_DERIVATION)]
    derivation.SourceImageSequence = [source]
    content.DimensionIndexValues, content.TemporalPositionIndex = [segment, ordinal], number
    identification.ReferencedSegmentNumber = segment
    groups.DerivationImageSequence, groups.FrameContentSequence = [derivation], [content]
    groups.SegmentIdentificationSequence = [identification]
    return groups


def _segment(number: int, name: str, maker: Maker) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    algorithm = AlgorithmIdentificationSequence(
        printable(maker.name),
        codes.cid7162.ArtificialIntelligence,
        printable(maker.model_id),
        source="edge3vt",
        parameters={"release": str(maker.release), "sha256": maker.sha256},
    )
    item = SegmentDescription(
        number,
        printable(name),
        _coded(ANATOMICAL),
        _coded(concept_of(name)),
        "AUTOMATIC",
        algorithm,
        display_color=CIELabColor.from_rgb(*colour_of(number)),
    )
    item.SegmentDescription = remark_of(name)
    return item


def _coded(concept: Concept) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(concept.value, concept.scheme, concept.meaning)


def _dimension(organisation: Any, pointer: str, group: str, label: str) -> Any:
    from pydicom import Dataset
    from pydicom.tag import Tag

    item = Dataset()
    item.DimensionOrganizationUID = organisation.DimensionOrganizationUID
    item.DimensionIndexPointer, item.FunctionalGroupPointer = Tag(pointer), Tag(group)
    item.DimensionDescriptionLabel = label
    return item
