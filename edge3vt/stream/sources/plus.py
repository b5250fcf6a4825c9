"""The region of interest in a configuration of the PLUS toolkit (plustoolkit.org): its clip rectangle."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Region

MOST_BYTES = 1 << 20


def plus_region(path: Path) -> Region:
    """ClipRectangleOrigin and ClipRectangleSize of the one DataSource that has them, in pixels of the whole picture.

    Raises ConfigError for a file that is no XML, has a document type (and with it entities), or not one rectangle.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path}: larger than {MOST_BYTES >> 20} MiB; this is no configuration of PLUS")
    found: set[Region] = set()

    def element(name: str, attributes: dict[str, str]) -> None:
        origin, size = attributes.get("ClipRectangleOrigin"), attributes.get("ClipRectangleSize")
        if size is not None:
            found.add(_region(path, origin or "0 0", size))

    def doctype(*_: object) -> NoReturn:
        raise ConfigError(f"{path}: declares a document type; configurations of PLUS have none: remove it")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.StartDoctypeDeclHandler = element, doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ConfigError(f"{path}: not XML ({error}); correct the file") from error
    if len(found) != 1:
        raise ConfigError(
            f"{path}: {len(found)} different clip rectangles, expected one DataSource with ClipRectangleOrigin and "
            f"ClipRectangleSize; name the region yourself: region=x0,y0,x1,y1"
        )
    return found.pop()


def _region(path: Path, origin: str, size: str) -> Region:
    try:
        x, y, *_ = (int(number) for number in origin.split())
        width, height, *_ = (int(number) for number in size.split())
    except ValueError as error:
        raise ConfigError(
            f"{path}: clip rectangle '{origin}' '{size}', expected two whole numbers each, as in '40 30' '800 600'"
        ) from error
    if min(x, y) < 0 or min(width, height) < 1:
        raise ConfigError(f"{path}: clip rectangle '{origin}' '{size}' is empty or outside the picture")
    return Region(x, y, x + width, y + height)
