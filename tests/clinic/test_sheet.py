from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from edge3vt.clinic import sheet
from edge3vt.clinic.measure import NAMES
from edge3vt.clinic.sheet import COLUMNS, Asked, Measurer, MeasureSink, Sheet, to_csv
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.documents import read_json
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.segmentation import Segmentation
from edge3vt.core.spec import ModelSpec
from tests.clinic.drawn import seg, view

SPEC = ModelSpec(1, "drawn", "1", CLASS_NAMES, 256, 256, 1, True, True, "")
MASK = view()


def run(path: Path, segs: list[Segmentation], asked: Asked | None = None, *, overwrite: bool = False) -> MeasureSink:
    sink = MeasureSink(path, asked, overwrite=overwrite, block=True)
    sink.spec = SPEC
    with sink:
        for one in segs:
            sink(one)
    return sink


def cine(count: int = 8, epoch: int = 0, first: int = 0) -> list[Segmentation]:
    return [seg(MASK, first + i, epoch=epoch) for i in range(count)]


def test_a_row_a_frame_and_then_the_cine(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "widths.csv"
    segs = [*cine(), seg(None, 8), seg(MASK, 9, shown=False)]
    sink = run(path, segs, Asked(weeks=22.0, left="right"))
    assert (sink.written, sink.dropped, sink.notice) == (10, 0, "")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == ["frame"] * 10 + ["cine"]
    assert [row["index"] for row in rows] == [*map(str, range(10)), "0"]
    assert [row["frames_counted"] for row in rows] == [*"1111111100", "8"]
    assert (rows[1]["time_ms"], rows[1]["unit"], rows[1]["model"]) == ("40", "mm", "drawn-1")
    assert rows[8]["not_counted"] == "no mask"
    assert rows[9]["pa_ao_withheld"] == rows[9]["not_counted"] == "not the 3VT view"
    last = rows[-1]
    assert float(last["pa_ao"]) == pytest.approx(18 / 14, abs=0.04)
    assert (last["pa_ao_frames"], last["arches"], last["arch_side"]) == ("8", "V", "left")
    assert float(last["pa_ao_low"]) <= float(last["pa_ao"]) <= float(last["pa_ao_high"])
    assert float(last["pa_ao_confidence"]) == pytest.approx(0.8)
    assert "95 % within 0.87-1.58" in last["reference"]
    assert "3.73 mm expected at 22 weeks (338 fetuses" in last["reference"]
    assert all(row["notice"].endswith("not for diagnosis.") for row in rows)


def test_the_json_is_a_document_that_reads_back(tmp_path: Path) -> None:
    run(tmp_path / "w.json", cine(), Asked(weeks=22.0, left="right"))
    document = read_json(Sheet, tmp_path / "w.json")
    assert (document.model_id, document.weeks, document.left) == ("drawn-1", 22.0, "right")
    assert len(document.frames) == 8
    assert tuple(document.frames[0].values) == NAMES
    assert [one.of for one in document.references] == [
        "pa_ao",
        "pulmonary_artery_width",
        "aortic_arch_width",
        "superior_vena_cava_width",
    ]
    other = json.loads((tmp_path / "w.json").read_text()) | {"schema": 2}
    (tmp_path / "w.json").write_text(json.dumps(other))
    with pytest.raises(ConfigError, match="schema 2"):
        read_json(Sheet, tmp_path / "w.json")


def test_every_row_has_every_column() -> None:
    measurer = Measurer(Asked())
    for one in cine(3):
        measurer(one)
    lines = list(csv.reader(to_csv(measurer.sheet()).splitlines()))
    assert {len(line) for line in lines} == {len(COLUMNS)}
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_the_fetal_left_is_forgotten_when_the_picture_changes() -> None:
    measurer = Measurer(Asked(left="right"))
    for one in (*cine(6), *cine(6, epoch=1, first=6)):
        measurer(one)
    first, second = measurer.sheet().cines
    assert first.values["arch_side"].value == "left"
    assert second.values["arch_side"].withheld == "the fetal left is not set"
    assert second.values["arches"].value == "V"


def test_a_spacing_is_taken_where_the_source_has_none() -> None:
    measurer = Measurer(Asked(mm_per_px=0.1))
    unknown, known = measurer(seg(MASK, 0, mm_per_px=None)), measurer(seg(MASK, 1, mm_per_px=0.2))
    assert (unknown.unit, known.unit) == ("mm", "mm")
    name = "pulmonary_artery_width"
    assert known.values[name].value == pytest.approx(2 * float(unknown.values[name].value or 0))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mm_per_px": 0.0}, "mm_per_px is 0, expected 0.005 to 2"),
        ({"mm_per_px": -0.1}, "expected 0.005 to 2"),
        ({"mm_per_px": float("nan")}, "expected 0.005 to 2"),
        ({"weeks": 0.0}, "weeks is 0, expected a gestational age of 10 to 45"),
        ({"weeks": 220.0}, "weeks is 220"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Asked(**asked)  # type: ignore[arg-type]


def test_a_spacing_of_zero_is_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    with pytest.raises(DataError, match=r"frame 0: a spacing of 0 mm, expected a positive number") as said:
        run(path, [seg(MASK, 0, mm_per_px=0.0)] * 3)
    assert "\n" not in str(said.value)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_another_suffix_and_a_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="--overwrite"):
        MeasureSink(path, overwrite=False)
    assert path.read_text() == "precious"
    run(path, cine(1), overwrite=True)
    assert path.read_text().startswith("row,index,")
    with pytest.raises(ConfigError, match=r"\.csv or \.json"):
        MeasureSink(tmp_path / "w.xlsx", overwrite=False)
    with pytest.raises(DataError, match="cannot be written"):
        MeasureSink(path / "w.csv", overwrite=False)


def test_a_stream_without_pictures_and_a_broken_one_leave_no_file(tmp_path: Path) -> None:
    run(tmp_path / "w.csv", [])

    def breaking() -> None:
        with MeasureSink(tmp_path / "w.csv", overwrite=False, block=True) as sink:
            sink(seg(MASK))
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        breaking()
    assert list(tmp_path.iterdir()) == []


def test_another_class_map_counts_no_frame(tmp_path: Path) -> None:
    measurer = Measurer(Asked(), ("background", "nerve"))
    measurer(seg(MASK))
    assert measurer.sheet().cines[0].values["pa_ao"].withheld == (
        "no frame counts (the engine's classes are not those of the view)"
    )


def test_beyond_its_room_frames_are_dropped_and_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MOST_FRAMES", 0)
    with MeasureSink(tmp_path / "w.csv", overwrite=False, block=True) as sink:
        for one in cine(3):
            sink(one)
        assert (sink.written, sink.dropped, sink.notice) == (0, 3, "MEASURE FULL")


def test_live_ten_frames_a_second_are_measured_at_most(tmp_path: Path) -> None:
    with MeasureSink(tmp_path / "w.csv", overwrite=False) as sink:
        for index in range(9):  # 40 ms apart
            sink(seg(None, index))
            assert sink.dropped >= index + 1 - -(-(index + 1) // 3)
    assert sink.written + sink.dropped == 9
    assert 1 <= sink.written <= 3
