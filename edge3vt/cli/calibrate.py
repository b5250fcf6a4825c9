"""``edge3vt calibrate``: what ranges a model's tensors take over a set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge3vt.calibrate.observe import observe
from edge3vt.cli.engines import named_model, pictures_of
from edge3vt.cli.output import Json, Overwrite, finish
from edge3vt.core.documents import write_json
from edge3vt.core.errors import ConfigError


def calibrate(
    model: Annotated[str, typer.Argument(help="An ONNX file in the engine contract, or the name of a shipped model.")],
    set_name: Annotated[str, typer.Argument(metavar="SET", help="A calibration set: a TOML file, or a shipped name.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The table to write.")],
    method: Annotated[Literal["percentile", "minmax"], typer.Option(help="How a range is chosen.")] = "minmax",
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Observe a model over a set and write its calibration table.

    Example: edge3vt calibrate student-s384 phantom -o calibration/tables/mine.json
    """
    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: exists; choose another name or add --overwrite")
    asked = named_model(model)
    spec = asked.spec
    table = observe(asked.data, spec, pictures_of(set_name, spec), set_name=set_name, method=method)
    write_json(table, out)
    document = {
        "model": spec.model_id,
        "set": set_name,
        "table": str(out),
        "frames": table.frames,
        "tensors": len(table.ranges),
    }
    text = f"{out}: {len(table.ranges)} tensors observed over {table.frames} frames of {set_name} ({method})"
    return finish("calibrate", True, document, [text], json=json)
