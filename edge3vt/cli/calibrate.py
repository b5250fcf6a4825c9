"""``edge3vt calibrate``: is a set fit to calibrate on, and what ranges do a model's tensors take over it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated

import numpy as np
import typer

from edge3vt.calibrate.coverage import Audit, Seen, audit
from edge3vt.calibrate.flavour import Flavour
from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.set import CalibrationSet
from edge3vt.calibrate.table import CalibrationTable, Method, refuse_foreign
from edge3vt.cli.engines import named_model
from edge3vt.cli.layers import MAX_DROP, MAX_VIEW, MINUTES, Against, Album, Found, Question, searched
from edge3vt.cli.output import Json, Overwrite, finish, note, progress
from edge3vt.cli.pictures import fed, named_set, reserved_patients, seen, shots_of
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import ArtifactError, ConfigError, DataError
from edge3vt.core.frame import Pixels
from edge3vt.core.spec import ModelSpec
from edge3vt.data.likeness import Print, fingerprint, near_pairs

IN_MEMORY = 64 << 20  # bytes of pictures; more go to a temporary file
MOST_PAIRS = 20_000  # of near-duplicates that are looked at


def calibrate(
    model: Annotated[str, typer.Argument(help="An ONNX file in the engine contract, or the name of a shipped model.")],
    set_name: Annotated[
        str,
        typer.Argument(
            metavar="SET", help="A TOML file, the name of a shipped set, or a data set folder: its train split."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The table to write.")],
    method: Annotated[Method, typer.Option(help="How a range is chosen.")] = "minmax",
    journal: Annotated[
        Path | None,
        typer.Option(
            "--sensitivity", metavar="JOURNAL", help="Also find which layers to keep in floats; goes on from JOURNAL."
        ),
    ] = None,
    flavour: Annotated[Flavour | None, typer.Option(help="Of the Q/DQ that --sensitivity judges, else cpu.")] = None,
    max_drop: Annotated[float | None, typer.Option(help=f"What a structure may lose in Dice, else {MAX_DROP}.")] = None,
    max_view: Annotated[float | None, typer.Option(help=f"How far the view's logit may move, else {MAX_VIEW}.")] = None,
    minutes: Annotated[float | None, typer.Option(help=f"For the search, else {MINUTES:g}.")] = None,
    against: Annotated[
        Against | None,
        typer.Option(help="Judge by the set's masks, or by the FP32 model's; else masks where it has any."),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Audit a set, observe a model over it, and write its calibration table. Exit code 1 for a set that is not fit.

    With --sensitivity a TABLE that exists is used as it is, SET judges, and exit code 1 says that no layers are known
    yet that hold the bounds.

    Example: edge3vt calibrate student-s384 phantom -o calibration/tables/mine.json
    """
    asks = (flavour, max_drop, max_view, minutes, against)
    if journal is None and any(option is not None for option in asks):
        raise ConfigError("--flavour, --max-drop, --max-view, --minutes and --against are of --sensitivity; add that")
    question = None
    if journal is not None:
        bounds = MAX_DROP if max_drop is None else max_drop, MAX_VIEW if max_view is None else max_view
        question = Question(journal, flavour or "cpu", *bounds, MINUTES if minutes is None else minutes, against)
    if out.exists() and not overwrite and question is None:
        raise ConfigError(f"{out}: exists; choose another name or add --overwrite")
    if Path(model).suffix == ".safetensors" or (Path(model) / "weights.safetensors").is_file():
        raise ConfigError(f"{model}: expected an ONNX file; write a training's: edge3vt export {model} OUT.onnx")
    asked, wanted = named_model(model), named_set(set_name, "train")
    spec = asked.spec
    if asked.source_sha256 is not None:
        raise ArtifactError(f"{model}: is quantised already; calibrate the FP32 model that it was made from")
    table = read_json(CalibrationTable, out) if question is not None and out.exists() and not overwrite else None
    if table is not None:
        refuse_foreign(table, asked.data)
    album = None if question is None else Album(spec.classes)
    found: Found | None = None
    with SpooledTemporaryFile(max_size=IN_MEMORY) as kept:  # what is observed is what was audited
        result = _audited(wanted, spec, kept, album)
        for finding in result.findings:
            note(finding.line)
        made = result.passed and table is None
        if made:
            frames = _observed(kept, wanted.count, spec)
            table = observe(asked.data, spec, frames, set_name=wanted.name, set_sha256=wanted.sha256, method=method)
            write_json(table, out)
        if result.passed and table is not None and question is not None and album is not None:
            found = searched(asked, table, list(_observed(kept, wanted.count, spec)), album, question)
    document = {
        "model": spec.model_id,
        "set": wanted.name,
        "table": None if table is None else str(out),
        "frames": wanted.count,
        "tensors": None if table is None else len(table.ranges),
        "method": method if table is None else table.method,
        "audit": asdict(result),
        "layers": None if found is None else asdict(found),
    }
    passed = result.passed and (found is None or found.sensitivity.keep_float is not None)
    if table is None or not result.passed:
        nothing = "no table was written" if table is None else "nothing was judged"
        text = f"{wanted.name}: not fit to calibrate on, {nothing}"
    elif not made:
        text = f"{out}: was there already, observed over {table.frames} frames of {table.set_name} ({table.method})"
    else:
        text = f"{out}: {len(table.ranges)} tensors observed over {table.frames} frames of {wanted.name} ({method})"
    lines = [result.coverage.line, text]
    if found is not None and question is not None:
        lines += found.lines(question)
    return finish("calibrate", passed, document, lines, json=json)


def _audited(wanted: CalibrationSet, spec: ModelSpec, kept: IO[bytes], album: Album | None) -> Audit:
    """Look at every picture, and keep what the network will see of it; its true mask in ``album``."""
    facts: list[Seen] = []
    prints: list[tuple[str, Print]] = []
    with progress("auditing") as told:
        for done, shot in enumerate(shots_of(wanted), start=1):
            crop = shot.crop(spec.width)
            pixels = fed(shot, crop)
            facts.append(seen(shot, crop, pixels))
            if (found := fingerprint(pixels)) is not None:
                prints.append((shot.id, found))
            if album is not None:
                album.add(shot, crop)
            try:
                kept.write(pixels.data)
            except OSError as error:
                raise DataError(f"no room for {done} pictures ({error.strerror}); free some, or set TMPDIR") from error
            told(done, wanted.count)
    pairs = islice(near_pairs([each for _, each in prints], range(len(prints))), MOST_PAIRS)
    alike = [(prints[pair.first][0], prints[pair.second][0]) for pair in pairs]
    return audit(facts, spec.classes[1:], alike=alike, reserved=reserved_patients(wanted))


def _observed(kept: IO[bytes], count: int, spec: ModelSpec) -> Iterator[Pixels]:
    kept.seek(0)
    with progress("observing") as told:
        for done in range(1, count + 1):
            data = kept.read(spec.height * spec.width)
            yield np.frombuffer(data, dtype=np.uint8).reshape(spec.height, spec.width)
            told(done, count)
