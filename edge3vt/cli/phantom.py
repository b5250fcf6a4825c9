"""``edge3vt phantom``: a data set of phantoms with exact truth, whole or a part of it for a job array."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge3vt.cli.output import Json, Overwrite, finish
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import to_json
from edge3vt.core.errors import ConfigError, DataError
from edge3vt.data.dataset import MANIFEST, MASKS, PARTIAL, PICTURES, Item
from edge3vt.data.writer import DatasetWriter

if TYPE_CHECKING:
    from edge3vt.cli.cases import Plan

SEED = 7_000_000
"""First seed where none is given: of phantoms that no training, validation or test set of ours holds."""
SMALLEST_PX, LARGEST_PX = 64, 4096
MOST_SECONDS, MOST_HZ = 60.0, 120.0


def phantom(
    out: Annotated[Path, typer.Argument(help="The data set folder to write.")],
    cases: Annotated[int | None, typer.Option(help="How many fetuses; also checked by --merge.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first; the next ones follow.", min=0)] = SEED,
    site: Annotated[Literal["A", "B"], typer.Option(help="B: other scanners, kept for tests.")] = "A",
    probe: Annotated[Literal["convex", "sector", "linear"] | None, typer.Option(help="One kind of probe only.")] = None,
    size: Annotated[str, typer.Option(help="Screen, WIDTHxHEIGHT px; below 500 without furniture.")] = "512x512",
    weeks: Annotated[str | None, typer.Option(help="Gestational age, from-to, as in 18-24.")] = None,
    views: Annotated[float, typer.Option(help="Share of the cases that show the view.")] = 0.7,
    arm: Annotated[bool, typer.Option("--arm", help="Vessels and nerves of the arm instead of fetuses.")] = False,
    pictures: Annotated[int, typer.Option(help="Pictures a case, each from another side.", min=1, max=10)] = 1,
    cines: Annotated[float, typer.Option(help="A cine of so many seconds a case instead.", min=0)] = 0.0,
    rate: Annotated[float, typer.Option(help="Pictures per second of a cine.")] = 15.0,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Write no masks and no outlines.")] = False,
    annotators: Annotated[
        int,
        typer.Option("--annotator", help="So many simulated people draw the masks; exact ones go to truth/.", min=0),
    ] = 0,
    keep_outside: Annotated[
        bool, typer.Option("--keep-outside", help="Do not blank the scanner's screen around the region.")
    ] = False,
    shard: Annotated[str, typer.Option(help="I/N: the I-th of N parts, as one job of an array.")] = "1/1",
    parts: Annotated[
        list[Path] | None, typer.Option("--merge", help="Put this part into OUT, and the others so named.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Write a data set of phantoms with exact masks, outlines and diameters; a stopped run goes on.

    Example: edge3vt phantom out/phantoms --cases 100 --weeks 18-36
    """
    from edge3vt.cli.cases import FOLDERS, Case, Plan, classes_of, merge, tidy, write_cases

    own = (MANIFEST, PARTIAL, PICTURES, MASKS, *FOLDERS)
    if parts:
        _refuse_itself(out, parts)
        if overwrite:
            _clear(out, own)
        try:
            items = merge(out, parts, cases)
        finally:
            tidy(out)
        return _told(out, items, json)
    if cases is None:
        raise ConfigError("no number of cases; add --cases 100, or --merge with the folders of the parts")
    if arm and (probe not in (None, "linear") or weeks):
        raise ConfigError("an arm is scanned with a linear probe and has no weeks; leave --probe and --weeks out")
    if cines and not (0 < rate <= MOST_HZ and round(cines * rate) >= 1 and cines <= MOST_SECONDS):
        raise ConfigError(
            f"cines of {cines:g} s at {rate:g} Hz, expected one picture to {MOST_SECONDS:g} s, at most {MOST_HZ:g} Hz"
        )
    if not 0 <= views <= 1:
        raise ConfigError(f"--views {views:g}: expected a share from 0 to 1")
    if unlabelled and annotators:
        raise ConfigError("--unlabelled leaves an annotator nothing to draw; leave one of the two out")
    width, height = _size(size)
    plan = Plan(
        width=width,
        height=height,
        site=site,
        probe=probe,
        weeks=_weeks(weeks),
        views=views,
        arm=arm,
        pictures=pictures,
        seconds=cines,
        rate_hz=rate,
        labelled=not unlabelled,
        annotators=annotators,
        keep_outside=keep_outside,
    )
    part, count = _shard(shard)
    jobs = [Case(out, seed + i, plan) for i in range(cases) if i % count == part - 1]
    if not jobs:
        raise ConfigError(f"shard {shard} of {cases} cases is empty; use at most as many shards as cases")
    if overwrite:
        _clear(out, own)
    request = _request(plan) | {"seed": str(seed), "cases": str(cases), "shard": shard}
    whole = _request(plan) | {"cases": str(cases)}
    digest = sha256_bytes(to_json(whole).encode())[:8]  # parts of another whole do not merge
    name = f"phantom {'arm ' if arm else ''}{site} {seed} {digest}"
    try:
        with DatasetWriter(out, name, classes_of(plan), resume=True, request=request) as writer:
            for _ in _tracked(write_cases(jobs, writer), len(jobs)):
                pass
            items = writer.items
    finally:
        tidy(out)
    return _told(out, items, json)


def _told(out: Path, items: tuple[Item, ...], json: bool) -> int:
    cases = len({item.patient for item in items})
    views = sum(item.facts["view"] == "yes" for item in items)
    document = {
        "folder": str(out),
        "cases": cases,
        "items": len(items),
        "views": views,
        "labelled": sum(item.mask_sha256 is not None for item in items),
    }
    text = f"{out}: {len(items)} pictures of {cases} cases, {views} of them the view"
    return finish("phantom", True, document, [text], json=json)


def _tracked(steps: Iterable[object], total: int) -> Iterable[object]:
    from rich.console import Console
    from rich.progress import track

    return track(steps, "rendering phantoms", total=total, console=Console(stderr=True))


def _request(plan: Plan) -> dict[str, str]:
    return {field.name: str(getattr(plan, field.name)) for field in fields(plan)}


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    if found:
        width, height = int(found[1]), int(found[2] or found[1])
        if all(SMALLEST_PX <= side <= LARGEST_PX for side in (width, height)):
            return width, height
    raise ConfigError(f"--size {text}: expected WIDTHxHEIGHT of {SMALLEST_PX} to {LARGEST_PX} px, as in 975x735")


def _weeks(text: str | None) -> tuple[float, float] | None:
    from edge3vt.phantom.anatomy import MAX_WEEKS, MIN_WEEKS

    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,2}(?:\.\d+)?)(?:-(\d{1,2}(?:\.\d+)?))?", text)
    if found:
        low, high = float(found[1]), float(found[2] or found[1])
        if MIN_WEEKS <= low <= high <= MAX_WEEKS:
            return low, high
    raise ConfigError(f"--weeks {text}: expected from-to within {MIN_WEEKS:g}-{MAX_WEEKS:g}, as in 18-24")


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if found and 1 <= int(found[1]) <= int(found[2]):
        return int(found[1]), int(found[2])
    raise ConfigError(f"--shard {text}: expected I/N with I from 1 to N, as in 3/8")


def _refuse_itself(out: Path, parts: list[Path]) -> None:
    if out.resolve() in (part.resolve() for part in parts):
        raise ConfigError(f"{out}: is one of the parts to merge; name a new folder")


def _clear(out: Path, names: Iterable[str]) -> None:
    """Remove an earlier data set, its manifest first; refuse a folder that holds anything else."""
    names = tuple(names)
    if out.is_dir() and (others := sorted(path.name for path in out.iterdir() if path.name not in names)):
        raise ConfigError(f"{out}: also holds {others[0]}, which is of no data set; name a new folder")
    for name in names:
        path = out / name
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"{path}: cannot be removed ({error.strerror}); choose another folder") from error
