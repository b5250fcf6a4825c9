"""``edge3vt data``: a user's own pictures, in a folder with one manifest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge3vt.cli import dataset
from edge3vt.cli.output import Json, Overwrite, finish, note, progress
from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError
from edge3vt.core.frame import Region
from edge3vt.data.dataset import MANIFEST, PARTIAL
from edge3vt.data.decoder import MOST_WORKERS, usual_workers
from edge3vt.data.importers.kind import kind_of
from edge3vt.data.importers.labels import LabelMap
from edge3vt.data.imports import Imported, import_set
from edge3vt.data.intake import Request
from edge3vt.data.pseudonym import key_path, patient_key
from edge3vt.data.swap import beside

SHOWN = 50  # refused files named one by one; --json names all

app = typer.Typer(no_args_is_help=True, help="Data sets: import, audit, split, show and export them.")


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A folder, or one DICOM, video or LabelMe file.")],
    out: Annotated[Path, typer.Argument(help="The data set's folder.")],
    format: Annotated[
        Literal["auto", "pictures", "labelme", "nnunet", "dicom", "video"], typer.Option(help="What SOURCE holds.")
    ] = "auto",
    classes: Annotated[
        Path | None,
        typer.Option(metavar="MAP.toml", help="The class map, SOURCE/classes.toml by default; pictures need one."),
    ] = None,
    patient_from: Annotated[
        str | None,
        typer.Option(
            metavar="file|folder|folder:N|pattern:REGEX",
            help="What pictures of one patient share, where no header names the patient: the innermost folder, the "
            "N-th folder below SOURCE, or what a pattern finds in the path.",
        ),
    ] = None,
    ignore_header: Annotated[
        bool,
        typer.Option(
            "--ignore-header", help="DICOM: use --patient-from even where a header names a patient: a placeholder."
        ),
    ] = False,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1", help="Where the ultrasound picture is; where a file tells, what to keep of it."
        ),
    ] = None,
    keep_outside: Annotated[
        bool, typer.Option("--keep-outside", help="Do not blank what lies outside the region, such as text.")
    ] = False,
    every: Annotated[int, typer.Option(metavar="N", help="Of a cine or video, take each N-th picture.")] = 1,
    keep_names: Annotated[
        bool, typer.Option("--keep-names", help="Write the files' names into the data set; they may name patients.")
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option(
            "--patient-key", help="The key file behind the patients' names, OUT.patient-key by default: keep it."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help=f"Processes that read; by default one a core, at most {MOST_WORKERS}.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Make a data set of a folder. A run that was stopped goes on when repeated; exit code 1 where a file is refused.

    The lines that name refused files hold their paths, which may name patients.

    Example: edge3vt data import clinic/ sets/clinic --patient-from folder
    """
    if (out / MANIFEST).exists() and not overwrite:
        raise ConfigError(f"{out}: holds a data set; choose another name or add --overwrite")
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers {workers}: expected 1 or more")
    if classes is None and (source / "classes.toml").is_file():  # an export of ours
        classes = source / "classes.toml"
    labels = read_toml(LabelMap, classes) if classes else None
    request = Request(
        source,
        kind_of(source, labels) if format == "auto" else format,
        labels,
        patient_from=patient_from,
        ignore_header=ignore_header,
        region=_region(region),
        keep_outside=keep_outside,
        every=every,
        keep_names=keep_names,
    )
    path = key or key_path(out)
    made = not path.exists()
    try:
        with progress(f"importing {request.format}") as told:
            result = import_set(
                request,
                out,
                patient_key(path),
                workers=workers or usual_workers(),
                overwrite=overwrite,
                told=told,
            )
    except KeyboardInterrupt:
        note(f"{out}: stopped; repeat the command, and it goes on")
        raise
    finally:
        if made and not _begun(out) and not _begun(beside(out.resolve())):
            path.unlink(missing_ok=True)
    for line in result.refused[:SHOWN]:
        note(f"refused: {line}")
    if len(result.refused) > SHOWN:
        note(f"refused: {len(result.refused) - SHOWN} more; --json names all")
    if result.passed_over:
        note("passed over: " + ", ".join(f"{count} {kind}" for kind, count in result.passed_over.items()))
    document = {"out": str(out), "format": request.format, "patient_key": str(path), **asdict(result)}
    return finish("data import", not result.refused, document, _lines(result, request, out, path), json=json)


app.command("audit")(dataset.audit)
app.command("split")(dataset.split)
app.command("show")(dataset.show)
app.command("export")(dataset.export)


def _begun(folder: Path) -> bool:
    return (folder / MANIFEST).exists() or (folder / PARTIAL).exists()


def _region(text: str | None) -> Region | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise ConfigError(f"--region '{text}': expected four whole numbers, X0,Y0,X1,Y1")
    return Region(*(int(part) for part in parts))


def _lines(result: Imported, request: Request, out: Path, key: Path) -> list[str]:
    counts = [f"{result.items} pictures", f"{result.labelled} labelled", f"{result.patients} patients"]
    counts += [f"{result.cines} cines"] * (result.cines > 0)
    files = [f"{result.read} read"] + [f"{result.resumed} read before"] * (result.resumed > 0)
    files += [f"{result.doubles} the same as another"] * (result.doubles > 0)
    files += [f"{len(result.refused)} refused"] * (len(result.refused) > 0)
    lines = [f"{out}: {', '.join(counts)}", f"{result.files} files ({request.format}): {', '.join(files)}"]
    if set(result.splits) != {"none"}:
        lines.append("splits: " + ", ".join(f"{name} {count}" for name, count in result.splits.items()))
    if result.labelled:
        lines.append("classes: " + ", ".join(f"{name} in {count}" for name, count in result.classes.items()))
    if result.joined:
        lines.append(f"{result.joined} files without a patient in the header went to the only patient of their group")
    if result.suspect > 1:
        lines.append(
            f"{result.suspect} of {result.headed} files with a patient in the header name the same one; if that is a "
            "placeholder, add --ignore-header and --patient-from"
        )
    return [*lines, f"keep {key}: with it the same patient gets the same name again, in another import too"]
