from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.cli.main import main
from edge3vt.clinic.derived import Maker
from edge3vt.clinic.dicomseg import read
from edge3vt.clinic.dicomsink import DicomSegSink
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Crop, Frame
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.mask import place
from tests.clinic.test_derived import MAKER
from tests.clinic.ultrasound import source

SPEC = ModelSpec(1, "student", "1.0", CLASS_NAMES, 16, 16, 4, True, True, "trained on squares")
CROP = Crop(7, -7, 45, 16)  # hangs over the picture on three sides


def seg(index: int, *, shown: bool = True, age_ns: int = 0) -> Segmentation:
    mask = np.zeros((16, 16), np.uint8)
    mask[4:9, 2 + index % 4 : 9] = 1
    mask[9:12, 5:8] = 4
    frame = Frame(index, 1_000_000 * index, np.zeros((31, 45), np.uint8))
    return Segmentation(
        frame,
        mask,
        frame.captured_ns - age_ns,
        CROP,
        Verdict.ON_TIME,
        "",
        False,
        State.LIVE,
        (),
        shown,
        "" if shown else "not the view",
        "student-1.0",
    )


def sink(folder: Path, *, overwrite: bool = False, maker: Maker = MAKER) -> DicomSegSink:
    made = DicomSegSink(folder / "seg.dcm", folder / "clip.dcm", lambda: maker, overwrite=overwrite)
    made.spec = SPEC
    return made


def broken(made: DicomSegSink, given: Segmentation, error: BaseException) -> None:
    made(given)
    raise error


def test_masks_come_back_on_the_pixels_of_the_source(tmp_path: Path) -> None:
    source(tmp_path / "clip.dcm")
    with sink(tmp_path) as made:
        for index in range(6):
            made(seg(index, shown=index != 2, age_ns=1 if index == 4 else 0))
        made(replace(seg(5), mask=None, mask_ns=None, crop=None, shown=False))
    assert (made.written, made.dropped) == (4, 0)
    found = read(tmp_path / "seg.dcm", tmp_path / "clip.dcm")
    assert [index for index, _ in found.masks()] == [0, 1, 3, 5]  # withheld: 2; of an older frame: 4
    for index, mask in found.masks():
        assert np.array_equal(mask, place(np.asarray(seg(index).mask), CROP, (31, 45)))


def test_a_run_that_breaks_or_shows_nothing_leaves_no_file(tmp_path: Path) -> None:
    source(tmp_path / "clip.dcm")
    with pytest.raises(DataError, match="the source broke"), sink(tmp_path) as made:
        broken(made, seg(0), DataError("the source broke"))
    empty = sink(tmp_path)
    empty(seg(0, shown=False))
    with pytest.raises(DataError, match="no frame has a mask that was shown"):
        empty.close()
    with sink(tmp_path):
        pass  # no frame came
    assert [p.name for p in tmp_path.iterdir()] == ["clip.dcm"]


def test_an_interrupt_keeps_what_was_shown(tmp_path: Path) -> None:
    source(tmp_path / "clip.dcm")
    with pytest.raises(KeyboardInterrupt), sink(tmp_path) as made:
        broken(made, seg(3), KeyboardInterrupt())
    assert [index for index, _ in read(tmp_path / "seg.dcm", tmp_path / "clip.dcm").masks()] == [3]


def test_outputs_that_cannot_be_are_refused_at_once(tmp_path: Path) -> None:
    clip = source(tmp_path / "clip.dcm")
    (tmp_path / "seg.dcm").write_bytes(b"precious")
    with pytest.raises(ConfigError, match="--overwrite"):
        sink(tmp_path)
    with pytest.raises(ConfigError, match="is the source itself"):
        DicomSegSink(clip, clip, lambda: MAKER, overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        DicomSegSink(tmp_path / "file" / "deep" / "seg.dcm", clip, lambda: MAKER, overwrite=False)
    assert (tmp_path / "seg.dcm").read_bytes() == b"precious"


@pytest.mark.parametrize("given", ["phantom://7", "test://bars", "clip.mp4", "pictures/", "clip.dcm"])
def test_run_refuses_a_seg_without_a_dicom_series(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if given.endswith(".dcm"):
        source(tmp_path / given, SeriesInstanceUID="")
    monkeypatch.setattr("edge3vt.cli.run.open_source", lambda *_, **__: _Source())
    with pytest.raises(SystemExit) as stopped:
        main(["run", given, "out/seg.dcm", "--offline"])
    said = capsys.readouterr()
    assert (stopped.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "refers to" in said.err
    assert not (tmp_path / "out").exists()


class _Source:
    """A source that is never asked for a frame."""
