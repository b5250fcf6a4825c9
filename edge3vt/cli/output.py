"""What a verb says: one JSON document on stdout with ``--json``, else lines for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from edge3vt.core.documents import to_json

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout, everything else to stderr.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]


def note(text: str) -> None:
    """A line about progress, to stderr."""
    print(_plain(text), file=sys.stderr, flush=True)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where that is a terminal; call what it yields with (done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def finish(verb: str, passed: bool, document: dict[str, Any], lines: Iterable[str], *, json: bool) -> int:
    """Say the result; returns the exit code."""
    if json:
        text = to_json({"schema": 1, "verb": verb, "passed": passed, **document})
        print(text.encode("utf-8", "backslashreplace").decode(), end="")  # of names that are no Unicode
    else:
        for line in lines:
            print(_plain(line))
    return 0 if passed else 1


def _plain(text: str) -> str:
    """A line with what a terminal would obey, or cannot show, escaped: file names may hold anything."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
