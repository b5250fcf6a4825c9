"""``edge3vt data audit``, ``split``, ``show`` and ``export``: is a data set sound, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge3vt.cli.output import Json, Overwrite, finish, progress
from edge3vt.core.documents import suggestion, write_bytes
from edge3vt.core.errors import ConfigError
from edge3vt.data.audit import Audit
from edge3vt.data.audit import audit as audit_set
from edge3vt.data.contact import COLUMNS, sheet, spread
from edge3vt.data.dataset import Dataset, Item, read_dataset, write_items
from edge3vt.data.decoder import MOST_WORKERS
from edge3vt.data.exporters import labelme, nnunet, pictures
from edge3vt.data.page import page
from edge3vt.data.rules import RULES
from edge3vt.data.split import GAP, SHARES, SPLITS, alike_patients, fold_items, split_items
from edge3vt.picture.images import write_image

SHOWN = 10  # findings of a rule that are printed; --json has them all

Set = Annotated[Path, typer.Argument(metavar="SET", help="A data set folder.")]


def audit(
    folder: Set,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write an HTML page with pictures here.")] = None,
    accept: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="A rule whose breach is a warning; may be repeated.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help=f"Processes that read; by default one a core, at most {MOST_WORKERS}.", min=1)
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Check a data set: leaks between splits, files, masks, grey levels, text. Exit code 1 where a rule fails.

    Example: edge3vt data audit sets/clinic -o audit.html
    """
    dataset = read_dataset(folder)
    if out is not None:
        _check_new(out, ".html", overwrite)
    with progress("auditing") as told:
        result = audit_set(dataset, accept=accept or (), workers=workers, told=told)
    if out is not None:
        write_bytes(out, page(dataset, result).encode())
    document = {"set": str(folder), "report": None if out is None else str(out), "audit": asdict(result)}
    return finish("data audit", result.passed, document, _audit_lines(folder, result, out), json=json)


def split(
    folder: Set,
    shares: Annotated[
        str | None,
        typer.Option(
            metavar="TRAIN,VALIDATION,TEST",
            help=f"Shares of patients, items and classes, by default {','.join(map(str, SHARES))}; one may be 0.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Draws the order among patients of one size, by default 0.", min=0)
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Patients who have a split stay there; only the others are dealt out.")
    ] = False,
    together_like: Annotated[
        bool,
        typer.Option("--together-like", help="Keep patients with near-duplicate pictures together: they may be one."),
    ] = False,
    fold: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="For sets whose patients are unknown: the I-th of N folds, in blocks of files that follow each other.",
        ),
    ] = None,
    gap: Annotated[
        int | None, typer.Option(help=f"Items left out where a fold's splits meet, by default {GAP}.", min=0)
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Deal the patients of a data set out to train, validation and test, with their items near the shares.

    Example: edge3vt data split sets/clinic --shares 0.7,0.15,0.15 --seed 1
    """
    if fold is None and gap is not None:
        raise ConfigError("--gap is of folds; add --fold I/N, or leave it out")
    if fold is not None:
        dealt = {"--shares": shares, "--seed": seed, "--keep": keep or None, "--together-like": together_like or None}
        if without := [name for name, value in dealt.items() if value is not None]:
            raise ConfigError(
                f"--fold deals out no patients, so {' and '.join(without)} would do nothing; leave it out"
            )
    dataset = read_dataset(folder)
    placed = sum(item.split is not None for item in dataset.items)
    if placed and not keep and not overwrite:
        raise ConfigError(f"{folder}: {placed} items have a split; keep it with --keep, or replace it with --overwrite")
    if fold is not None:
        return _fold(dataset, fold, GAP if gap is None else gap, json=json)
    numbers, alike = SHARES if shares is None else _shares(shares), set[tuple[str, str]]()
    if together_like:
        with progress("comparing") as told:
            alike = set(alike_patients(dataset, told))
    items = split_items(dataset.items, numbers, seed=seed or 0, keep=keep, alike=alike)
    counts, lines = _placed(dataset, items)
    joined = len({patient for pair in alike for patient in pair})
    if together_like:
        lines.append(f"{joined} patients have near-duplicates of another's pictures, and stay with them")
    document = {"set": str(folder), "seed": seed or 0, "splits": counts, "together": joined}
    return finish("data split", True, document, lines, json=json)


def show(
    folder: Set,
    names: Annotated[list[str] | None, typer.Argument(metavar="[ITEM]...", help="Items by id; a sample else.")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The picture to write.")] = Path("sheet.png"),
    count: Annotated[int, typer.Option(help="Size of the sample.", min=1, max=1000)] = 48,
    columns: Annotated[int, typer.Option(help="Pictures in a row.", min=1, max=50)] = COLUMNS,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Make a contact sheet: pictures with the outlines of their masks, and their names.

    Example: edge3vt data show sets/clinic -o sheet.png
    """
    dataset = read_dataset(folder)
    _check_new(out, ".png", overwrite)
    known = {item.id: item for item in dataset.items}
    for name in names or ():
        if name not in known:
            raise ConfigError(f"{folder}: no item is named '{name}'{suggestion(name, list(known)[:20])}")
    items = [known[name] for name in names] if names else spread(dataset.items, count)
    write_image(out, sheet(dataset, items, columns=columns))
    document = {"set": str(folder), "sheet": str(out), "items": [item.id for item in items]}
    return finish("data show", True, document, [f"{out}: {len(items)} of {len(known)} items"], json=json)


def export(
    folder: Set,
    out: Annotated[Path, typer.Argument(help="The folder to write; for nnU-Net named like Dataset101_NAME.")],
    format: Annotated[Literal["labelme", "nnunet", "pictures"], typer.Option(help="What OUT is for.")],
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Write a data set as LabelMe documents, as an nnU-Net v2 folder, or as plain pictures and masks.

    Example: edge3vt data export sets/clinic Dataset101_clinic --format nnunet
    """
    dataset = read_dataset(folder)
    match format:
        case "labelme":
            items = labelme.export(dataset, out, overwrite=overwrite)
        case "nnunet":
            items = nnunet.export(dataset, out, overwrite=overwrite)
        case "pictures":
            items = pictures.export(dataset, out, overwrite=overwrite)
    left = len(dataset.items) - items
    line = f"{out}: {items} items" + (f"; {left} without a mask are left out" if left else "")
    document = {"set": str(folder), "out": str(out), "format": format, "items": items, "left_out": left}
    return finish("data export", True, document, [line], json=json)


def _check_new(out: Path, suffix: str, overwrite: bool) -> None:
    if out.suffix.lower() != suffix:
        raise ConfigError(f"{out}: expected a name that ends in {suffix}")
    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: exists already; choose another name, or replace it with --overwrite")


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(share) for share in text.split(","))
    except ValueError:
        raise ConfigError(f"--shares is '{text}', expected three numbers, as in 0.7,0.15,0.15") from None


def _fold(dataset: Dataset, text: str, gap: int, *, json: bool) -> int:
    part, slash, count = text.partition("/")
    if not slash or not all(number.isascii() and number.isdigit() and len(number) < 7 for number in (part, count)):
        raise ConfigError(f"--fold {text}: expected I/N with I from 1 to N, as in 1/5")
    with progress("comparing") as told:
        alike = list(alike_patients(dataset, told))
    items = fold_items(dataset.items, int(part), int(count), gap, alike)
    counts, lines = _placed(dataset, items)
    left_out = len(items) - sum(count["items"] for count in counts.values())
    lines.append(f"left out where they meet, or near-duplicates: {left_out} items")
    document = {"set": str(dataset.folder), "fold": text, "gap": gap, "splits": counts, "left_out": left_out}
    return finish("data split", True, document, lines, json=json)


def _placed(dataset: Dataset, items: tuple[Item, ...]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Write the items, and tell what each split holds."""
    write_items(dataset, items)
    counts = _counts(Dataset(dataset.folder, dataset.name, dataset.classes, items))
    return counts, [
        f"{name}: {c['patients']} patients, {c['items']} items, {c['labelled']} labelled" for name, c in counts.items()
    ]


def _counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    return {
        split: {
            "patients": len({item.patient for item in dataset.of(split)}),
            "items": len(dataset.of(split)),
            "labelled": sum(item.mask_sha256 is not None for item in dataset.of(split)),
        }
        for split in SPLITS
    }


def _audit_lines(folder: Path, result: Audit, out: Path | None) -> Iterator[str]:
    for tally in result.tallies:
        held = ", ".join(f"{name} in {count}" for name, count in tally.class_items.items())
        yield f"{tally.split}: {tally.patients} patients, {tally.items} items, {tally.labelled} labelled; {held}"
    for rule, findings in result.by_rule().items():
        for finding in findings[:SHOWN]:
            yield finding.line
        if len(findings) > SHOWN:
            yield f"{findings[0].severity} {rule}: {len(findings) - SHOWN} more; --json has them all"
        yield f"  what to do: {RULES[rule].remedy}"
    errors = sum(finding.severity == "error" for finding in result.findings)
    warnings = len(result.findings) - errors
    yield f"{folder}: {'passed' if result.passed else 'FAILED'}, {errors} errors, {warnings} warnings" + (
        f"; see {out}" if out is not None else ""
    )
