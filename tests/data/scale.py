"""A large import, killed half-way and repeated: how much memory, how long, and whether it ends the same.

python -m tests.data.scale 10000 FOLDER     FOLDER/source is made, unless it is there; the checks run a hundred
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.core.machine import usable_cores
from edge3vt.data.dataset import MANIFEST, PARTIAL, read_dataset
from edge3vt.data.decoder import MOST_WORKERS

MAP = 'schema = 1\nclasses = ["background", "vessel"]\nblanked = true\n[labels]\n1 = "vessel"\n'
SIDE_PX = 512


@dataclass(frozen=True)
class Figures:
    """Peaks are of resident memory, summed over the import's processes at one moment; shared pages count once each."""

    pictures: int
    cores: int
    workers: int
    killed_after: int  # pictures that were in the books when it was killed
    resumed: int
    seconds: float  # of both runs
    peak_mib: float
    parent_peak_mib: float
    child_peak_mib: float
    proportional_peak_mib: float  # shared pages divided among those that share them (PSS)


def picture(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Blobs and grain, all different; and a vessel."""
    rng = np.random.default_rng(n)
    coarse = rng.integers(0, 200, (12, 12), dtype=np.uint8)
    blobs = cv2.resize(coarse, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    grain = np.resize(rng.integers(0, 40, 1 << 14, dtype=np.uint8), (SIDE_PX, SIDE_PX))
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    cv2.circle(mask, tuple(rng.integers(100, 400, 2).tolist()), int(rng.integers(20, 80)), 1, -1)
    return cv2.add(blobs, grain), mask


def make(root: Path, numbers: range) -> None:
    """Pictures in folders of one patient each, ten to a patient."""
    for n in numbers:
        for kind, pixels in zip(("images", "masks"), picture(n), strict=True):
            path = root / kind / f"patient{n // 10:04}" / f"{n:06}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(".png", pixels, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes())


def command(root: Path, workers: int) -> list[str]:
    verb = [sys.executable, "-c", "from edge3vt.cli.main import main; main()", "data", "import"]
    options = ["--classes", str(root / "map.toml"), "--patient-from", "folder", "--json"]
    options += ["--workers", str(workers)]
    return [*verb, str(root / "source"), str(root / "set"), *options]


def tree(pid: int) -> Iterator[int]:
    """A process and its descendants that are still there."""
    yield pid
    with suppress(OSError):
        for thread in list(Path(f"/proc/{pid}/task").iterdir()):  # a child belongs to the thread that started it
            for child in (thread / "children").read_text().split():
                yield from tree(int(child))


def memory_mib(pid: int, file: str, key: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) / 1024
    return 0.0


class Watch:
    """Peaks of a tree of processes."""

    def __init__(self) -> None:
        self.total = self.parent = self.child = self.proportional = 0.0

    def look(self, pid: int) -> None:
        each = {one: memory_mib(one, "status", "VmRSS:") for one in tree(pid)}
        self.total = max(self.total, sum(each.values()))
        self.parent = max(self.parent, each[pid])
        self.child = max([self.child, *(value for one, value in each.items() if one != pid)])
        self.proportional = max(self.proportional, sum(memory_mib(one, "smaps_rollup", "Pss:") for one in each))


def books(root: Path) -> int:
    path = root / "set" / PARTIAL
    return path.read_bytes().count(b"\n") - 1 if path.exists() else 0


def watched(root: Path, workers: int, watch: Watch, kill_at: int | None = None) -> dict[str, Any]:
    """One run; killed as soon as its books hold ``kill_at`` pictures."""
    clock = SystemClock()
    with (root / "result.json").open("wb") as out, subprocess.Popen(command(root, workers), stdout=out) as process:
        while process.poll() is None:
            watch.look(process.pid)
            if kill_at is not None and books(root) >= kill_at:
                process.send_signal(signal.SIGKILL)
            clock.sleep_until_ns(clock.now_ns() + NS_PER_S // 10)
        code = process.wait()
    assert code == (0 if kill_at is None else -signal.SIGKILL), f"exit code {code}"
    return json.loads((root / "result.json").read_text()) if kill_at is None else {}


def run(root: Path, count: int, workers: int = MOST_WORKERS) -> Figures:
    """Make the pictures, import them, killed once half-way; the result is checked."""
    cores = usable_cores()
    if not (root / "source").exists():
        parts = [range(start, min(start + 250, count)) for start in range(0, count, 250)]
        with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
            list(pool.map(make, [root / "source"] * len(parts), parts))
    (root / "map.toml").write_text(MAP)
    watch, clock = Watch(), SystemClock()
    started_ns = clock.now_ns()
    watched(root, workers, watch, kill_at=count // 2)
    assert not (root / "set" / MANIFEST).exists()
    killed_after = books(root)
    told = watched(root, workers, watch)
    seconds = (clock.now_ns() - started_ns) / NS_PER_S
    check(root, told, count, killed_after)
    return Figures(
        pictures=count,
        cores=cores,
        workers=workers,
        killed_after=killed_after,
        resumed=told["resumed"],
        seconds=round(seconds, 1),
        peak_mib=round(watch.total),
        parent_peak_mib=round(watch.parent),
        child_peak_mib=round(watch.child),
        proportional_peak_mib=round(watch.proportional),
    )


def check(root: Path, told: dict[str, Any], count: int, killed_after: int) -> None:
    """All pictures are there once, whole and as they were made."""
    assert (told["items"], told["labelled"], told["refused"]) == (count, count, [])
    assert told["patients"] == (count + 9) // 10
    assert count // 2 <= killed_after <= told["resumed"] + 1  # a line may be torn
    dataset = read_dataset(root / "set")
    for kind in ("pictures", "masks"):
        names = {path.name for path in (root / "set" / kind).iterdir()}
        assert names == {f"{item.id}.png" for item in dataset.items}
    made = {pixels.tobytes() for pixels, _ in map(picture, range(0, count, 97))}
    assert made <= {dataset.picture(item).tobytes() for item in dataset.items}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print(json.dumps(asdict(run(options.folder, options.count)), indent=2))


if __name__ == "__main__":
    main()
