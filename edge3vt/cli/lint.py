"""``edge3vt lint``: what a target will reject or do badly, said before a build."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from edge3vt.calibrate import lint as linter
from edge3vt.calibrate.rule import TargetName
from edge3vt.cli.engines import ASSETS
from edge3vt.cli.output import Json, finish
from edge3vt.engine.model import read_bytes


def lint(
    model: Annotated[str, typer.Argument(help="An ONNX file, quantised or not, or the name of a shipped model.")],
    target: Annotated[TargetName, typer.Option(help="The runtime that the model is meant for.")],
    json: Json = False,
) -> int:
    """Say what a target will reject (errors, exit code 1) or do badly (warnings) before a build is tried.

    Example: edge3vt lint net.onnx --target tensorrt-10.3
    """
    asset = ASSETS / model / "student.onnx"
    path = asset if asset.exists() else Path(model)
    findings = linter.lint(read_bytes(path), target, str(path))
    count = Counter(finding.severity for finding in findings)
    document = {
        "model": str(path),
        "target": target,
        "errors": count["error"],
        "warnings": count["warning"],
        "findings": [dataclasses.asdict(finding) for finding in findings],
    }
    lines = []
    last = None
    for f in findings:
        lines += [] if f.rule == last else [f"{f.severity} {f.rule}: {f.why}; {f.remedy}"]
        lines.append(f"    {f.node or 'model'}: {f.found}")
        last = f.rule
    lines.append(f"{path} for {target}: {count['error']} errors, {count['warning']} warnings")
    return finish("lint", not count["error"], document, lines, json=json)
