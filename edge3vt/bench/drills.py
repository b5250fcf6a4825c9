"""The fault table as a list of drills, each a function that breaks something and measures what the picture did.

    python -m edge3vt.bench.drills benchmarks/results/drills/drills.json --thorough

is the record; ``edge3vt drill`` the short form for a cart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge3vt.bench import ending_drills, engine_drills, sink_drills, source_drills, staleness
from edge3vt.bench.engine_drills import OpenLane
from edge3vt.bench.findings import Finding, lines, record_of, write_record
from edge3vt.bench.soak import soak
from edge3vt.core.documents import suggestion
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.stream.supervised import SupervisedLane


@dataclass(frozen=True, slots=True)
class Setup:
    """How much of each drill. engine: the folder of the engine that is recorded with; None: no such drill."""

    open_lane: OpenLane
    folder: Path
    seconds: float = 6.0
    cycles: int = 5
    ends: int = 5
    frames: int = 50_000
    soak_s: float = 60.0
    slope_mb_h: float = 60.0
    engine: Path | None = None


def thorough(setup: Setup) -> Setup:
    """As long as the promises ask: p99.9 of a minute and a half, a hundred cycles, half an hour."""
    return replace(setup, seconds=90.0, cycles=100, ends=100, frames=1_000_000, soak_s=1800.0, slope_mb_h=1.0)


Drill = Callable[[Setup], list[Finding]]

DRILLS: dict[str, Drill] = {
    "engine-slow": lambda s: engine_drills.ramp(s.open_lane, s.seconds),
    "engine-nan": lambda s: engine_drills.garbage(s.open_lane, s.seconds, "nan"),
    "engine-constant": lambda s: engine_drills.garbage(s.open_lane, s.seconds, "constant"),
    "engine-shape": lambda s: engine_drills.garbage(s.open_lane, s.seconds, "shape"),
    "engine-hang": lambda s: engine_drills.outage(s.open_lane, s.seconds, "hang"),
    "engine-crash": lambda s: engine_drills.outage(s.open_lane, s.seconds, "exit"),
    "crash-loop": lambda s: engine_drills.crash_loop(s.open_lane, max(s.seconds, 30.0)),
    "unplugged": lambda s: source_drills.unplugged(s.open_lane, s.cycles, s.folder),
    "source-hang": lambda s: source_drills.hanging(s.open_lane, s.seconds),
    "rate-jumps": lambda s: source_drills.rate_jumps(s.open_lane, s.seconds),
    "sizes": lambda s: source_drills.sizes(s.open_lane, s.seconds),
    "corrupt": lambda s: source_drills.corrupt(s.open_lane, s.seconds),
    "still": lambda s: source_drills.still(s.open_lane, s.seconds),
    "staleness": lambda s: staleness.findings(staleness.simulate(s.frames)),
    "sink-stuck": lambda s: sink_drills.stuck(s.open_lane, s.seconds),
    "disk-full": lambda s: sink_drills.disk_full(s.open_lane, s.seconds, s.folder),
    "log-flood": lambda s: sink_drills.log_flood(s.open_lane, s.seconds),
    "clock-jumps": lambda s: sink_drills.clock_jumps(s.open_lane, s.seconds),
    "sigterm": lambda s: _with_engine("sigterm", "P13", ending_drills.terminated, s),
    "killed": lambda s: _with_engine("killed", "P7", ending_drills.killed, s),
    "soak": lambda s: soak(s.open_lane, s.soak_s, s.folder, slope_mb_h=s.slope_mb_h),
}


def chosen(only: Sequence[str]) -> list[str]:
    """The drills of these names, all for none. Raises ConfigError for a name that is none."""
    for name in only:
        if name not in DRILLS:
            raise ConfigError(f"no drill is called '{name}'{suggestion(name, DRILLS)}")
    return [name for name in DRILLS if not only or name in only]


def drill(names: Sequence[str], setup: Setup) -> Iterator[tuple[str, list[Finding]]]:
    """Run them one after the other; one that breaks itself fails, and the others go on."""
    for name in names:
        with tempfile.TemporaryDirectory(dir=setup.folder) as folder:
            here = replace(setup, folder=Path(folder))
            try:
                yield name, DRILLS[name](here)
            except Exception as error:  # a fault that gets out of the loop is what drills are for
                yield name, [Finding(name, "R1", f"it broke the loop: {type(error).__name__}: {error}")]


def telling(found: Sequence[Finding]) -> Finding:
    """The one finding that stands for a fault: the first that failed, else the last."""
    return next((finding for finding in found if finding.verdict == "FAIL"), found[-1])


def open_lane() -> OpenLane:
    """How the drills open an engine: in a process of its own, under supervision."""
    return SupervisedLane


def _with_engine(name: str, promise: str, run: Callable[..., list[Finding]], setup: Setup) -> list[Finding]:
    if setup.engine is None:
        return [Finding(name, promise, "recording", skipped="no engine; name one with --engine")]
    words = ending_drills.command(Path("OUT"), setup.engine)
    return run(setup.folder, setup.ends, words)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edge3vt.bench.drills", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="the record to write, .json")
    parser.add_argument("--thorough", action="store_true", help="as long as the promises ask")
    parser.add_argument("--only", nargs="+", default=[], help=", ".join(DRILLS))
    parser.add_argument("--engine", type=Path, help="an engine folder, for the drills that record")
    asked = parser.parse_args(arguments)
    names = chosen(asked.only)
    found: list[Finding] = []
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(open_lane(), Path(folder), engine=asked.engine)
        setup = thorough(setup) if asked.thorough else setup
        for name, findings in drill(names, setup):
            found += findings
            print("\n".join(lines(findings)), flush=True)
            write_record(record_of(_command(asked, names, name), found), asked.out)
    return 0 if record_of("", found).passed else 1


def _command(asked: argparse.Namespace, names: Sequence[str], last: str) -> str:
    words = ["python -m edge3vt.bench.drills OUT"]
    words += ["--thorough"] if asked.thorough else []
    words += ["--only", *names] if asked.only else []
    words += ["--engine", asked.engine.name] if asked.engine else []
    stopped = "" if last == names[-1] else f" (stopped after {last})"
    return " ".join(words) + stopped


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Edge3vtError as error:
        print(f"drills: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
