"""The error tree.

Edge3vtError
├── ConfigError          a document, flag or value the user wrote is wrong            exit 2
├── DataError            a picture, clip or data set cannot be used                   exit 2
├── ArtifactError        a model, table, engine or manifest is damaged or foreign     exit 2
├── GateError            what was made or measured misses a limit that was asked for    exit 1
├── BackendMissingError  this machine lacks a package or a device                     exit 3
└── EngineError          an engine that was sound when opened failed while it ran     exit 3

A message is one line: what was found and where, what was expected, what to do. What stands in it may come from a file
or a command line of anybody's: so it is made one line of bounded length, without control characters, here.
"""

from __future__ import annotations

LONGEST = 1000


class Edge3vtError(Exception):
    """Any error that the user can act on. The command line prints it as one line, without a traceback."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(_line(message))


def _line(text: str) -> str:
    """Printable characters on one line; the middle of more than LONGEST of them goes, since the remedy stands last."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: 8 * LONGEST])
    if len(text) <= LONGEST:
        return text
    return f"{text[: 2 * LONGEST // 3]} … {text[3 - LONGEST // 3 :]}"


class ConfigError(Edge3vtError):
    """A document, flag or value is wrong."""


class DataError(Edge3vtError):
    """A picture, clip or data set cannot be used."""


class ArtifactError(Edge3vtError):
    """A model, calibration table, engine or manifest is damaged, foreign or not what it claims to be."""


class GateError(Edge3vtError):
    """What was made or measured misses a limit."""

    exit_code = 1


class BackendMissingError(Edge3vtError):
    """The environment lacks a package or a device."""

    exit_code = 3


class EngineError(Edge3vtError):
    """An engine failed while it ran."""

    exit_code = 3
