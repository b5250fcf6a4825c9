"""``edge3vt adopt``: somebody else's segmentation network in the engine contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge3vt.cli.output import Json, Overwrite, finish
from edge3vt.core.documents import write_bytes
from edge3vt.core.errors import ConfigError, Edge3vtError
from edge3vt.engine.adopt import Adoption
from edge3vt.engine.adopt import adopt as adopt_network
from edge3vt.engine.model import read_bytes


def adopt(
    net: Annotated[Path, typer.Argument(metavar="NET.onnx", help="A segmentation network with one picture in.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="The ONNX file to write.")],
    classes: Annotated[str, typer.Option(help="Their names in order, with commas between; the background first.")],
    mean: Annotated[str, typer.Option(help="Of pixels / scale: one value, or one for each channel.")] = "0",
    std: Annotated[str, typer.Option(help="Likewise.")] = "1",
    scale: Annotated[float, typer.Option(help="What pixels of 0 to 255 are divided by first.")] = 255.0,
    layout: Annotated[Literal["NCHW", "NHWC"], typer.Option(help="Where the channels stand.")] = "NCHW",
    channels: Annotated[int | None, typer.Option(help="1 or 3, where the network leaves them open.")] = None,
    size: Annotated[int | None, typer.Option(help="Of the pictures, px; 256 where the network leaves it open.")] = None,
    output: Annotated[str | None, typer.Option(help="The segmentation, where there are several outputs.")] = None,
    activation: Annotated[
        Literal["none", "softmax", "sigmoid", "argmax"] | None,
        typer.Option(help="What the output went through; read off the network by default."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the model; the file's by default.")] = None,
    version: Annotated[str, typer.Option(help="Of the model.")] = "1",
    training: Annotated[str, typer.Option(help="What it was trained on, shown on the picture.")] = "trained elsewhere",
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Put a network of your own into the engine contract, and check that it says what it said before.

    Example: edge3vt adopt net.onnx mine.onnx --classes background,vessel --mean 0.485,0.456,0.406
    --std 0.229,0.224,0.225
    """
    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: exists; add --overwrite, or name another file")
    asked = Adoption(
        classes=tuple(part.strip() for part in classes.split(",")),
        name=net.stem if name is None else name,
        version=version,
        training=training,
        mean=_numbers("mean", mean),
        std=_numbers("std", std),
        scale=scale,
        layout=layout,
        channels=channels,
        size=size,
        output=output,
        activation=activation,
    )
    data = read_bytes(net)
    try:
        result = adopt_network(data, asked)
    except Edge3vtError as error:
        raise type(error)(f"{net}: {error}") from error
    write_bytes(out, result.model.data)
    spec = result.model.spec
    document = {
        "model": str(out),
        "spec": spec,
        "output": result.output,
        "activation": result.activation,
        "opset": result.opset,
        "difference": result.difference,
    }
    text = [
        f"{out}: {spec.model_id}, {spec.width}x{spec.height} px, {len(spec.classes)} classes at stride {spec.stride}, "
        f"opset {result.opset}",
        f"output {result.output} as {result.activation}; differs from the original by {result.difference:.1g} at most",
    ]
    return finish("adopt", True, document, text, json=json)


def _numbers(flag: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--{flag} {text}: expected numbers with commas between") from error
