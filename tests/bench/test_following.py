from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.bench import following
from edge3vt.bench.followed import Record
from edge3vt.bench.following import GROUPS, HELD, JUMPS, follow, frames_of, jump, main, real
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import read_json
from edge3vt.core.errors import ConfigError
from edge3vt.picture.images import write_image
from tests.bench.test_follower import Reader, painted

STUDENT = Path(following.__file__).parents[1] / "assets/student-s384"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WIDTH", 320), ("HEIGHT", 240), ("SECONDS", 0.3), ("JUMP_S", 0.2)):
        monkeypatch.setattr(following, name, value)


def quiet(_: str) -> None: ...


def test_every_way_sees_the_same_pictures_and_a_blind_engine_shows_none() -> None:
    ways = follow(Reader(blind=10**6), GROUPS[0], 1, quiet)
    assert [one.way for one in ways] == ["acquire", "track", "looks"]
    assert {(one.cines, one.view_frames + one.other_frames) for one in ways} == {(1, 9)}
    assert {one.shown_in_view for one in ways} == {0.0}
    assert {one.dice_mean for one in ways} == {0.0}


def test_others_never_hold_the_view() -> None:
    (acquire, *_) = follow(Reader(blind=10**6), GROUPS[3], 1, quiet)
    assert (acquire.view_frames, acquire.other_frames, acquire.shown_outside) == (0, 9, 0.0)


def test_a_jump_of_an_engine_that_sees_nothing_is_held_by_none() -> None:
    ways = jump(Reader(blind=10**6), JUMPS[0], 30.0, 1, quiet)
    assert {(one.cines, one.held, one.found_ms) for one in ways} == {(1, 0, ())}


def test_a_picture_is_held_and_an_overlay_on_it_counts(tmp_path: Path) -> None:
    file = tmp_path / "shown.png"
    write_image(file, painted() * 40)
    assert len(list(frames_of(file))) == HELD
    found = real(Reader(), file, [sha256_file(file)])
    assert found.trained_on
    assert found.shown["acquire"] == pytest.approx((HELD - 2) / HELD, abs=1e-4)
    assert not real(Reader(), file, ["another"]).trained_on


def test_the_command_writes_a_record_marks_what_was_trained_on_and_fails_for_a_false_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known, new = tmp_path / "known.png", tmp_path / "new.png"
    write_image(known, np.zeros((64, 64), np.uint8))
    write_image(new, painted() * 40)
    card, out = tmp_path / "card.json", tmp_path / "out.json"
    card.write_text(f'{{"real_negatives": {{"known.png": "{sha256_file(known)}"}}}}')
    (tmp_path / "notes.txt").write_text("no picture")
    asked = [str(STUDENT / "student.onnx"), str(out), "--cines", "0", "--jumps", "0", "--real", str(tmp_path)]
    asked += ["--card", str(card)]
    assert main(asked) == 0, "the student takes neither for the view"
    record = read_json(Record, out)
    assert [(file.name, file.trained_on) for file in record.real] == [("known.png", True), ("new.png", False)]
    assert "new.png, 12 frames" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="exists already"):
        main(asked)
    monkeypatch.setattr(following, "open_model", lambda *_: Reader())
    assert main([*asked, "--overwrite"]) == 1
    assert any(not limit.passed for limit in read_json(Record, out).limits)


def test_a_card_without_negatives_and_another_class_map_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tmp_path / "card.json"
    card.write_text("{}")
    asked = [str(STUDENT / "student.onnx"), str(tmp_path / "out.json"), "--cines", "0", "--jumps", "0"]
    with pytest.raises(ConfigError, match="names real_negatives"):
        main([*asked, "--card", str(card)])
    other = Reader()
    other.spec = replace(Reader.spec, classes=("background", "nerve"))
    monkeypatch.setattr(following, "open_model", lambda *_: other)
    with pytest.raises(ConfigError, match="its classes are background, nerve"):
        main(asked)
