"""One contender of a side-by-side run, in a process of its own: it works for a while whenever it is its turn.

``python -m edge3vt.bench.contender WHAT MODEL SIZE SCENE``: WHAT is "ours", "engine", or a program with
``open_loop(model, size)`` that gives a function of a grey (H, W) picture. A line "SECONDS" on stdin is a turn; what it
took comes back as one line of JSON. Everything else that is printed goes to stderr.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from edge3vt.bench.endtoend import EndToEnd, EngineAlone
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from edge3vt.core.errors import DataError
from edge3vt.core.frame import Frame, Region
from edge3vt.engine.model import read_model
from edge3vt.engine.open import open_model

SETTLING_NS = 30 * NS_PER_MS  # of a turn is not counted: others were at work; one picture at least
OURS = ("ours", "engine")
LINE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Turn:
    """times_ns: of the pictures, one after the other. cpu_s: what the process took, settling included."""

    times_ns: tuple[int, ...]
    cpu_s: float
    stages_ns: Mapping[str, tuple[int, ...]]


class Contender:
    """The process, from outside. failed: why it cannot take part, empty where it can."""

    def __init__(self, what: str, model: Path, size: int, scene: Path, python: str = sys.executable) -> None:
        command = [python, "-m", "edge3vt.bench.contender", what, str(model), str(size), str(scene)]
        alone = os.environ | {"OMP_NUM_THREADS": "1"}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=alone
        )
        self.failed = ""

    def ready(self) -> bool:
        """Wait until it is open and warm."""
        if self._answer() is None:
            self._end()
        return not self.failed

    def turn(self, seconds: float) -> Turn | None:
        """None where it failed, now or before."""
        if self.failed:
            return None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
            answer = self._answer()
        except OSError:
            answer = None
        if answer is None:
            self._end()
            return None
        return Turn(tuple(answer["times_ns"]), answer["cpu_s"], {k: tuple(v) for k, v in answer["stages_ns"].items()})

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _end(self) -> None:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines() or ["no word"]
        self.failed = f"ended with {code}: {said[-1][:200]}"

    def _answer(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline(LINE_BYTES)
        answer: dict[str, Any] | None = json.loads(line) if line else None
        return answer


def take_turn(loop: Callable[[Any], object], pictures: Sequence[Any], seconds: float, clock: Clock) -> list[int]:
    """Times of ``loop`` on the pictures in turn, for so long; settling is not counted, one picture at least is."""
    begun = clock.now_ns()
    end, times, index = begun + round(seconds * NS_PER_S), list[int](), 0
    while True:
        started = clock.now_ns()
        loop(pictures[index % len(pictures)])
        done = clock.now_ns()
        if index and started - begun >= SETTLING_NS:
            times.append(done - started)
        index += 1
        if times and done >= end:
            return times


def write_scene(frames: Sequence[Frame], path: Path) -> None:
    """Grey frames of one size and region, for the contenders."""
    bounds = frames[0].bounds
    np.savez(
        path,
        pixels=np.stack([frame.pixels for frame in frames]),
        region=np.array([bounds.x0, bounds.y0, bounds.x1, bounds.y1]),
        mm_per_px=np.array(frames[0].mm_per_px or 0.0),
    )


def read_scene(path: Path) -> list[Frame]:
    """The frames of ``write_scene``."""
    with np.load(path) as held:
        region, scale = Region(*held["region"].tolist()), float(held["mm_per_px"]) or None
        return [Frame(i, 0, pixels, region=region, mm_per_px=scale) for i, pixels in enumerate(held["pixels"])]


def opened(
    what: str, model: Path, size: int, frames: Sequence[Frame], clock: Clock
) -> tuple[Callable[[Any], object], Sequence[Any], dict[str, list[int]]]:
    """The loop of a contender, what it is given in turn, and the times of its stages where it has some."""
    if what not in OURS:
        return _program(Path(what)).open_loop(str(model), size), [frame.pixels for frame in frames], {}
    read = read_model(model)
    session = open_model(read.data, read.spec, "openvino")
    if what == "engine":
        return EngineAlone(session, frames[0]), frames, {}
    ours = EndToEnd(session, clock, frames[0].pixels.shape)
    gc.collect()
    gc.freeze()  # as ``run`` does
    return ours, frames, ours.taken_ns


def _program(path: Path) -> Any:
    """A program as a module; what lies beside it can be imported, as when it is run."""
    if not path.is_file():
        raise DataError(f"{path}: no such program; run from the repository")
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serve(arguments: Sequence[str], turns: IO[str], answers: IO[str]) -> None:
    """Open, warm up with a turn that nobody counts, and take turns until there are no more."""
    what, model, size, scene = arguments
    cv2.setNumThreads(1)
    clock = SystemClock()
    loop, pictures, stages = opened(what, Path(model), int(size), read_scene(Path(scene)), clock)
    take_turn(loop, pictures, 0.5, clock)
    print("{}", file=answers, flush=True)
    for line in turns:
        for taken in stages.values():
            taken.clear()
        before = os.times()
        times = take_turn(loop, pictures, float(line), clock)
        after = os.times()
        cpu_s = after.user + after.system - before.user - before.system
        told = {name: taken[-len(times) :] for name, taken in stages.items()}
        print(json.dumps({"times_ns": times, "cpu_s": cpu_s, "stages_ns": told}), file=answers, flush=True)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdin.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    serve(sys.argv[1:], sys.stdin, answers)


if __name__ == "__main__":
    main()
