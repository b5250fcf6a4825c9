"""``edge3vt bench``: latency as the cart will see it, with a verdict, and whether a change made it worse."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

import typer

from edge3vt.bench import contrast as contrasts
from edge3vt.bench.engine_block import export_times
from edge3vt.bench.feed import held
from edge3vt.bench.harness import Bench
from edge3vt.bench.limits import Limit, budgets, share
from edge3vt.bench.result import RESULTS, Result, place, read_result, write_result
from edge3vt.bench.scenario import Scenario
from edge3vt.bench.subject import engine_at
from edge3vt.bench.telling import lines
from edge3vt.cli.engines import ready_engine
from edge3vt.cli.live import LIVE_SCHEMES
from edge3vt.cli.output import Json, Overwrite, finish, note
from edge3vt.cli.uris import open_source
from edge3vt.core.clock import SystemClock
from edge3vt.core.documents import read_toml, write_json
from edge3vt.core.errors import ConfigError
from edge3vt.core.jetson import jetson
from edge3vt.core.machine import this_machine
from edge3vt.core.nvml import card
from edge3vt.core.shipped import find

app = typer.Typer(no_args_is_help=True, help="Latency as the cart will see it: run a scenario, compare two results.")


@app.command("run")
def run(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, as paced-60, or a TOML file.")],
    engine: Annotated[
        Path | None, typer.Option(help="An engine folder; default: the scenario's recipe, built here.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help=f"The result; default {RESULTS}/MACHINE/NAME.json.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Measured, of each start, instead of the scenario's.")] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help="p99=16.7ms, infer.p50=4ms, max=33ms; fails when missed. Repeatable.")
    ] = None,
    max_miss_rate: Annotated[
        str | None, typer.Option(help="0.1%: of frames that left late or never, without the machine's own stalls.")
    ] = None,
    all_misses: Annotated[
        bool, typer.Option("--all-misses", help="Count the machine's stalls in --max-miss-rate too.")
    ] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key, as in arrivals.rate_hz=72.")
    ] = None,
    times: Annotated[
        Path | None, typer.Option("--export-times", help="The engine's runs with trtexec's keys, into this file.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Run a scenario through the live loop and judge it.

    Example: edge3vt bench run paced-60 --budget p99=16.7ms --max-miss-rate 0.1%
    """
    asked = [limit for text in budget or () for limit in budgets(text)]
    if max_miss_rate is not None:
        asked.append(Limit("all_miss_rate" if all_misses else "miss_rate", most=share(max_miss_rate)))
    elif all_misses:
        raise ConfigError("--all-misses without --max-miss-rate; add it, as in --max-miss-rate 0.1%")
    path = find("scenario", scenario)
    longer = [] if seconds is None else [f"seconds={seconds}"]
    document = read_toml(Scenario, path, [*(changes or ()), *longer])
    document = replace(document, limits=(*document.limits, *asked))
    board = jetson()
    found_card = None if board else card()
    target = out or place(path.stem, this_machine(), board, found_card.name if found_card else None)
    for file in (target, times):
        if file is not None and file.exists() and not overwrite:
            raise ConfigError(f"{file}: exists already; choose another with -o, or replace it with --overwrite")
        if file is not None:
            _writable(file)
    if document.source.partition("://")[0] in LIVE_SCHEMES:
        raise ConfigError(f"{document.source}: a bench gives its pictures from memory; take a phantom, clip or folder")
    subject = engine_at(engine or ready_engine(document.engine))
    if times is not None and (subject.facts.runtime == "tensorrt" or not document.engine_s):
        raise ConfigError("--export-times: the engine alone is not timed call by call here; leave it out")
    clock, ended = SystemClock(), threading.Event()
    source = open_source(document.source, clock, paced=False)
    for text in source.notes:
        note(f"{document.source}: {text}")
    bench = Bench(path.stem, document, subject, held(iter(source), document.source), ended=ended, tell=note)
    with _stopped_by_signals(ended):
        result = bench.run()
    write_result(result, target)
    if times is not None:
        write_json(export_times(bench.runs), times)
    told = {field.name: getattr(result, field.name) for field in fields(result) if field.name != "series"}
    report = [*lines(result), f"written to {target}"]
    return finish("bench run", result.passed, {"result": told, "written": str(target)}, report, json=json)


@app.command("compare")
def compare(
    a: Annotated[Path, typer.Argument(help="A result, or a folder of repeated ones: before.")],
    b: Annotated[Path, typer.Argument(help="The same: after.")],
    json: Json = False,
) -> int:
    """Say whether B is slower than A, with a test that knows noise; fails if it is. Of one machine and one scenario.

    Example: edge3vt bench compare out/before out/after
    """
    found = contrasts.contrast(_results(a), _results(b))
    return finish("bench compare", not found.slower, {"contrast": found}, contrasts.lines(found), json=json)


def _writable(path: Path) -> None:
    """Better now than after ten minutes. Raises ConfigError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error}); choose another with -o") from error


def _results(path: Path) -> list[Result]:
    """Those in a folder, or the one in a file. Raises ConfigError."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise ConfigError(f"{path}: holds no results; give a .json file of edge3vt bench run, or a folder of them")
    return [read_result(file) for file in files]


@contextmanager
def _stopped_by_signals(ended: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the measurement, which is then written as stopped; a second one ends all."""

    def stop(number: int, _: object) -> None:
        ended.set()
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
