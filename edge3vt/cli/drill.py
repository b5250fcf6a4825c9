"""``edge3vt drill``: breaks engine, source, sinks and clock on purpose, and measures what the picture did."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from edge3vt.bench.drills import Setup, chosen, drill, open_lane, telling
from edge3vt.bench.findings import Finding, lines, record_of
from edge3vt.cli.output import Json, finish, note


def drills(
    only: Annotated[list[str] | None, typer.Option(help="Only the drill of this name; may be given again.")] = None,
    engine: Annotated[
        Path | None, typer.Option(help="An engine folder, for the drills that record; they are skipped without one.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of each drill that watches the picture.")] = 6.0,
    json: Json = False,
) -> int:
    """Break everything on this machine on purpose, and see that the picture keeps its promises.

    Example: edge3vt drill --only engine-hang --only unplugged
    """
    names = chosen(only or [])
    found: list[Finding] = []
    report: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for _, findings in drill(names, Setup(open_lane(), Path(folder), seconds=seconds, engine=engine)):
            found += findings
            line = lines([telling(findings)])[0]
            report.append(line)
            if json:
                note(line)
            else:
                print(line, flush=True)
    record = record_of("edge3vt drill", found)
    failed = sum(finding.verdict == "FAIL" for finding in found)
    skipped = sum(finding.verdict == "skipped" for finding in found)
    last = [f"{len(names)} drills, {len(found)} figures: {failed} failed, {skipped} skipped"]
    return finish("drill", record.passed, {"record": record}, last, json=json)
