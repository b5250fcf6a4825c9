from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3vt.clinic import arches, judge, judged, vessel
from edge3vt.clinic.judge import fetal_left, main, on_grid, true_values
from edge3vt.clinic.judged import GROUPS, Judged, Record, limits
from edge3vt.core.documents import read_json
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Crop
from edge3vt.core.spec import ModelSpec
from edge3vt.phantom.anatomy import draw_anatomy
from edge3vt.phantom.cine import Scene
from edge3vt.picture.mask import place
from edge3vt.stream.lane import ThreadLane
from tests.bench.test_follower import Reader


class Blind(Reader):
    """An engine of the student's size that finds nothing."""

    spec = ModelSpec(1, "blind", "1", Reader.spec.classes, 384, 384, 1, True, True, "")

    def __init__(self) -> None:
        super().__init__(blind=10**6)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WIDTH", 640), ("HEIGHT", 480), ("SECONDS", 0.07)):
        monkeypatch.setattr(judge, name, value)


def judgement(fetuses: int = 2) -> list[Judged]:
    lane = ThreadLane(Blind)
    try:
        return judge.judge(lane, GROUPS[0], fetuses, lambda what: None)
    finally:
        lane.close()


def missed(found: list[Judged]) -> set[str]:
    """The limits that the true masks miss."""
    return {limit.name.split(",")[0] for limit in limits(found) if "true" in limit.name and not limit.passed}


def test_true_masks_keep_every_limit_and_an_engine_that_finds_nothing_none() -> None:
    true, engine = judgement()
    assert (true.masks, true.fetuses, true.frames, true.overlay) == ("true", 2, 2, 1.0)
    assert missed([true]) == set()
    assert true.by_frame["pulmonary_artery_width"].bias == pytest.approx(0, abs=0.05)
    assert engine.overlay == 0.0
    assert not any(limit.passed for limit in limits([engine]))
    assert sum(engine.by_frame["pa_ao"].withheld.values()) == 2


def test_a_swapped_side_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    swapped = {"left": (1, 0), "right": (-1, 0), "up": (0, 1), "down": (0, -1)}
    monkeypatch.setattr(arches, "DIRECTIONS", swapped)
    assert missed(judgement()) == {"arch_side right", "duct_side right"}


def test_a_width_along_the_course_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    walls = vessel._walls

    def slanted(field: np.ndarray, line: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
        left, right = walls(field, line, reach)
        return np.roll(left, 9, axis=0), np.roll(right, -9, axis=0)

    monkeypatch.setattr(vessel, "_walls", slanted)
    true, _ = judgement()
    assert (true.by_frame["pulmonary_artery_width"].bias or 1) > 0.1


def test_a_loop_that_takes_v_for_u_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = arches.cv2.pointPolygonTest
    monkeypatch.setattr(arches.cv2, "pointPolygonTest", lambda *a, **k: -inside(*a, **k))
    assert {"arches right", "arches shown"} & missed(judgement())


def test_a_mask_on_the_grid_of_a_crop_goes_back_to_where_it_was() -> None:
    truth = np.random.default_rng(1).integers(0, 6, (60, 80)).astype(np.uint8)
    crop = Crop(-5, -10, 90, 90)
    assert np.array_equal(place(on_grid(truth, crop), crop, truth.shape), truth)


@pytest.mark.parametrize("seed", range(9_700_000, 9_700_004))
def test_the_side_that_is_set_is_where_the_fetal_left_lies(seed: int) -> None:
    scene = Scene(seed, 640, 480, variant="left_svc", weeks=30.0)
    mask = scene.truth(0.0)
    rows, columns = np.nonzero(mask == 3)
    veins = scene.anatomy.veins
    r, c = np.mean(rows), np.mean(columns)
    ahead = {"left": columns < c, "right": columns > c, "up": rows < r, "down": rows > r}[fetal_left(scene)]
    pose = scene.motion.at(0.0)
    scanner = scene.scanner_at(0.0)
    across, depth = scanner.pixel_mm
    x0, y0 = scene.region.x0, scene.region.y0
    x, _ = pose.to_anatomy(across[columns - x0], depth[rows - y0])
    assert veins[1][0] > veins[0][0]
    assert x[ahead].mean() > x[~ahead].mean()


def test_what_is_true_of_the_variants() -> None:
    rng = np.random.default_rng(1)
    told = {
        variant: true_values(draw_anatomy(rng, 28.0, variant))
        for variant in ("normal", "right_arch_left_duct", "right_arch_right_duct", "left_svc")
    }
    sides = {variant: (t["arches"], t["arch_side"], t["duct_side"], t["vessels"]) for variant, t in told.items()}
    assert sides == {
        "normal": ("V", "left", "left", 3),
        "right_arch_left_duct": ("U", "right", "left", 3),
        "right_arch_right_duct": ("V", "right", "right", 3),
        "left_svc": ("V", "left", "left", 4),
    }


def test_the_seeds_are_those_that_nothing_was_tuned_on() -> None:
    assert [group.first_seed for group in GROUPS] == [8_000_000, 8_100_000]
    assert (judged.MOST_BIAS, judged.MOST_SD, judged.LEAST_RIGHT) == (0.05, 0.1, 0.95)
    assert [group.shown for group in GROUPS] == [0.8, 0.6]


def test_the_command_writes_a_record_and_fails_for_a_missed_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    monkeypatch.setattr(judge, "open_engine", lambda path: Blind())
    assert main([str(tmp_path), str(out), "--fetuses", "1"]) == 1
    record = read_json(Record, out)
    assert (len(record.groups), len(record.limits), record.passed) == (4, 32, False)
    assert "MISSED: PA/Ao SD, 18-23 weeks, engine masks" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="exists already"):
        main([str(tmp_path), str(out)])
    with pytest.raises(ConfigError, match="--fetuses 0"):
        main([str(tmp_path), str(out), "--fetuses", "0", "--overwrite"])
