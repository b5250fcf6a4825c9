from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge3vt.bench.comparison import Comparison, compare
from edge3vt.bench.page import page
from edge3vt.bench.record import Record, frame_of
from edge3vt.bench.sheets import markdown, number, of_record, percent, probability, sheets, span
from edge3vt.bench.worst import SIDE_PX, pictured
from edge3vt.picture.images import write_image
from tests.bench.painted import PaintedSession, painted_set
from tests.bench.test_comparison import named, trained_again
from tests.bench.test_record import judged


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    dataset = painted_set(tmp_path_factory.mktemp("painted") / "set", patients=9, cine=3)
    good = judged(dataset, name="a|<b>")
    return [good, judged(dataset, PaintedSession(lost=(4,)), name="poor")]


@pytest.fixture(scope="module")
def comparison(records: list[Record]) -> Comparison:
    return compare(records)


def test_every_table_is_as_wide_as_its_head(comparison: Comparison) -> None:
    found = sheets(comparison)
    assert [sheet.caption.split(",")[0].split(" by ")[0] for sheet in found] == [
        "Models",
        "Dice",
        "95 % Hausdorff distance",
        "Share of the structures of which nothing was found",
        "Mean Dice",
        "Mean Dice",
        "Dice",
        "Differences on the same pictures",
    ]
    for sheet in found:
        assert {len(row) for row in sheet.rows} == {len(sheet.head)}, sheet.caption
    models = dict(zip(found[0].head, found[0].rows[1], strict=True))
    assert models["Dice"] == "0.750 (0.750 to 0.750)"
    assert (models["missed"], models["GMAC"], models["flicker"], models["runs"]) == ("25.0%", "2.00", "0.000", "1")


def test_markdown_escapes_and_holds_every_row(comparison: Comparison) -> None:
    text = markdown(comparison)
    assert "| a\\|<b> | 1.000 (1.000 to 1.000) |" in text
    assert "| poor less a\\|<b> | Dice | -0.250 | -0.250 to -0.250 |" in text
    for block in text.split("\n\n"):
        lines = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


def test_runs_show_how_far_apart_they_lie(records: list[Record]) -> None:
    two = compare([trained_again(named(record, "m"), seed) for seed, record in enumerate(records)])
    assert sheets(two)[0].rows[0][-1] == "2 (Dice 0.750 to 1.000)"


def test_a_record_in_lines(records: list[Record]) -> None:
    lines = of_record(records[1])
    assert lines[1] == "set, test: 21 pictures of 10 patients, against the set's masks"
    assert lines[2].startswith("Dice 0.750 (0.750 to 0.750), IoU 0.750")
    assert lines[3] == "cines: 1, change 0.247, flicker 0.000"
    (trachea,) = [line.split() for line in lines if line.startswith("trachea")]
    assert trachea == ["trachea", "19", "0.000", "0.000", "0.000", "–", "0.000", "100.0%", "0.0%", "of", "2"]  # noqa: RUF001
    assert len({len(line) for line in lines[4:]}) == 1


def test_numbers() -> None:
    assert (number(None), number(0.12345), percent(0.25), percent(None)) == ("–", "0.123", "25.0%", "–")  # noqa: RUF001
    assert (span((-0.1, 0.25), signed=True), span(None)) == ("-0.100 to +0.250", "–")  # noqa: RUF001
    assert (probability(0.0001), probability(0.0421)) == ("< 0.001", "0.042")


def test_the_page_is_whole_escaped_and_pictured(comparison: Comparison, records: list[Record], tmp_path: Path) -> None:
    dataset = painted_set(tmp_path / "set", patients=9)
    item, case = dataset.items[0], records[0].cases[0]
    picture = pictured(frame_of(dataset, item), dataset.mask(item), dataset.mask(item) * 0, case, 0.5)
    write_image(tmp_path / "worst" / f"{records[0].worst[0]}.png", picture)
    text = page(comparison, [(records[0], tmp_path), (records[1], tmp_path / "elsewhere")])
    assert text.count("<img ") == 1
    assert "data:image/jpeg;base64," in text
    assert "Their pictures are not beside the record." in text
    assert "a|&lt;b&gt;" in text
    assert "<b>" not in text
    assert text.count("<table>") == text.count("</table>") == len(sheets(comparison))
    assert text.count("<circle") == 2
    assert "http" not in text


def test_the_page_of_nothing_found_has_no_plot(tmp_path: Path) -> None:
    record = judged(painted_set(tmp_path / "set", patients=2, empty=2))
    assert "<svg" not in page(compare([record]), [(record, tmp_path)])


def test_a_record_of_elsewhere_reads_no_other_folder(records: list[Record], tmp_path: Path) -> None:
    dataset = painted_set(tmp_path / "set", patients=1, empty=0)
    write_image(tmp_path / "secret.png", dataset.picture(dataset.items[0]))
    sly = replace(records[0], worst=("../secret",))
    assert "<img" not in page(compare([sly]), [(sly, tmp_path)])


def test_truth_and_prediction_stand_side_by_side(tmp_path: Path, records: list[Record]) -> None:
    dataset = painted_set(tmp_path / "set", patients=1, empty=0)
    item = dataset.items[0]
    frame, truth = frame_of(dataset, item), dataset.mask(item)
    picture = pictured(frame, truth, truth * 0, records[0].cases[0], None)
    top = picture.shape[0] - SIDE_PX - 8
    left, right = picture[top:, 8 : 8 + SIDE_PX].astype(int), picture[top:, 16 + SIDE_PX : 16 + 2 * SIDE_PX].astype(int)
    coloured = [(abs(half[..., 0] - half[..., 2]) > 40).sum() for half in (left, right)]
    assert coloured[0] > 500
    assert coloured[1] == 0
    both = pictured(frame, truth, truth, records[0].cases[0], None)
    assert (both[top:, 8 : 8 + SIDE_PX] == both[top:, 16 + SIDE_PX : 16 + 2 * SIDE_PX]).all()
