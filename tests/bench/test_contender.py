from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3vt.bench.contender import SETTLING_NS, Contender, read_scene, take_turn, write_scene
from edge3vt.core.clock import NS_PER_MS, ManualClock
from edge3vt.core.frame import Frame, Region

PROGRAM = """
import sys
import numpy as np

def open_loop(model, size):
    print("noise on stdout")
    if model.endswith("broken"):
        raise RuntimeError("no such model here")
    def loop(picture):
        assert picture.shape == (24, 32)
        if model.endswith("dies"):
            loop.left -= 1
            if not loop.left:
                sys.exit(7)
        return np.zeros((size, size))
    loop.left = 3
    return loop
"""


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    frames = [Frame(i, 0, np.full((24, 32), i, np.uint8), region=Region(2, 1, 30, 20), mm_per_px=0.1) for i in range(3)]
    write_scene(frames, tmp_path / "scene.npz")
    return tmp_path / "scene.npz"


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return str(path)


def test_a_scene_comes_back_as_it_was(scene: Path) -> None:
    frames = read_scene(scene)
    assert [int(frame.pixels[0, 0]) for frame in frames] == [0, 1, 2]
    assert frames[1].bounds == Region(2, 1, 30, 20)
    assert frames[1].mm_per_px == 0.1


def test_settling_is_not_counted_and_pictures_come_in_turn() -> None:
    clock, seen = ManualClock(), list[str]()

    def loop(picture: str) -> None:
        seen.append(picture)
        clock.advance_ms(10 if len(seen) > 1 else 100)

    times = take_turn(loop, ["a", "b"], 0.2, clock)
    assert seen[:4] == ["a", "b", "a", "b"]
    assert times == [10 * NS_PER_MS] * 10
    assert SETTLING_NS < 100 * NS_PER_MS


def test_a_turn_counts_one_picture_however_long_it_takes() -> None:
    clock = ManualClock()
    assert take_turn(lambda picture: clock.advance_ms(5000), [0], 0.1, clock) == [5000 * NS_PER_MS]


def test_a_program_takes_its_turns_in_a_process_of_its_own(program: str, scene: Path) -> None:
    contender = Contender(program, Path("whole"), 16, scene)
    try:
        assert contender.ready()
        turn = contender.turn(0.05)
        assert turn is not None
        assert min(turn.times_ns) > 0
        assert turn.cpu_s > 0
        assert not turn.stages_ns
    finally:
        contender.close()


@pytest.mark.parametrize("model", ["broken", "dies"])
def test_a_program_that_fails_says_why_and_is_left_out(program: str, scene: Path, model: str) -> None:
    contender = Contender(program, Path(model), 16, scene)
    assert not contender.ready()
    assert contender.turn(0.05) is None
    assert contender.failed == (
        "ended with 1: RuntimeError: no such model here" if model == "broken" else "ended with 7: noise on stdout"
    )
    contender.close()
