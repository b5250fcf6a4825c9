"""Ours beside the loops that others write, in one interleaved run on one core, with limits on what it costs.

``python -m edge3vt.bench.peers OUT.json [--seconds 120] [--size 384] [--engine DIR]`` Each contender is a process of
its own (``benchmarks/peers/``); they take turns, in another order each round, on the same grey 1024x768 pictures in
memory. A contender that cannot be opened here is told as skipped, and its limits as missed. Figures in ms; ratios
within the run are what a limit is on. Exit code 1 for a missed limit.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from edge3vt import __version__
from edge3vt.bench.benchmark_app import benchmark_app, gathered
from edge3vt.bench.ceiling import ISA
from edge3vt.bench.contender import Contender, Turn, write_scene
from edge3vt.bench.form import resized, unnormalised
from edge3vt.bench.standing import ENGINE, OURS, Peers, limits, lines, rows
from edge3vt.core.clock import NS_PER_S, SystemClock, wall_label
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import write_json
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.core.frame import Frame
from edge3vt.core.machine import this_machine
from edge3vt.engine.manifest import open_verified
from edge3vt.phantom.cine import Scene

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "benchmarks" / "peers"
WIDTH, HEIGHT, PICTURES, SEED = 1024, 768, 16, 7
ROUNDS = 12
APP_RUNS = 3
PEERS = {
    "openvino": ("openvino_loop.py", "the same INT8 network in OpenCV and OpenVINO's usual loop"),
    "onnxruntime": ("onnxruntime_loop.py", "the same INT8 network in OpenCV and ONNX Runtime's usual loop"),
    "student-pytorch": ("student_pytorch.py", "the same weights in FP32 in PyTorch's usual loop"),
    "unet-resnet34": ("unet_resnet34.py", "U-Net on ResNet-34 in FP32 in PyTorch's usual loop, random weights"),
    "deeplab-resnet50": (
        "deeplab_resnet50.py",
        "DeepLabv3+ on ResNet-50 in FP32 in PyTorch's usual loop, random weights",
    ),
    "ultralytics": (
        "ultralytics_predict.py",
        "YOLO11n-seg by Ultralytics' predict and plot, random weights, nothing found",
    ),
}


def pictures(count: int = PICTURES) -> list[Frame]:
    """Grey phantoms of the view, some time apart."""
    scene = Scene(SEED, WIDTH, HEIGHT, kind="view")
    return [Frame(i, 0, scene.pixels(0.05 * i), region=scene.region, mm_per_px=scene.mm_per_px) for i in range(count)]


def order(names: Sequence[str], turn: int) -> list[str]:
    """Another first each round, and every second round backwards: who follows whom changes too."""
    start = turn % len(names)
    turned = [*names[start:], *names[:start]]
    return turned[::-1] if turn // len(names) % 2 else turned


def interleaved(
    takers: Mapping[str, Callable[[float], Turn | None]],
    seconds: float,
    rounds: int,
    told: Callable[[str], None] = lambda text: None,
) -> dict[str, list[Turn]]:
    """Turns of each by name; one that fails has fewer."""
    each = seconds / rounds / len(takers)
    held: dict[str, list[Turn]] = {name: [] for name in takers}
    for index in range(rounds):
        told(f"round {index + 1} of {rounds}")
        for name in order(list(takers), index):
            turn = takers[name](each)
            if turn is not None:
                held[name].append(turn)
    return held


def compete(
    size: int, engine: Path, seconds: float, rounds: int, python: str, command: str, told: Callable[[str], None]
) -> Peers:
    """The whole run, on this process's last core. Raises ArtifactError for an engine that is not sound."""
    manifest, data = open_verified(engine)
    if manifest.recipe.runtime != "openvino":
        raise ConfigError(
            f"{engine}: runs on {manifest.recipe.runtime}, expected an OpenVINO engine as cpu-int8 builds"
        )
    core = max(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})  # children inherit it
        folder = Path(name)
        model, plain, scene = folder / "engine.onnx", folder / "plain.onnx", folder / "scene.npz"
        own = data if size == manifest.spec.width else resized(data, size)
        model.write_bytes(own)
        plain.write_bytes(unnormalised(own))
        write_scene(pictures(), scene)
        weights = ROOT / "edge3vt" / "assets" / manifest.recipe.model / "student.safetensors"
        what = {
            OURS: f"{manifest.spec.model_id}, INT8 on OpenVINO: crop, engine, mask, composed picture",
            ENGINE: "the same engine alone, on a crop in its buffer",
        } | {name: f"{program}: {text}" for name, (program, text) in PEERS.items()}
        contenders: dict[str, Contender] = {}
        for name in what:
            told(f"opening {name}")
            program = name if name in (OURS, ENGINE) else str(PROGRAMS / PEERS[name][0])
            given = model if name in (OURS, ENGINE) else weights if name == "student-pytorch" else plain
            own_python = sys.executable if name in (OURS, ENGINE) else python
            contenders[name] = Contender(program, given, size, scene, own_python)
            stack.callback(contenders[name].close)
            contenders[name].ready()
        taking = {name: one.turn for name, one in contenders.items() if not one.failed}
        if not {OURS, ENGINE} <= taking.keys():
            raise ConfigError(f"ours does not run: {contenders[OURS].failed or contenders[ENGINE].failed}")
        clock, busy_s = SystemClock(), _busy_s(core)
        begun_ns, begun = clock.now_ns(), os.times()

        held = interleaved(taking, seconds, rounds, told)
        elapsed_s, taken_s = (
            (clock.now_ns() - begun_ns) / NS_PER_S,
            sum(t.cpu_s for turns in held.values() for t in turns),
        )
        ended, busy_after_s = os.times(), _busy_s(core)
        own_s = ended.user + ended.system - begun.user - begun.system
        others = None
        if busy_s is not None and busy_after_s is not None:
            others = max(busy_after_s - busy_s - taken_s - own_s, 0.0) / elapsed_s
        told("benchmark_app")
        app = [benchmark_app(model, 2) for _ in range(APP_RUNS)]
        skipped = {name: one.failed for name, one in contenders.items()}
        found = rows({name: held.get(name, []) for name in what}, skipped, what)
    kept = limits(size, found)
    return Peers(
        schema=1,
        edge3vt=__version__,
        made=wall_label(),
        command=command,
        machine=this_machine(),
        model_id=manifest.spec.model_id,
        engine_sha256=sha256_bytes(own),
        size=size,
        picture=f"{PICTURES} phantoms of seed {SEED}, {WIDTH}x{HEIGHT}, grey, region known",
        isa=os.environ.get(ISA, ""),
        rounds=rounds,
        seconds=seconds,
        others=others,
        rows=tuple(found),
        benchmark_app=gathered(app),
        limits=tuple(kept),
        passed=all(limit.passed for limit in kept),
    )


def _busy_s(core: int) -> float | None:
    """Seconds that a core was not idle since the machine began; None where the system does not tell."""
    try:
        text = Path("/proc/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith(f"cpu{core} "):
            fields = [int(field) for field in line.split()[1:]]
            return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")  # idle and waiting for disks
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edge3vt.bench.peers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="the record to write, .json")
    parser.add_argument("--seconds", type=float, default=120, help="of all turns together; opening takes a minute more")
    parser.add_argument("--size", type=int, default=384, help="px of the network's input")
    parser.add_argument("--engine", type=Path, default=Path("engines/build/cpu-int8"))
    parser.add_argument("--python", default=sys.executable, help="of the others' programs, where it has more packages")
    parser.add_argument("--overwrite", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.out.exists() and not asked.overwrite:
        raise ConfigError(f"{asked.out}: exists already; choose another file or add --overwrite")
    if not asked.seconds > 0:
        raise ConfigError(f"{asked.seconds:g} seconds, expected more than 0, as in 120")
    command = f"python -m edge3vt.bench.peers OUT --seconds {asked.seconds:g} --size {asked.size}"
    record = compete(asked.size, asked.engine, asked.seconds, ROUNDS, asked.python, command, _told)
    write_json(record, asked.out)
    print("\n".join(lines(record)))
    return 0 if record.passed else 1


def _told(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Edge3vtError as error:
        print(f"peers: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
