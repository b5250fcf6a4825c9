from __future__ import annotations

from pathlib import Path

from edge3vt.data.importers.raw import Job
from edge3vt.data.importers.rest import passed_over


def test_what_no_job_reads_is_counted_by_suffix_or_reason(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.MP4", "deep/c.mp4", "IM1", "x.JANE_DOE", ".hidden", ".git/d.png", "DICOMDIR", "p.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "linked").symlink_to(tmp_path / "deep")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    found = passed_over(tmp_path, [tmp_path / "a.dcm", Job((tmp_path / "p.png",), "p.png")])
    assert found == {".mp4": 2, "links to folders": 1, "links to nothing": 1, "of other names": 2}
    assert passed_over(tmp_path / "a.dcm", [tmp_path / "a.dcm"]) == {}


def test_a_picture_that_a_document_may_name_is_not_said_to_be_left(tmp_path: Path) -> None:
    for name in ("labels/a.json", "images/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    job = Job((tmp_path / "labels" / "a.json",), "labels/a.json")
    assert passed_over(tmp_path, [job]) == {".png unless a document names them": 1}
