"""Writers of a run that are killed: ``python -m tests.stream.kill N [SCENE ...] [--seed S]``.

Each of N a scene dies by SIGKILL, in turn at some step on the disk and at some time. Then the next start has to find
what was finished before, whole; of what was being written the old or the new, or what can be kept of it; and to leave
nothing half beside it. Exit code 1 where it does not. Engines and their slots are in tests/engine/kill.py, a whole
``edge3vt run`` in the drills ``killed`` and ``terminated``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np

from edge3vt.clinic import dicomseg
from edge3vt.clinic.dicomsink import DicomSegSink
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.documents import write_json
from edge3vt.core.errors import Edge3vtError
from edge3vt.core.frame import Frame, Region
from edge3vt.core.segmentation import Segmentation
from edge3vt.core.spec import ModelSpec
from edge3vt.data.dataset import read_dataset
from edge3vt.data.writer import DatasetWriter, write_item
from edge3vt.picture.images import read_image, write_image
from edge3vt.stream.rows import Rows, numbered
from edge3vt.stream.sinks.encoder import Recording
from edge3vt.stream.sinks.folder import FolderSink
from edge3vt.stream.sinks.fragments import salvage_all, side_of
from edge3vt.stream.sinks.queue import Queue
from edge3vt.stream.sinks.video import VideoSink
from edge3vt.stream.trace import Trace
from tests.clinic.test_derived import MAKER
from tests.clinic.ultrasound import masks, source
from tests.engine.kill import STEPS, child, half
from tests.stream.mutate import segmentation

SPEC = ModelSpec(1, "model", "1", CLASS_NAMES, 64, 64, 4, True, True, "trained on squares")


@dataclass(frozen=True)
class Scene:
    """before: what was finished. act: what is killed. after: the next start; what is wrong then."""

    before: Callable[[Path], object]
    act: Callable[[Path], object]
    after: Callable[[Path], str | None]


def seg(index: int, level: int = 60) -> Segmentation:
    pixels = np.full((48, 64), level, np.uint8)
    frame = Frame(index, index * NS_PER_S // 10, pixels, region=Region(4, 4, 60, 44))
    return replace(segmentation(frame), picture=np.dstack([pixels] * 3))


# --- One file over another: records, profiles, tables, sheets, readings, cards


def record(root: Path, number: int) -> None:
    write_json({"number": number, "rest": list(range(500))}, root / "a.json")


def record_after(root: Path) -> str | None:
    number = json.loads((root / "a.json").read_text())["number"]
    record(root, 3)
    return None if number in (1, 2) else f"the record {number}"


def snapshot(root: Path, level: int) -> None:
    write_image(root / "a.png", np.full((400, 600), level, np.uint8))


def snapshot_after(root: Path) -> str | None:
    level = int(read_image(root / "a.png").max())
    snapshot(root, 3)
    return None if level in (1, 2) else f"the level {level}"


# --- The queue of "mask wrong"


def queued(root: Path, first: int, last: int) -> None:
    queue = Queue(root / "queue")
    queue._run = "run"
    for index in range(first, last):
        queue.add(seg(index))


def queue_after(root: Path) -> str | None:
    queued(root, 9, 10)
    for item in (root / "queue" / "run").iterdir():
        json.loads((item / "record.json").read_text())
        for kind in ("unlabelled", "rejected"):
            read_image(item / kind / f"{item.name}.png")
    names = {item.name for item in (root / "queue" / "run").iterdir()}
    return None if {"0-000000", "0-000009"} <= names else f"only {sorted(names)}"


# --- Lines of figures, traces


def rows(root: Path, first: int, last: int) -> None:
    out = Rows(root / "a.jsonl", max_bytes=4000)
    for number in range(first, last):
        out.write({"number": number, "rest": "x" * 30})
    out.close()


def rows_after(root: Path) -> str | None:
    rows(root, 1000, 1001)
    files = [root / "a.jsonl", *(numbered(root / "a.jsonl", i) for i in (1, 2, 3))]
    lines = [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]
    numbers = sorted(line["number"] for line in lines)[:-1]
    whole = numbers == list(range(numbers[0], numbers[-1] + 1)) if numbers else False
    return None if whole else f"lines {numbers[:5]} ... are missing some"


def trace(root: Path, frames: int) -> None:
    out = Trace(root / "trace.json", max_bytes=40_000)
    for number in range(frames):
        out.emitted(seg(number))
        if number % 50 == 49:
            out._flush()
    out.close()


def trace_after(root: Path) -> str | None:
    trace(root, 3)
    for file in (root / "trace.json", numbered(root / "trace.json", 1)):
        events = json.loads(file.read_text())
        if not isinstance(events, list) or len(events) < 5:
            return f"{file.name} holds {len(events)} events"
    return None


# --- Recordings


def finished_before(root: Path) -> None:
    recorded(root, 10, level=40)


def recorded(root: Path, pictures: int, level: int = 60) -> None:
    cv2.setNumThreads(1)
    sink = VideoSink(root / "a.mp4", overwrite=True, block=True, encoder=lambda path: Recording(path, reserve_bytes=0))
    for number in range(pictures):
        sink(seg(number, level))
    sink.close()


def recording_after(root: Path) -> str | None:
    salvage_all(root / "a.mp4")
    for path in sorted(root.glob("*.mp4")):
        with av.open(str(path)) as container:
            pictures = sum(1 for _ in container.decode(video=0))
        lines = side_of(path).read_bytes().split(b"\n")[1:-1] if side_of(path).exists() else []
        if pictures == 0 or len(lines) < pictures:
            return f"{path.name} has {pictures} pictures and {len(lines)} lines"
        if "partial" not in path.name and len(lines) != pictures:
            return f"{path.name} has {pictures} pictures and the lines of {len(lines)}"
        for line in lines[:pictures]:
            json.loads(line)
    left = [path.name for path in root.iterdir() if "recording" in path.name]
    return None if (root / "a.mp4").exists() and not left else f"left {left}"


# --- Folders of pictures


def foldered(root: Path, pictures: int, level: int) -> None:
    sink = FolderSink(root / "out", overwrite=True, block=True)
    for number in range(pictures):
        given = seg(number, level)
        sink(replace(given, frame=replace(given.frame, region=Region(0, 0, 64, 48))))
    sink.close()


def folder_after(root: Path) -> str | None:
    found = sorted((root / "out").glob("*.png")) if (root / "out").exists() else []
    levels = {int(read_image(path)[20, 30].max()) for path in found}
    foldered(root, 2, 90)
    if not levels <= {40, 60}:
        return f"pictures of {levels}"
    return None if len(list((root / "out").iterdir())) == 2 else "not two pictures"


def new_folder_after(root: Path) -> str | None:
    """Without an earlier one it is there whole or not at all."""
    there = len(list((root / "out").glob("*.png"))) if (root / "out").exists() else 0
    foldered(root, 2, 90)
    return None if there in (0, 12) else f"{there} of 12 pictures"


# --- Objects for the archive


def archived(root: Path, indices: tuple[int, ...]) -> None:
    clip = root / "clip.dcm"
    if not clip.exists():
        source(clip)
    sink = DicomSegSink(root / "seg.dcm", clip, lambda: MAKER, overwrite=True)
    sink.spec = SPEC
    for index in indices:
        frame = Frame(index, index, np.zeros((31, 45), np.uint8))
        sink(segmentation(frame))
    sink.close()


def archive_after(root: Path) -> str | None:
    found = [index for index, _ in dicomseg.read(root / "seg.dcm", root / "clip.dcm").masks()]
    dicomseg.write(root / "seg.dcm", root / "clip.dcm", CLASS_NAMES, masks(), MAKER)
    return None if found in ([0], [1, 2, 3]) else f"frames {found}"


# --- Data sets


def data_set(root: Path) -> None:
    with DatasetWriter(root / "set", "some", ("background", "vessel"), resume=True) as writer:
        for number in range(6):
            if not writer.has(f"i{number}"):
                picture = np.full((48, 64), number, np.uint8)
                item = write_item(
                    root / "set",
                    writer.classes,
                    f"i{number}",
                    picture,
                    np.asarray(picture > 2, np.uint8),
                    patient="p",
                    source="s",
                )
                writer.take([item])


def data_set_after(root: Path) -> str | None:
    with suppress(Edge3vtError):  # one that is finished is not begun again
        data_set(root)
    found = read_dataset(root / "set")
    if [item.id for item in found.items] != [f"i{number}" for number in range(6)]:
        return f"items {[item.id for item in found.items]}"
    for item in found.items:
        found.picture(item)
    return None


def nothing(root: Path) -> None:
    """There was nothing before."""


SCENES = {
    "record": Scene(lambda root: record(root, 1), lambda root: record(root, 2), record_after),
    "snapshot": Scene(lambda root: snapshot(root, 1), lambda root: snapshot(root, 2), snapshot_after),
    "queue": Scene(lambda root: queued(root, 0, 1), lambda root: queued(root, 1, 4), queue_after),
    "rows": Scene(lambda root: rows(root, 0, 3), lambda root: rows(root, 3, 400), rows_after),
    "trace": Scene(lambda root: trace(root, 20), lambda root: trace(root, 400), trace_after),
    "recording": Scene(finished_before, lambda root: recorded(root, 40), recording_after),
    "folder": Scene(lambda root: foldered(root, 8, 40), lambda root: foldered(root, 12, 60), folder_after),
    "new folder": Scene(nothing, lambda root: foldered(root, 12, 60), new_folder_after),
    "archive": Scene(lambda root: archived(root, (0,)), lambda root: archived(root, (1, 2, 3)), archive_after),
    "data set": Scene(nothing, data_set, data_set_after),
}


def killed_at(step: int, root: Path, work: Callable[[], object], said: int | None = None) -> None:
    """Run ``work`` and die before its ``step``-th step on the disk below ``root``; tell ``said`` each step."""
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in STEPS and any(isinstance(a, str | Path) and str(a).startswith(str(root)) for a in arguments):
            count += 1
            if said is not None:
                os.write(said, b".")
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    work()


def done(work: Callable[[Path], object], root: Path) -> int:
    return child(lambda: work(root) and None)


def stage(scene: Scene, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    assert done(scene.before, root) == 0


def length(scene: Scene, root: Path) -> tuple[int, float]:
    """Steps on the disk, and seconds."""
    stage(scene, root)
    clock, (reader, writer) = SystemClock(), os.pipe()
    started_ns = clock.now_ns()
    assert child(lambda: killed_at(-1, root, lambda: scene.act(root), writer)) == 0
    seconds = (clock.now_ns() - started_ns) / NS_PER_S
    os.close(writer)
    steps = 0
    while data := os.read(reader, 4096):
        steps += len(data)
    os.close(reader)
    return steps, seconds


def after(scene: Scene, root: Path) -> str:
    """What the next start, a process of its own, finds wrong."""
    said = root.with_name("said")
    said.write_text("", encoding="utf-8")

    def look() -> None:
        said.write_text(scene.after(root) or "", encoding="utf-8")

    if child(look):
        return "the next start failed"
    return said.read_text(encoding="utf-8")


def run(name: str, count: int, *, seed: int) -> tuple[int, list[str]]:
    """How many died as they should, and what was wrong after them."""
    rng, faults, died, scene = np.random.default_rng(seed), list[str](), 0, SCENES[name]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        steps, seconds = length(scene, root)
        for number in range(count):
            stage(scene, root)
            at = float(rng.uniform(0, seconds)) if number % 2 else int(rng.integers(1, steps + 1))

            def act(at: float = at) -> None:
                if isinstance(at, int):
                    killed_at(at, root, lambda: scene.act(root))
                else:
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)
                    signal.setitimer(signal.ITIMER_REAL, max(at, 1e-4))
                    scene.act(root)

            code = child(act)
            died += code in (-signal.SIGKILL, -signal.SIGALRM)
            title = f"{name}, killed at {'step' if isinstance(at, int) else 'second'} {at:.4g}"
            if code > 0:
                faults.append(f"{title}: it failed before that")
            if wrong := after(scene, root):
                faults.append(f"{title}: {wrong}")
            if left := half(root):
                faults.append(f"{title}: left {', '.join(left)}")
    return died, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("scenes", nargs="*", default=list(SCENES))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = False
    for name in options.scenes:
        died, faults = run(name, options.count, seed=options.seed)
        print(f"{name}: {died} of {options.count} killed, {len(faults)} faults", *faults[:20], sep="\n  ", flush=True)
        wrong = wrong or bool(faults) or died < 0.5 * options.count
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
