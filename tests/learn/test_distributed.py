"""Two processes by torchrun train as one does with the same global batch."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge3vt.learn.distillation import Distillation
from edge3vt.learn.loop import LOG
from edge3vt.learn.recipe import Recipe, Schedule, Teacher
from tests.learn.squares import make_squares, recipe
from tests.learn.test_train import run

SCRIPT = """
import pickle, sys
from pathlib import Path
from tests.learn.test_train import run
run(pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
"""


def run_by_torchrun(asked: Recipe, out: Path, folder: Path) -> None:
    (folder / "recipe.pickle").write_bytes(pickle.dumps(asked))
    (folder / "script.py").write_text(SCRIPT)
    root = Path(__file__).parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with subprocess.Popen(
        [*command, str(folder / "script.py"), str(folder / "recipe.pickle"), str(out)],
        env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as torchrun:  # fmt: skip
        try:
            said = torchrun.communicate(timeout=180)[1]
        except BaseException:
            os.killpg(torchrun.pid, signal.SIGKILL)  # its workers too
            raise
    assert torchrun.returncode == 0, said[-3000:]


def curves(out: Path) -> list[list[float]]:
    names = ("segmentation", "pseudo", "kl", "cwd", "dist", "temporal")
    lines = [json.loads(line) for line in (out / LOG).read_text().splitlines()]
    return [[line[name] for name in names] for line in lines if "rate" in line]


def test_the_losses_are_those_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stills, cines = make_squares(tmp_path / "stills", 16), make_squares(tmp_path / "cines", cines=3)
    # a small rate: rounding, which two processes order otherwise, grows with it to 1e-3 at 2e-3
    plan = Schedule(steps=100, every=200, warmup=10, batch=8, cooldown=0.5, learning_rate=3e-4)
    began = recipe(stills, schedule=replace(plan, steps=20, learning_rate=2e-3))
    run(began, tmp_path / "teacher")
    asked = recipe(
        stills,
        schedule=plan,
        init=str(tmp_path / "teacher"),
        frozen_statistics=True,
        precision="32-true",
        unlabelled=(str(cines),),
        teacher=Teacher(full=str(tmp_path / "teacher"), looks=2, side=64),
        distillation=Distillation(pseudo=1.0, kl=1.0, cwd=1.0, dist=1.0, temporal=1.0, boundary=1.0),
    )
    run(asked, tmp_path / "one")
    run_by_torchrun(asked, tmp_path / "two", tmp_path)
    record = json.loads((tmp_path / "two" / "record.json").read_text())
    assert record["processes"] == 2
    one, two = curves(tmp_path / "one"), curves(tmp_path / "two")
    assert len(one) == len(two) == 3
    for first, second in zip(one, two, strict=True):
        assert second == pytest.approx(first, abs=1e-3)
    assert one[0] != pytest.approx(one[-1], abs=1e-3), "the training moved"
