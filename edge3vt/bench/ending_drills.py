"""Drills of the end: ``edge3vt run`` is told to stop, or killed, at any moment while it records."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

from edge3vt.bench.findings import Finding
from edge3vt.bench.rig import CLOCK
from edge3vt.bench.sink_drills import plays
from edge3vt.core.clock import NS_PER_S
from edge3vt.stream.sinks.fragments import salvage_all

SOURCE = "phantom://7?seconds=2&scenes=1&width=640&height=480&loops=100"
EXIT_S = 3.0
PATIENCE_S = 60.0
EARLIEST_S, LATEST_S = 0.2, 4.0
"""After the first picture was recorded."""


def command(path: Path, engine: Path | None = None) -> list[str]:
    """A run that records and does not end by itself."""
    chosen = [] if engine is None else ["--engine", str(engine)]
    return [
        sys.executable,
        "-c",
        "from edge3vt.cli.main import main; main()",
        "run",
        SOURCE,
        str(path),
        "--budget-ms",
        "33",
        *chosen,
    ]


def terminated(folder: Path, times: int, argv: Sequence[str] = (), seed: int = 1) -> list[Finding]:
    """SIGTERM at random times: it is gone within three seconds, and its recording plays."""
    chance, longest, played, codes = Random(seed), 0.0, 0, 0
    for number in range(times):
        path = folder / f"term-{number}.mp4"
        child = _recording(path, argv)
        if child is None:
            continue
        CLOCK.sleep_until_ns(CLOCK.now_ns() + round(chance.uniform(EARLIEST_S, LATEST_S) * NS_PER_S))
        child.send_signal(signal.SIGTERM)
        longest = max(longest, _ended_s(child))
        codes += child.returncode == 0
        played += plays(path) > 0
        path.unlink(missing_ok=True)
    return [
        Finding("sigterm", "P13", "ended with exit code 0", codes, times, least=True),
        Finding("sigterm", "P13", "recordings that play", played, times, least=True),
        Finding("sigterm", "P13", f"longest way out of {times}", longest, EXIT_S, "s"),
    ]


def killed(folder: Path, times: int, argv: Sequence[str] = (), seed: int = 2) -> list[Finding]:
    """SIGKILL at random times: what was recorded plays but for its last second, and finished files stay."""
    chance, played, kept = Random(seed), 0, 0
    least_lost: list[float] = []
    finished = folder / "finished.mp4"
    finished.write_bytes(b"a recording of before")
    for number in range(times):
        path = folder / f"kill-{number}.mp4"
        child = _recording(path, argv)
        if child is None:
            continue
        CLOCK.sleep_until_ns(CLOCK.now_ns() + round(chance.uniform(1.5, LATEST_S) * NS_PER_S))
        child.kill()
        _ended_s(child)
        CLOCK.sleep_until_ns(CLOCK.now_ns() + NS_PER_S // 2)  # the encoder's own process ends by itself
        left = [path] if path.exists() else salvage_all(path)
        pictures = plays(left[0]) if left else 0
        played += pictures > 0
        lines = _lines(left[0].with_suffix(".jsonl")) if left else 0
        least_lost.append((lines - pictures) / 60)
        kept += finished.read_bytes() == b"a recording of before"
        for file in folder.glob(f"kill-{number}.*"):
            file.unlink()
    return [
        Finding("killed", "P7", "finished files that stay", kept, times, least=True),
        Finding("killed", "P7", "longest end that was lost", max(least_lost, default=None), 1.1, "s"),
        Finding("killed", "P7", f"recordings that play, of {times}", played, times, least=True),
    ]


def _recording(path: Path, argv: Sequence[str]) -> subprocess.Popen[bytes] | None:
    """A run whose first fragment is on the disk; None where it did not come to that."""
    asked = [str(path) if word == "OUT" else word for word in argv] or command(path)
    child = subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until_ns = CLOCK.now_ns() + round(PATIENCE_S * NS_PER_S)
    while CLOCK.now_ns() < until_ns and child.poll() is None:
        if any(file.stat().st_size > 10_000 for file in path.parent.glob(f"{path.stem}.*.recording.mp4")):
            return child
        CLOCK.sleep_until_ns(CLOCK.now_ns() + NS_PER_S // 20)
    child.kill()
    child.wait()
    return None


def _ended_s(child: subprocess.Popen[bytes]) -> float:
    """How long it took to end; one that does not is killed after twice the time it has."""
    since_ns = CLOCK.now_ns()
    try:
        child.wait(2 * EXIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    return (CLOCK.now_ns() - since_ns) / NS_PER_S


def _lines(side: Path) -> int:
    if not side.exists():
        return 0
    return max(len(side.read_text(encoding="utf-8", errors="replace").splitlines()) - 1, 0)
