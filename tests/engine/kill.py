"""Builds and imports that are killed: ``python -m tests.engine.kill N [--by step|time] [--probe] [--seed S]``.

Each of N dies by SIGKILL at some step on the disk, or at some time. Then the next start has to find a whole engine, the
old or the new one, or none where there was none, and to leave nothing half beside it. Exit code 1 where it does not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.engine import build as building
from edge3vt.engine import install as installing
from edge3vt.engine import keyring
from edge3vt.engine.bundle import CARD, Bundle, pack, unpack
from edge3vt.engine.manifest import EngineManifest, unseal
from edge3vt.engine.open import open_engine
from edge3vt.engine.place import recover
from edge3vt.engine.recipe import EngineRecipe, VerifyLimits
from edge3vt.engine.slots import active, fill
from tests import nets

SIZE = 32
STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock"}
MODEL = nets.student(SIZE)
GOLDEN = nets.pictures(2, SIZE, seed=3)
LIMITS = VerifyLimits(min_agreement=0.9, min_dice=0.9)
RECIPE = EngineRecipe(1, "small", "small.onnx", "fp32", "onnxruntime", "golden", verify=LIMITS)
SCENES = ("first build", "build over another", "first import", "import over another")


def build(out: Path, keep: Callable[[EngineManifest], bool] | None = None) -> EngineManifest:
    return building.build(RECIPE, MODEL, MODEL, GOLDEN, out, overwrite=True, keep=keep)


def bundles(root: Path) -> list[Bundle]:
    """Releases 1 and 2, by the key in root/keys."""
    found = []
    for release in (1, 2):
        build(root / "work")
        (root / str(release)).write_bytes(pack(unseal(root / "work"), MODEL, None, {CARD: b"card"}))
        found.append(unpack(root / str(release)))
    return found


def act(scene: str, root: Path, packed: list[Bundle]) -> None:
    """What is killed."""
    place = root / "engines" / "small"
    if "build" in scene:
        build(place)
    else:
        bundle = packed["another" in scene]
        fill(place, lambda slot: installing.install(bundle.sealed, slot))


def start(scene: str, root: Path, packed: list[Bundle]) -> int:
    """The next start, as ``edge3vt run`` does it; the release that runs then."""
    place = root / "engines" / "small"
    if "build" in scene:
        recover(place)
        if not place.exists():
            build(place, keep=lambda _: True)
    elif not (place / "slots.json").exists():
        act(scene, root, packed)
    open_engine(place).close()
    return unseal(active(place)).manifest.release


def child(work: Callable[[], Any]) -> int:
    """Run ``work`` in a forked process; its exit code, negative for a signal."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = int(work() or 0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(step: int, root: Path, work: Callable[[], Any], said: int | None = None) -> None:
    """Run ``work`` and die before its ``step``-th step on the disk below ``root``; tell ``said`` each step."""
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        below = any(isinstance(a, str | Path) and str(a).startswith(str(root)) for a in arguments)
        if event in STEPS and (below or event in ("fcntl.flock", "os.remove", "os.rmdir")):
            count += 1
            if said is not None:
                os.write(said, b".")
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    work()


def steps_of(scene: str, root: Path, packed: list[Bundle]) -> int:
    reader, writer = os.pipe()
    assert child(lambda: killed_at(-1, root, lambda: act(scene, root, packed), writer)) == 0
    os.close(writer)
    count = 0
    while data := os.read(reader, 4096):
        count += len(data)
    os.close(reader)
    return count


def stage(scene: str, root: Path, packed: list[Bundle], keys: Path) -> None:
    """A new root: with the maker's keys unless this is the first build, and with an engine where there is another."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "engines").mkdir(parents=True)
    if scene != "first build":
        shutil.copytree(keys, root / "keys")
    if "another" in scene:
        first = scene.replace("over another", "").strip()
        assert child(lambda: act(first if first == "build" else "first import", root, packed)) == 0


def half(root: Path) -> list[str]:
    """What no writer should have left."""
    return sorted(str(path.relative_to(root)) for path in root.rglob(".*"))


def run(count: int, *, by: str, seed: int, probe: bool) -> tuple[int, list[str]]:
    """How many died as they should, and what was wrong after them."""
    rng, faults, died = np.random.default_rng(seed), list[str](), 0
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {}):
        base = Path(folder)
        if not probe:
            for module in (building, installing):
                mock.patch.object(module, "probe", return_value=None).start()
        os.environ[keyring.VARIABLE] = str(base / "keys")
        assert child(lambda: bundles(base) and None) == 0  # in a child: a runtime's threads do not survive a fork
        packed = [unpack(base / str(release)) for release in (1, 2)]
        root = base / "root"
        os.environ[keyring.VARIABLE] = str(root / "keys")
        lengths: dict[str, tuple[int, float]] = {}
        for scene in SCENES:
            stage(scene, root, packed, base / "keys")
            started_ns = clock.now_ns()
            steps = steps_of(scene, root, packed)
            lengths[scene] = steps, (clock.now_ns() - started_ns) / NS_PER_S
        for number in range(count):
            scene = SCENES[number % len(SCENES)]
            stage(scene, root, packed, base / "keys")
            steps, seconds = lengths[scene]
            if by == "step":
                at = int(rng.integers(1, steps + 1))
                code = child(lambda s=scene, n=at: killed_at(n, root, lambda: act(s, root, packed)))  # type: ignore[misc]
            else:
                at = float(rng.uniform(0, seconds))  # type: ignore[assignment]

                def late(scene: str = scene, at: float = at) -> None:
                    signal.setitimer(signal.ITIMER_REAL, at)
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)
                    act(scene, root, packed)

                code = child(late)
            died += code in (-signal.SIGKILL, -signal.SIGALRM)
            title = f"{scene}, killed at {by} {at:.4g}"
            if code > 0:
                faults.append(f"{title}: it failed before that")
            release = child(lambda s=scene: start(s, root, packed))  # type: ignore[misc]
            if release not in ((1, 2) if "another" in scene else (1,)):
                faults.append(f"{title}: the next start ended with {release}")
            if left := half(root):
                faults.append(f"{title}: left {', '.join(left)}")
        mock.patch.stopall()
    return died, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--by", choices=("step", "time"), default="step")
    parser.add_argument("--probe", action="store_true", help="open each engine in a process of its own, as builds do")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    died, faults = run(options.count, by=options.by, seed=options.seed, probe=options.probe)
    print(f"{died} of {options.count} killed, {len(faults)} faults", *faults[:20], sep="\n  ")
    return 1 if faults or died < 0.5 * options.count else 0


if __name__ == "__main__":
    sys.exit(main())
