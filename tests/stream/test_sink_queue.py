"""Wrong masks go into a folder that the import takes, whole, and never as labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.frame import Crop, Frame, Region
from edge3vt.core.segmentation import Segmentation, State, Verdict
from edge3vt.picture.images import read_image
from edge3vt.stream.sinks.queue import Queue

REGION = Region(40, 20, 300, 180)


def seg(index: int = 7, region: Region | None = REGION) -> Segmentation:
    pixels = np.random.default_rng(index).integers(1, 255, (240, 320), dtype=np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    mask[40:60, 40:60] = 2
    crop = Crop(40, 0, 200, 96)
    frame = Frame(index, 10**9, pixels, region=region, mm_per_px=0.2)
    return Segmentation(frame, mask, 10**9, crop, Verdict.ON_TIME, "", False, State.LIVE, (1.0,), True, "", "student-1")


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_picture_is_cropped_to_its_region_and_the_mask_lies_on_it(tmp_path: Path) -> None:
    assert Queue(tmp_path / "q").add(seg()) == "mask wrong: kept in q (1 of 500)"
    [item] = [path for path in (tmp_path / "q").glob("*/*") if path.is_dir()]
    assert files(item) == ["record.json", "rejected/0-000007.png", "unlabelled/0-000007.png"]
    assert np.array_equal(read_image(item / "unlabelled" / "0-000007.png"), seg().frame.pixels[20:180, 40:300])
    mask = read_image(item / "rejected" / "0-000007.png")
    assert set(np.unique(mask)) == {0, 2}
    assert mask.shape == (160, 260)
    ys, xs = np.nonzero(mask)
    assert (xs.min(), ys.min()) == pytest.approx((40 * 200 / 96, 40 * 200 / 96 - 20), abs=1.5)
    record = json.loads((item / "record.json").read_text())
    assert (record["model_id"], record["mm_per_px"], record["classes"]) == ("student-1", 0.2, list(CLASS_NAMES))


def test_the_import_takes_it_as_unlabelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edge3vt.cli.main import main

    queue = Queue(tmp_path / "q")
    for index in range(3):
        queue.add(seg(index))
    arguments = ["data", "import", str(tmp_path / "q"), str(tmp_path / "set"), "--patient-from", "folder:1", "--json"]
    with pytest.raises(SystemExit, match=r"^0$"):
        main(arguments)
    told = json.loads(capsys.readouterr().out)
    assert (told["items"], told["labelled"], told["patients"], told["refused"]) == (3, 0, 1, [])


def test_nothing_is_kept_of_a_screen_whose_region_is_unknown(tmp_path: Path) -> None:
    assert "not known" in Queue(tmp_path / "q").add(seg(region=None))
    assert "no mask" in Queue(tmp_path / "q").add(replace(seg(), mask=None))
    assert not (tmp_path / "q").exists()


def test_it_is_bounded_and_says_when_it_is_full(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q", most_items=2)
    said = [queue.add(seg(index)) for index in range(3)]
    assert said[2] == "QUEUE FULL: import q, then empty it"
    assert len(list((tmp_path / "q").glob("*/*/record.json"))) == 2
    assert "QUEUE FULL" in Queue(tmp_path / "q", most_bytes=100).add(seg(9))
    assert queue.add(seg(0)).startswith("QUEUE FULL")


def test_what_was_torn_is_no_item_and_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(tmp_path / "q")
    queue.add(seg(0))
    torn = next((tmp_path / "q").glob("*/")) / ".0-000001.part"
    (torn / "unlabelled").mkdir(parents=True)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("edge3vt.stream.sinks.queue.write_json", full)
        with pytest.raises(OSError, match="No space"):
            queue.add(seg(1))
    assert len(files(tmp_path / "q")) == 4
    assert not torn.exists()
    assert queue.add(seg(1)).startswith("mask wrong")
    assert queue.add(seg(1)) == "kept already"
