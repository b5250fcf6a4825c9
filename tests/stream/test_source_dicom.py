from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from edge3vt.core.clock import ManualClock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Layout
from edge3vt.stream.sources.dicom import DicomSource

FOUR_CHAMBER = Path(str(get_testdata_file("examples_ybr_color.dcm", download=False)))


@pytest.mark.parametrize("paced", [True, False])
def test_the_four_chamber_cine(paced: bool) -> None:
    clock = ManualClock()
    source = DicomSource(FOUR_CHAMBER, clock, paced=paced)
    frames = list(source)
    assert (source.width, source.height, source.frames, source.name) == (320, 240, 30, "examples_ybr_color.dcm")
    assert len(frames) == 30
    assert frames[0].layout is Layout.RGB
    assert frames[-1].captured_ns - frames[0].captured_ns == pytest.approx(29 * 33_333_000, abs=100)
    assert (clock.now_ns() > 0) is paced


def test_a_bad_file_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_text("not a clip")
    with pytest.raises(DataError, match="not a DICOM file"):
        DicomSource(path, ManualClock(), paced=True)
