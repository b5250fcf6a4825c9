"""What a drill found: figures against their limits, and the record of a run, with its command and machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge3vt import __version__
from edge3vt.core.clock import wall_label
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import ConfigError
from edge3vt.core.machine import Machine, this_machine

Verdict = Literal["pass", "FAIL", "skipped"]
RECORDS = Path("benchmarks/results/drills")


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure of a drill. limit: the figure may not be larger, or smaller with ``least``.

    promise: of the reliability reference, P1 to P13. figure: None where there was nothing to measure, which fails.
    skipped: why nothing was tried, else empty.
    """

    drill: str
    promise: str
    what: str
    figure: float | None = None
    limit: float = 0.0
    unit: str = ""
    least: bool = False
    skipped: str = ""

    @property
    def verdict(self) -> Verdict:
        if self.skipped:
            return "skipped"
        if self.figure is None:
            return "FAIL"
        return "pass" if (self.figure >= self.limit if self.least else self.figure <= self.limit) else "FAIL"


@dataclass(frozen=True, slots=True)
class Record:
    """One run of drills. command: what makes it again."""

    schema: int
    edge3vt: str
    made: str
    command: str
    machine: Machine
    passed: bool
    findings: tuple[Finding, ...]

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ConfigError(f"schema {self.schema} of the record is not known, expected 1; update edge3vt")


def record_of(command: str, findings: Iterable[Finding]) -> Record:
    """A record of this machine, now."""
    found = tuple(findings)
    return Record(
        schema=1,
        edge3vt=__version__,
        made=wall_label(),
        command=command,
        machine=this_machine(),
        passed=not any(finding.verdict == "FAIL" for finding in found),
        findings=found,
    )


def write_record(record: Record, path: Path) -> None:
    """As JSON, whole or not at all."""
    write_json(record, path)


def read_record(path: Path) -> Record:
    """Raises ConfigError."""
    return read_json(Record, path)


def lines(findings: Sequence[Finding]) -> list[str]:
    """One line a finding: verdict, drill, figure and limit."""
    return [_line(finding) for finding in findings]


def _line(finding: Finding) -> str:
    head = f"{finding.verdict:7}  {finding.promise:3}  {finding.drill:12}  {finding.what}"
    if finding.skipped:
        return f"{head}: {finding.skipped}"
    unit = f" {finding.unit}" if finding.unit else ""
    figure = "nothing was measured" if finding.figure is None else f"{finding.figure:.6g}{unit}"
    return f"{head}: {figure}, {'at least' if finding.least else 'at most'} {finding.limit:g}{unit}"
