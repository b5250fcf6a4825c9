"""A picture of how a training went: its losses, its learning rate, and Dice on the validation set."""

from __future__ import annotations

import json
from pathlib import Path

from edge3vt.core.documents import whole_file

KNOWN = {"step", "seconds", "rate", "validation", "structures"}


def draw_curves(log: Path, out: Path) -> None:
    """Draw the JSON lines of ``log`` to ``out``, a PNG."""
    from matplotlib.figure import Figure  # slow to import

    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    steps = [line for line in lines if "rate" in line]
    judged = [line for line in lines if "validation" in line]
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for name in sorted({key for line in steps for key in line} - KNOWN):
        left.plot([line["step"] for line in steps], [line[name] for line in steps], label=name, linewidth=0.8)
    left.set(title="loss by term, as weighted", xlabel="step", yscale="log")
    middle.plot([line["step"] for line in steps], [line["rate"] for line in steps], color="black", linewidth=0.8)
    middle.set(title="learning rate", xlabel="step")
    for name in sorted({key for line in judged for key, value in line["structures"].items() if value is not None}):
        found = [(line["step"], line["structures"].get(name)) for line in judged]
        right.plot(*zip(*((s, d) for s, d in found if d is not None), strict=True), label=name, linewidth=0.8)
    right.plot([line["step"] for line in judged], [line["validation"] for line in judged], "k-", label="mean, scored")
    right.set(title="Dice, validation", xlabel="step", ylim=(0, 1))
    for axes in (left, right):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
        axes.grid(alpha=0.3)
    with whole_file(out) as partial:
        figure.savefig(partial, format="png", dpi=100)
