"""A SEG reads back as it was written, to highdicom too, and whatever is changed in it is seen."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from edge3vt.clinic import dicomseg
from edge3vt.clinic.coding import PRIVATE
from edge3vt.clinic.dicomseg import SegObject, read, require, write
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.errors import BackendMissingError, DataError
from tests.clinic.test_derived import MAKER
from tests.clinic.ultrasound import masks, source


def written(folder: Path, **elements: Any) -> tuple[Path, Path]:
    clip, path = source(folder / "clip.dcm", **elements), folder / "seg.dcm"
    write(path, clip, CLASS_NAMES, masks(), MAKER)
    return clip, path


def same(found: SegObject, expected: Any) -> bool:
    return all(i == j and np.array_equal(a, b) for (i, a), (j, b) in zip(found.masks(), expected, strict=True))


def test_a_cine_reads_back_frame_by_frame(tmp_path: Path) -> None:
    clip, path = written(tmp_path)
    found = read(path, clip)
    assert same(found, masks())
    assert [index for index, _ in found.masks()] == [0, 2, 5]  # the others were withheld
    assert (found.source_uid, found.frames, found.height, found.width) == ("1.2.3.4", 6, 31, 45)
    assert found.maker == MAKER
    assert [segment.label for segment in found.segments] == list(CLASS_NAMES[1:])
    assert found.places == ((0, 1), (0, 4), (2, 1), (2, 4), (5, 1), (5, 5))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.dcm", "seg.dcm"]


def test_a_still_reads_back(tmp_path: Path) -> None:
    clip = source(tmp_path / "still.dcm", frames=1)
    write(tmp_path / "seg.dcm", clip, CLASS_NAMES, masks((0,)), MAKER)
    assert same(read(tmp_path / "seg.dcm", clip), masks((0,)))
    item = pydicom.dcmread(tmp_path / "seg.dcm").PerFrameFunctionalGroupsSequence[0]
    assert "ReferencedFrameNumber" not in item.DerivationImageSequence[0].SourceImageSequence[0]


def test_highdicom_reads_the_same(tmp_path: Path) -> None:
    """The referee: its own reader finds the masks by the source's UID and frame numbers."""
    _, path = written(tmp_path)
    seg = highdicom.seg.segread(path)
    assert seg.segment_numbers == [1, 2, 3, 4, 5]
    assert [seg.get_segment_description(n).segmented_property_type.meaning for n in (1, 4)] == [
        "Pulmonary artery",
        "Trachea",
    ]
    assert [str(part) for part in seg.get_source_image_uids()[0]] == ["1.2.3", "1.2.3.9", "1.2.3.4"]
    pixels = seg.get_pixels_by_source_frame("1.2.3.4", [1, 3, 6], combine_segments=True)
    for mine, (_, mask) in zip(pixels, masks(), strict=True):
        assert np.array_equal(mine, mask)
    assert not seg.get_pixels_by_source_frame("1.2.3.4", [2], combine_segments=True).any()
    assert seg.NumberOfFrames == 6  # frame 2 has none, not an empty one


def test_highdicom_reads_a_still(tmp_path: Path) -> None:
    clip = source(tmp_path / "still.dcm", frames=1)
    write(tmp_path / "seg.dcm", clip, CLASS_NAMES, masks((0,)), MAKER)
    seg = highdicom.seg.segread(tmp_path / "seg.dcm")
    (pixels,) = seg.get_pixels_by_source_instance(["1.2.3.4"], combine_segments=True)
    assert np.array_equal(pixels, next(masks((0,)))[1])


@pytest.mark.parametrize(
    "name",
    [
        "examples_ybr_color.dcm",  # a cine, JPEG
        "OBXXXX1A_rle_2frame.dcm",
        "gdcm-US-ALOKA-16_big.dcm",  # big endian, palette
        "US1_J2KR.dcm",
        "color-px.dcm",
    ],
)
def test_real_ultrasound(tmp_path: Path, name: str) -> None:
    clip = get_testdata_file(name, download=False)
    if clip is None:
        pytest.skip(f"pydicom's {name} is not here")
    head = pydicom.dcmread(clip, stop_before_pixels=True)
    last = int(head.get("NumberOfFrames") or 1) - 1
    given = list(masks(tuple({0, last}), head.Rows, head.Columns))
    found = write(tmp_path / "seg.dcm", Path(str(clip)), CLASS_NAMES, given, MAKER)
    assert same(found, given)
    seg = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert (str(seg.PatientName), seg.StudyInstanceUID) == (str(head.PatientName), head.StudyInstanceUID)


def test_a_class_map_of_the_users_own_has_private_codes(tmp_path: Path) -> None:
    clip = source(tmp_path / "clip.dcm")
    names = ("background", "vessel", "the nerve of an upper arm", "Gefäß", "a\\b", "trachea")
    found = write(tmp_path / "seg.dcm", clip, names, masks(), MAKER)
    assert [segment.concept.scheme for segment in found.segments] == [PRIVATE] * 4 + ["SCT"]
    assert highdicom.seg.segread(tmp_path / "seg.dcm").get_segment_description(1).segment_label == "vessel"


# --- Planted faults


def frame_number(ds: Any, number: int) -> None:
    item = ds.PerFrameFunctionalGroupsSequence[2]
    item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = number


def whole_frame(ds: Any) -> None:
    """Another frame, said everywhere alike."""
    for item in ds.PerFrameFunctionalGroupsSequence[2:4]:
        item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = 2
        item.FrameContentSequence[0].TemporalPositionIndex = 2


def foreign_frame(ds: Any) -> None:
    item = ds.PerFrameFunctionalGroupsSequence[1]
    item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.5"


def foreign_instance(ds: Any) -> None:
    ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = "1.2.3.5"


def foreign_series(ds: Any) -> None:
    ds.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3.8"


def segment_of_frame(ds: Any) -> None:
    item = ds.PerFrameFunctionalGroupsSequence[0]
    item.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 2


def no_such_segment(ds: Any) -> None:
    for item in ds.PerFrameFunctionalGroupsSequence:
        if item.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 5:
            item.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 6
            item.FrameContentSequence[0].DimensionIndexValues[0] = 6


def code(ds: Any) -> None:
    ds.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].CodeValue = "57034000"


def swapped_labels(ds: Any) -> None:
    for number, label in ((1, CLASS_NAMES[2]), (2, CLASS_NAMES[1])):
        ds.SegmentSequence[number - 1].SegmentLabel = label


def pixel(ds: Any) -> None:
    ds.PixelData = bytes([ds.PixelData[0] ^ 1]) + ds.PixelData[1:]


def twice(ds: Any) -> None:
    ds.PerFrameFunctionalGroupsSequence[1] = ds.PerFrameFunctionalGroupsSequence[0]


def engine(ds: Any) -> None:
    for item in ds.SegmentSequence:
        item.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters = f"release=9,sha256={'ab' * 32}"


def two_engines(ds: Any) -> None:
    ds.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion = "another"


def setting(**elements: Any) -> Callable[[Any], None]:
    def change(ds: Any) -> None:
        for name, value in elements.items():
            setattr(ds, name, value)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (foreign_frame, "refers to 1.2.3.5 of class"),
        (foreign_instance, "refers to 1.2.3.5 of class"),
        (foreign_series, "refers to series 1.2.3.8, but its source is of 1.2.3.9"),
        (setting(StudyInstanceUID="1.2.4"), "of study 1.2.4, but its source is of 1.2.3"),
        (lambda ds: frame_number(ds, 4), "frame 4 of its source stands at position 3"),
        (lambda ds: frame_number(ds, 7), "refers to frame 7, but its source has 6"),
        (whole_frame, "it was changed"),
        (setting(Rows=30), "45x30 px, but its source has 45x31"),
        (setting(Columns=46), "46x31 px"),
        (lambda ds: ds.SegmentSequence.pop(4), "frames of segment 5, which is not described"),
        (lambda ds: ds.SegmentSequence.pop(1), "segment 3 stands where 2 is expected"),
        (no_such_segment, "frames of segment 6, which is not described"),
        (segment_of_frame, "segment 2 of frame 1 is indexed [1, 1]"),
        (twice, "6 frames are told, 5 different ones are described"),
        (lambda ds: ds.PerFrameFunctionalGroupsSequence.pop(), "6 frames are told, 5 different ones"),
        (setting(NumberOfFrames=7), "7 frames are told"),
        (code, "segment 2, aortic_arch, is coded 57034000 SCT, a code for another"),
        (swapped_labels, "segment 1, aortic_arch, is coded 81040000 SCT"),
        (pixel, "its UID is not that of these masks"),
        (lambda ds: setattr(ds, "PixelData", ds.PixelData[:-2]), "bytes of pixels, but 6 frames have 1048"),
        (setting(SOPInstanceUID="2.25.1"), "it was changed"),
        (engine, "it was changed"),
        (two_engines, "2 engines are told"),
        (setting(PatientID="C-2"), "PatientID is not what its source holds"),
        (setting(PatientAge="030Y"), "PatientAge is not what its source holds"),
        (setting(SegmentationType="FRACTIONAL"), "no binary DICOM segmentation"),
        (lambda ds: delattr(ds, "SegmentSequence"), "damaged (AttributeError in it)"),
        (lambda ds: delattr(ds, "PixelData"), "damaged (AttributeError in it)"),
    ],
)
def test_a_planted_fault_is_seen(tmp_path: Path, change: Callable[[Any], None], said: str) -> None:
    clip, path = written(tmp_path)
    ds = pydicom.dcmread(path)
    change(ds)
    ds.save_as(tmp_path / "changed.dcm", enforce_file_format=True)
    with pytest.raises(DataError) as raised:
        read(tmp_path / "changed.dcm", clip)
    assert said in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path / 'changed.dcm'}: ")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_cut_or_none_is_refused(tmp_path: Path) -> None:
    clip, path = written(tmp_path)
    data = path.read_bytes()
    for name, content in (("cut.dcm", data[: len(data) // 2]), ("text.dcm", b"text" * 99), ("empty.dcm", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            read(tmp_path / name, clip)
    with pytest.raises(DataError, match="check the path"):
        read(tmp_path / "none.dcm", clip)
    with pytest.raises(DataError, match="check the path"):  # a SEG for a clip that is not there
        read(path, tmp_path / "none.dcm")
    with pytest.raises(DataError, match="no binary DICOM segmentation"):
        read(clip, clip)


def test_the_seg_of_another_clip_is_refused(tmp_path: Path) -> None:
    _, path = written(tmp_path)
    other = source(tmp_path / "other.dcm", SOPInstanceUID="1.2.3.6")
    with pytest.raises(DataError, match=r"refers to 1\.2\.3\.4 .* its source is 1\.2\.3\.6"):
        read(path, other)


def test_what_does_not_read_back_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or not at all: a writer that slips leaves the old file and nothing beside it."""
    clip, path = written(tmp_path)
    before = path.read_bytes()
    made = dicomseg.derived

    def slips(*arguments: Any) -> Any:
        ds = made(*arguments)
        frame_number(ds, 4)
        return ds

    monkeypatch.setattr(dicomseg, "derived", slips)
    with pytest.raises(DataError, match=r"seg\.dcm: frame 4 of its source"):
        write(path, clip, CLASS_NAMES, masks(), MAKER)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.dcm", "seg.dcm"]


def test_what_cannot_be_made_is_said_with_the_name(tmp_path: Path) -> None:
    clip = source(tmp_path / "clip.dcm")
    with pytest.raises(DataError, match=r"seg\.dcm: no frame has a mask that was shown.*nothing was written"):
        write(tmp_path / "seg.dcm", clip, CLASS_NAMES, [], MAKER)


def test_without_highdicom_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(BackendMissingError, match=r"pip install 'edge3vt\[clinic\]'"):
        require()
