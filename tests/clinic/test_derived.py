"""What a derived object says, held against the standard's tables that come with highdicom, and of whom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map

from edge3vt.clinic.derived import Maker, derived
from edge3vt.clinic.source import source_head
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.errors import DataError
from tests.clinic.ultrasound import masks, source

MAKER = Maker("cpu-int8", 3, "ab" * 32, "student-1.0")
OURS = re.compile(
    r"edge3vt.*|cpu-int8|student-1\.0|(ab){32}|release[ =]3.*|\d+\.\d+\.\d+|computed; not for diagnosis|masks by .*"
    r"|DERIVED|PRIMARY|SEG|EDGE3VT|BINARY|NO|YES|IDENTITY|MONOCHROME2|AUTOMATIC|00|fetal.*|Segment|Frame of the source"
    r"|SCT|DCM|\d{6,9}|Anatomical Structure|Artificial Intelligence|Segmentation|Processing Equipment"
    r"|Source Image for Image Processing Operation|Pulmonary artery|Aortic arch|Superior vena cava|Trachea|Spine"
    rf"|{'|'.join(CLASS_NAMES)}|2\.25\.\d+|1\.2\.840\.10008\.\S+"
)


def made(path: Path, **elements: Any) -> Any:
    return derived(source_head(source(path, **elements)), CLASS_NAMES, masks(), MAKER)


def texts(ds: Any) -> set[str]:
    """Every text in a dataset and in its sequences."""
    found = set()
    for element in ds.iterall():
        if element.VR not in ("SQ", "OB", "OW", "US", "UL", "AT", "IS"):
            values = element.value if element.VM > 1 else [element.value]
            found |= {str(value) for value in values if value not in ("", None)}
    return found


def strange(ds: Any, head: Any) -> set[str]:
    """Texts that are neither the source's nor ours."""
    return {text for text in texts(ds) - texts(head) if not OURS.fullmatch(text)}


def test_every_required_attribute_of_the_standard_is_there(tmp_path: Path) -> None:
    ds = made(tmp_path / "clip.dcm")
    assert not lacking(ds)
    del ds.ContentLabel  # a planted gap
    ds.Manufacturer = ""
    assert lacking(ds) == {"ContentLabel", "Manufacturer"}


def lacking(ds: Any) -> set[str]:
    """Attributes of type 1 that are empty, and of type 2 that are not there, of the mandatory modules' first level."""
    found = set()
    for module in get_iod_module_map()["segmentation"]:
        if module["usage"] != "M" and module["key"] not in ("common-instance-reference",):
            continue
        for attribute in get_module_attribute_map()[module["key"]]:
            name, kind = attribute["keyword"], attribute["type"]
            if attribute["path"] or kind not in ("1", "2"):
                continue
            if name not in ds or (kind == "1" and ds[name].is_empty):
                found.add(name)
    return found


def test_patient_and_study_are_those_of_the_source_and_nothing_else_of_a_person(tmp_path: Path) -> None:
    ds = made(tmp_path / "clip.dcm")
    head = source_head(tmp_path / "clip.dcm")
    for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate"):
        assert ds[name] == head[name]
    assert strange(ds, head) == set()
    assert "CANARY" not in texts(ds)  # the institution


def test_a_source_without_identity_stays_so(tmp_path: Path) -> None:
    nobody = {"PatientName": "", "PatientID": "", "PatientBirthDate": None, "PatientSex": None, "StudyDate": ""}
    gone = {"PatientIdentityRemoved": "YES", "StudyTime": None, "StudyDescription": None, "DeidentificationMethod": "x"}
    ds = made(tmp_path / "clip.dcm", **nobody, **gone)
    assert (ds.PatientIdentityRemoved, ds.DeidentificationMethod) == ("YES", "x")
    assert all(ds[name].is_empty for name in (*nobody, "StudyTime"))
    assert (ds.ContentDate, ds.ContentTime) == ("19000101", "000000")  # not the day of the making
    assert not any("InstanceCreation" in element.keyword for element in ds)
    head = source_head(tmp_path / "clip.dcm")
    assert strange(ds, head) == set()
    ds.StationName = "ROOM 4"  # a planted leak
    assert strange(ds, head) == {"ROOM 4"}


def test_shifted_dates_of_a_source_without_identity_are_the_only_ones(tmp_path: Path) -> None:
    ds = made(tmp_path / "clip.dcm", PatientIdentityRemoved="YES", AcquisitionDate="20010203")
    assert (ds.ContentDate, ds.ContentTime) == ("20010203", "000000")
    assert made(tmp_path / "other.dcm").ContentDate > "20250304"


def test_there_is_no_frame_of_reference_even_where_the_source_has_one_without_positions(tmp_path: Path) -> None:
    ds = made(tmp_path / "clip.dcm", FrameOfReferenceUID="1.2.3.77")
    assert "FrameOfReferenceUID" not in ds
    assert not any("Plane" in element.keyword or "PixelMeasures" in element.keyword for element in ds.iterall())


def test_the_same_masks_by_the_same_engine_are_the_same_object(tmp_path: Path) -> None:
    once, again = made(tmp_path / "clip.dcm"), made(tmp_path / "clip.dcm")
    assert once.SOPInstanceUID == again.SOPInstanceUID
    assert once.PixelData == again.PixelData
    head = source_head(tmp_path / "clip.dcm")
    other = [
        derived(head, CLASS_NAMES, masks((0, 2, 4)), MAKER),
        derived(head, CLASS_NAMES, masks(), Maker("cpu-int8", 4, "ab" * 32, "student-1.0")),
        derived(head, CLASS_NAMES, masks(), Maker("cpu-int8", 3, "ac" * 32, "student-1.0")),
    ]
    assert len({once.SOPInstanceUID, *(each.SOPInstanceUID for each in other)}) == 4
    assert other[0].SeriesInstanceUID == once.SeriesInstanceUID != other[1].SeriesInstanceUID


def test_odd_values_of_a_source_are_its_own(tmp_path: Path) -> None:
    """Values against the standard are taken over, not judged, and end no run."""
    path = source(tmp_path / "clip.dcm", PatientSex="F", PatientBirthDate="19900102", SeriesNumber=None)
    data = path.read_bytes().replace(b"19900102", b"1990????").replace(b"CS\x02\0F ", b"CS\x02\0?!")
    path.write_bytes(data)
    ds = derived(source_head(path), CLASS_NAMES, masks(), MAKER)
    assert ds.SeriesNumber == 1000


def test_masks_that_do_not_fit_and_none_at_all_are_refused(tmp_path: Path) -> None:
    head = source_head(source(tmp_path / "clip.dcm"))
    for wrong in (masks(height=32), masks((6,))):
        with pytest.raises(DataError, match="but the source has 6 of 45x31"):
            derived(head, CLASS_NAMES, wrong, MAKER)
    with pytest.raises(DataError, match="no frame has a mask"):
        derived(head, CLASS_NAMES, [(0, np.zeros((31, 45), np.uint8))], MAKER)


def test_more_than_a_file_should_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge3vt.clinic.derived.MAX_BYTES", 500)
    with pytest.raises(DataError, match="cut the clip first"):
        made(tmp_path / "clip.dcm")
