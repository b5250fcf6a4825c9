"""``edge3vt profile``: how a scanner's screen looks, written once, so that ``run`` knows where the ultrasound lies."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from edge3vt.cli.output import Json, Overwrite, finish, note
from edge3vt.cli.uris import open_source
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.documents import write_bytes
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.core.frame import Frame, Region
from edge3vt.stream.profile import as_toml, found, learnt
from edge3vt.stream.sources.remote import RemoteSource
from edge3vt.stream.sources.rtsp import without_password

APART_NS = 250 * NS_PER_MS  # between two pictures that are kept
LOOKED_AT = 5  # of them, for the sector: 0.2 s each


def profile(
    source: Annotated[str, typer.Argument(help="Any source of run that shows the scanner's whole screen.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="A TOML file; in profiles/ it has a name for --profile.")],
    region: Annotated[
        str | None, typer.Option(help="x0,y0,x1,y1 of the ultrasound picture in pixels; default: looked for.")
    ] = None,
    mm_per_px: Annotated[float | None, typer.Option(help="Edge of a pixel, in millimetres, where it is known.")] = None,
    seconds: Annotated[float, typer.Option(help="Of the source that are looked at.")] = 3.0,
    rate: Annotated[float | None, typer.Option(help="Pictures a second of a folder, in Hz.")] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Learn where the ultrasound picture lies on a screen, and by what that screen is known again.

    Example: edge3vt profile v4l2:///dev/video0 -o profiles/ward.toml
    """
    if out.suffix != ".toml":
        raise ConfigError(f"{out}: expected a name that ends in .toml, as in profiles/ward.toml")
    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: exists; choose another name or add --overwrite")
    if not seconds > 0:
        raise ConfigError(f"--seconds is {seconds:g}, expected a positive number")
    asked = None if region is None else _sides(region)
    name = without_password(source)
    with ExitStack() as stack:
        frames = open_source(source, SystemClock(), paced=True, rate_hz=rate)
        if isinstance(frames, RemoteSource):
            stack.callback(frames.close)
        kept = _kept(frames, round(seconds * NS_PER_S))
    if not kept:
        raise DataError(f"{name}: gave no picture; check the source")
    box, confidence, whence = _placed(kept, asked, name)
    scale = mm_per_px if mm_per_px is not None else kept[0].mm_per_px
    made = learnt(out.stem, [replace(frame, region=None) for frame in kept], box, scale)
    write_bytes(out, as_toml(made).encode())
    if not made.furniture:
        note("nothing around it stands still and tells this screen from others: it is taken for every one of its size")
    sides = ",".join(map(str, made.region))
    report = [
        f"{out}: {made.width}x{made.height}, region {sides} ({whence}), {len(made.furniture)} landmarks of "
        f"{len(kept)} pictures",
        f"Look at it once: edge3vt run {name} display:// --profile {out}",
    ]
    document = {"profile": asdict(made), "path": str(out), "region_from": whence, "confidence": confidence}
    return finish("profile", True, document, report, json=json)


def _kept(frames: Iterable[Frame], span_ns: int) -> list[Frame]:
    """Pictures of one size, APART_NS apart, of the first span_ns."""
    kept: list[Frame] = []
    for frame in frames:
        if kept and frame.captured_ns - kept[0].captured_ns > span_ns:
            break
        if kept and (frame.width, frame.height) != (kept[0].width, kept[0].height):
            raise DataError(f"the picture changed from {kept[0].width}x{kept[0].height} px; wait until it is steady")
        if not kept or frame.captured_ns - kept[-1].captured_ns >= APART_NS:
            kept.append(frame)
    return kept


def _placed(kept: list[Frame], asked: Region | None, name: str) -> tuple[Region, float, str]:
    """The region, how sure it is, and whence: asked for, told by the source, or found."""
    if asked is not None:
        return asked, 1.0, "given"
    if (own := kept[0].region) is not None:
        return own, 1.0, "told by the source"
    seen = found(kept[:: max(len(kept) // LOOKED_AT, 1)][:LOOKED_AT])
    if seen is None:
        raise DataError(f"{name}: no sector was found in its pictures; give --region x0,y0,x1,y1 of the ultrasound")
    return seen.region, seen.confidence, f"found, confidence {seen.confidence:.2f}"


def _sides(text: str) -> Region:
    try:
        x0, y0, x1, y1 = (int(side) for side in text.split(","))
    except ValueError:
        raise ConfigError(f"--region is '{text}', expected x0,y0,x1,y1 in pixels, as in 100,80,900,700") from None
    return Region(x0, y0, x1, y1)
