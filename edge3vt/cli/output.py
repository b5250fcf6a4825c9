"""What a verb says: one JSON document on stdout with ``--json``, else lines for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from edge3vt.core.documents import to_json

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout, everything else to stderr.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]


def note(text: str) -> None:
    """A line about progress, to stderr."""
    print(text, file=sys.stderr, flush=True)


def finish(verb: str, passed: bool, document: dict[str, Any], lines: Iterable[str], *, json: bool) -> int:
    """Say the result; returns the exit code."""
    if json:
        print(to_json({"schema": 1, "verb": verb, "passed": passed, **document}), end="")
    else:
        for line in lines:
            print(line)
    return 0 if passed else 1
