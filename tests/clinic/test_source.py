from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.clinic.source import frames_of, source_head
from edge3vt.core.errors import DataError
from tests.clinic.ultrasound import source


def test_the_head_holds_all_but_the_pixels(tmp_path: Path) -> None:
    head = source_head(source(tmp_path / "clip.dcm"))
    assert "PixelData" not in head
    assert frames_of(head) == 6
    assert frames_of(source_head(source(tmp_path / "still.dcm", frames=1))) == 1


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"no DICOM", "no DICOM image"), (None, "check the path")]
)
def test_what_is_no_dicom_image_is_one_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "clip.dcm").write_bytes(content)
    with pytest.raises(DataError, match=said):
        source_head(tmp_path / "clip.dcm")


@pytest.mark.parametrize("name", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_source_of_no_series_is_refused(tmp_path: Path, name: str) -> None:
    path = source(tmp_path / "clip.dcm", **({name: ""} if name != "SOPInstanceUID" else {}))
    if name == "SOPInstanceUID":
        path.write_bytes(
            path.read_bytes().replace(b"\x08\0\x18\0UI\x08\0" + b"1.2.3.4\0", b"\x08\0\x18\0UI\x08\0" + bytes(8))
        )
    with pytest.raises(DataError, match=f"no valid {name}; a DICOM SEG refers to its source by UID"):
        source_head(path)
