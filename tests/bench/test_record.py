from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3vt.bench.prediction import Mode, Sight
from edge3vt.bench.record import (
    ModelFacts,
    Record,
    SetFacts,
    chosen,
    evaluate,
    own_dice,
    read_record,
    write_record,
)
from edge3vt.core.documents import to_json
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import Dataset
from edge3vt.picture.images import write_image
from tests.bench.painted import PaintedSession, anatomy, painted_set
from tests.data.cohort import changed


def judged(dataset: Dataset, session: PaintedSession | None = None, mode: Mode = "whole", name: str = "m") -> Record:
    facts = ModelFacts(name, "m-1", "0" * 64, "fp32", 1.0, 2.0)
    items = chosen(dataset, "test", mode)
    of = SetFacts(dataset.folder.name, "0" * 64, "test", "drawn")
    return evaluate(Sight(session or PaintedSession(), mode), dataset, items, facts, of)


@pytest.fixture
def painted(tmp_path: Path) -> Dataset:
    return painted_set(tmp_path / "set", cine=3)


def test_a_perfect_model_and_one_that_loses_the_trachea(painted: Dataset) -> None:
    perfect = judged(painted).summary
    assert (perfect.cases, perfect.patients) == (11, 5)
    assert (perfect.dice, perfect.iou, perfect.pa, perfect.pa_overall) == (1, 1, 1, 1)
    assert (perfect.hd95, perfect.nsd, perfect.missed, perfect.false_positive, perfect.flicker) == (0, 1, 0, 0, 0)
    poorer = judged(painted, PaintedSession(lost=(4,))).summary
    assert poorer.dice == pytest.approx(0.75)
    assert poorer.structures["trachea"].missed == 1
    assert poorer.structures["trachea"].empty == 2
    assert poorer.dice_interval == (pytest.approx(0.75), pytest.approx(0.75))


def test_the_unit_is_mm_only_where_every_picture_has_a_scale(painted: Dataset) -> None:
    record = judged(painted)
    assert (record.unit, record.tolerance, record.size) == ("mm", 1.0, 96)
    record = judged(changed(painted, "p0-0", mm_per_px=None))
    assert (record.unit, record.tolerance) == ("px", 2.0)


def test_a_record_comes_back_as_it_was_written(painted: Dataset, tmp_path: Path) -> None:
    record = judged(painted)
    write_record(record, tmp_path / "out")
    for path in (tmp_path / "out", tmp_path / "out" / "record.json"):
        assert read_record(path) == (record, tmp_path / "out")
    text = to_json(record)
    broken = tmp_path / "broken.json"
    broken.write_text(text.replace('"spine"', '"rib"', 1))
    with pytest.raises(ConfigError, match="other structures"):
        read_record(broken)
    broken.write_text(text.replace('"schema": 1', '"schema": 2', 1))
    with pytest.raises(ConfigError, match="schema 2"):
        read_record(broken)


def test_the_worst_case_comes_first(painted: Dataset) -> None:
    picture = painted.picture(painted.items[2])
    write_image(painted.folder / "pictures" / f"{painted.items[2].id}.png", np.where(picture > 60, 0, picture))
    record = judged(painted)
    assert record.worst[0] == painted.items[2].id
    assert not any(id.startswith("p3") for id in record.worst), "an empty picture has no Dice"
    cases = {case.id: case for case in record.cases}
    assert own_dice(cases[record.worst[0]], record.scored) == pytest.approx(0.25)
    assert own_dice(cases["p3-0"], record.scored) is None


def test_items_that_cannot_be_judged_are_refused(painted: Dataset) -> None:
    with pytest.raises(DataError, match=r"no picture in the split 'train' \(there are: test\)"):
        chosen(painted, "train", "whole")
    assert len(chosen(painted, "all", "whole", 5)) == 5
    one = changed(painted, "p1-0", mask_sha256=None, classes=())
    with pytest.raises(DataError, match=r"1 of 11 pictures .* not labelled, the first is p1-0"):
        chosen(one, "test", "whole")


def test_frames_of_a_cine_need_no_label_but_for_an_oracle(painted: Dataset) -> None:
    part = changed(painted, "c-0001", mask_sha256=None, classes=())
    record = judged(part)
    assert record.summary.cases == 10
    assert [(cine.pairs, cine.labelled) for cine in record.cines] == [(2, 0)]
    with pytest.raises(DataError, match="the first is c-0001"):
        chosen(part, "test", "truth")
    for item in part.items:
        part = (
            changed(part, item.id, mask_sha256=None, classes=()) if item.cine else changed(part, item.id, split="train")
        )
    with pytest.raises(DataError, match="3 of 3 pictures"):
        chosen(part, "test", "whole")


def test_a_picture_of_another_size_is_refused(painted: Dataset) -> None:
    write_image(painted.folder / "pictures" / "p0-0.png", anatomy(0)[:50])
    with pytest.raises(DataError, match="p0-0 is 96x50 px, expected 96x96"):
        judged(painted)
