"""``edge3vt study``: the reader study of the seed paper, from its plan to its report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge3vt.bench.accuracy import scored
from edge3vt.bench.prediction import Mode, Sight
from edge3vt.bench.record import frame_of
from edge3vt.cli.evaluate import opened
from edge3vt.cli.output import Json, Overwrite, finish, note, progress
from edge3vt.clinic.analysis import summarise
from edge3vt.clinic.collection import collect as collect_readings
from edge3vt.clinic.collection import look
from edge3vt.clinic.design import PICTURES, Precision, precision
from edge3vt.clinic.desk import StudyDesk
from edge3vt.clinic.labelme import hand_out
from edge3vt.clinic.plan import DIFFER_BELOW, Design, Masks, candidates, folder_masks, make
from edge3vt.clinic.report import PAGE, write
from edge3vt.clinic.report import lines as report_lines
from edge3vt.clinic.results import measures_of, results
from edge3vt.clinic.study import WASH_OUT_DAYS, read_key, read_study
from edge3vt.core.documents import suggestion
from edge3vt.core.errors import ConfigError
from edge3vt.core.segmentation import Mask
from edge3vt.data.dataset import Dataset, Item, read_dataset

app = typer.Typer(no_args_is_help=True, help="A reader study: plan it, read, collect the readings, report.")
AI = "student-s384"
Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="A study's folder.")]


@app.command()
def plan(
    source: Annotated[
        Path | None, typer.Argument(metavar="SET", help="A data set folder; without it, only the precision is told.")
    ] = None,
    folder: Annotated[Path | None, typer.Argument(metavar="STUDY", help="The study's folder to make.")] = None,
    readers: Annotated[
        list[str] | None, typer.Option("--reader", metavar="NAME", help="Reads all pictures twice; repeat it.")
    ] = None,
    experts: Annotated[
        list[str] | None, typer.Option("--expert", metavar="NAME", help="Reads for the reference; name two.")
    ] = None,
    adjudicator: Annotated[str, typer.Option(metavar="NAME", help="Decides where the experts differ.")] = "adjudicator",
    ai: Annotated[
        str,
        typer.Option(metavar="MODEL", help="As evaluate takes it; or a folder of masks of class indices, ITEM.png."),
    ] = AI,
    crop: Annotated[Mode, typer.Option(help="How a model looks: whole, or track, a second pass, closer.")] = "whole",
    pictures: Annotated[int, typer.Option(help="How many are drawn.", min=1)] = PICTURES,
    split: Annotated[str, typer.Option(help="train, validation, test, or all.")] = "test",
    seed: Annotated[int, typer.Option(help="Draws pictures, names and orders.", min=0)] = 0,
    structures: Annotated[
        list[str] | None,
        typer.Option("--structure", metavar="CLASS", help="To be drawn; by default the four that are scored."),
    ] = None,
    planted: Annotated[float, typer.Option(help="Share of the pictures whose given contours are wrong.")] = 0.0,
    wash_out_days: Annotated[int, typer.Option(help="Days between a reader's two sessions.", min=0)] = WASH_OUT_DAYS,
    differ_below: Annotated[float, typer.Option(help="Dice under which experts differ.")] = DIFFER_BELOW,
    title: Annotated[str, typer.Option(help="On the reading page and the report.")] = "Reader study",
    json: Json = False,
) -> int:
    """What precision a design buys, and the study's folder: pictures drawn, blinded and dealt out, the AI's contours.

    Example: edge3vt study plan sets/clinic studies/one --reader ann --reader ben --expert eva --expert finn
    """
    bought = precision(pictures, len(readers or ()) or 1)
    if source is None:
        return finish("study plan", True, {"precision": bought, "study": None}, _precision_lines(bought), json=json)
    if folder is None:
        raise ConfigError("no folder for the study; give SET and STUDY, or neither to see the precision")
    if len(experts or ()) != 2:
        raise ConfigError(f"{len(experts or ())} experts, expected two; name them with --expert NAME --expert NAME")
    dataset = read_dataset(source)
    names = tuple(structures or scored(dataset.classes))
    for name in names:
        if name not in dataset.classes[1:]:
            raise ConfigError(f"--structure '{name}': no class of {source}{suggestion(name, dataset.classes[1:])}")
    one, two = experts or ("", "")
    design = Design(
        title,
        names,
        tuple(readers or ()),
        (one, two),
        adjudicator,
        pictures,
        seed,
        wash_out_days,
        differ_below,
        planted,
    )
    items = candidates(dataset, split)
    masks, named = _masks(ai, crop, dataset)
    with progress("drawing") as told:
        study, key = make(folder, dataset, items, masks, named, design, told)
    text = [
        *_precision_lines(bought),
        f"{folder}: {len(study.cases)} pictures of {len({origin.patient for origin in key.origins})} patients, "
        f"{len(study.sessions)} sessions",
        f"keep {folder / 'secret'} to yourself: everything else may go to readers",
    ]
    document = {"precision": bought, "study": str(folder), "id": study.id, "sessions": len(study.sessions)}
    return finish("study plan", True, document, text, json=json)


@app.command()
def read(
    folder: Folder,
    reader: Annotated[str, typer.Option(metavar="NAME", help="Who reads.")],
    session: Annotated[int | None, typer.Option(help="Which of theirs; by default the first not done.", min=1)] = None,
    labelme: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the session for LabelMe instead of opening a page.")
    ] = None,
    port: Annotated[int, typer.Option(help="Of the page; 0 for any that is free.", min=0, max=65535)] = 0,
    json: Json = False,
) -> int:
    """Open a reader's session as a page in the browser, until Ctrl-C, or write it for LabelMe.

    Example: edge3vt study read studies/one --reader ann
    """
    desk = StudyDesk(folder, reader, session)
    document = {"study": str(folder), "reader": reader, "session": desk.session.number, "cases": len(desk.cases)}
    if labelme is not None:
        count = hand_out(desk, labelme)
        text = f"{labelme}: {count} pictures; tick the flag 'done' of each, then edge3vt study collect --from {labelme}"
        return finish("study read", True, document | {"labelme": str(labelme)}, [text], json=json)
    from edge3vt.viewer.reading import serve

    serve(desk, port=port, announce=note, warn=note)
    done = sum(saved is not None and saved.done for saved in map(desk.saved, desk.cases))
    text = f"{reader}, session {desk.session.number}: {done} of {len(desk.cases)} cases are done"
    return finish("study read", True, document | {"done": done}, [text], json=json)


@app.command()
def collect(
    folder: Folder,
    incoming: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FOLDER", help="A copy of the study, or a session for LabelMe; repeat it."),
    ] = None,
    json: Json = False,
) -> int:
    """Take readings in, and tell what is missing, double, foreign or damaged; exit code 2 for any of it.

    Example: edge3vt study collect studies/one --from usb/one
    """
    found = collect_readings(folder, incoming or ())
    text = [str(problem) for problem in found.problems]
    text.append(f"{folder}: {found.done} of {found.wanted} readings are done, {found.taken} were taken in now")
    passed = not found.problems
    finish("study collect", passed, {"study": str(folder), "collection": asdict(found)}, text, json=json)
    return 0 if passed else 2


@app.command()
def report(
    folder: Folder,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder for the page, figures and tables.")],
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Report what there is; the page says what is missing.")
    ] = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Accuracy, agreement, tests, time and following of a study: one HTML page, figures, JSON and CSV.

    Example: edge3vt study report studies/one -o out/one
    """
    if (out / PAGE).exists() and not overwrite:
        raise ConfigError(f"{out / PAGE}: exists already; choose another folder or add --overwrite")
    study = read_study(folder)
    key = read_key(folder, study)
    found, readings = look(folder, study)
    lacking = [str(problem) for problem in found.problems]
    if lacking and not incomplete:
        raise ConfigError(
            f"{folder}: {found.done} of {found.wanted} readings are done, and {len(lacking)} problems stand; see "
            "edge3vt study collect, or report what there is with --incomplete"
        )
    with progress("measuring") as told:
        drawings, decided = results(folder, study, key, readings, measures_of(study), told)
    with progress("fitting") as told:
        summary = summarise(study, key, drawings, decided, lacking, told)
    note("drawing the figures")
    files = write(summary, drawings, out)
    text = [*report_lines(summary), f"{files[-1]}"]
    document = {"study": str(folder), "summary": asdict(summary), "files": [str(file) for file in files]}
    return finish("study report", True, document, text, json=json)


def _masks(ai: str, crop: Mode, dataset: Dataset) -> tuple[Masks, str]:
    """The AI's masks, by a model or out of a folder, and its name for the key."""
    if crop == "truth":
        raise ConfigError("--crop truth looks where an oracle says; take whole or track")
    path = Path(ai)
    if path.is_dir() and any(path.glob("*.png")):
        return folder_masks(path, dataset.classes), f"masks of {path.resolve().name}"
    judged = opened(ai)
    if judged.session.spec.classes != dataset.classes:
        raise ConfigError(f"{ai}: its classes are not those of {dataset.folder}; take a model of the same classes")
    sight = Sight(judged.session, crop)

    def mask(item: Item) -> Mask:
        return sight.mask(frame_of(dataset, item), None)

    return mask, f"{judged.session.spec.model_id}, {crop}"


def _precision_lines(bought: Precision) -> list[str]:
    biases = ", ".join(f"{half:.2f} SD at {float(share):.0%}" for share, half in bought.bias.items())
    powers = ", ".join(f"{power:.0%} for {effect} SD" for effect, power in bought.power.items())
    return [
        f"{bought.pictures} pictures and {bought.readers} readers buy, in SDs of a difference:",
        f"  limits of agreement of one reader to within {bought.limits:.2f} SD (1.96 sqrt(3 / n))",
        f"  the bias to within, by the share of readers' own biases in the variance: {biases}",
        f"  a paired comparison's power: {powers}; 80% for {bought.detectable:.2f} SD",
    ]
