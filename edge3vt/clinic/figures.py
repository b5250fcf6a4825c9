"""A study's pictures: Bland and Altman's plots of every measure, accuracy, time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge3vt.clinic.agreement import Agreement
from edge3vt.clinic.results import ARMS, Arm, Result
from edge3vt.clinic.summary import MEAN, Measured, Summary
from edge3vt.core.errors import BackendMissingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARM_NAMES: dict[Arm, str] = {"reader": "Reader alone", "ai": "AI alone", "assisted": "Reader with AI"}
ARM_COLOURS: dict[Arm, str] = {"reader": "#d55e00", "ai": "#666666", "assisted": "#0072b2"}  # Okabe and Ito 2008
DPI = 130
_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.4, 2.0, 3.0, 5.0, 10.0)  # of ratios
_APART = 0.08  # of an axis, between two ticks
_MARKS = "osD^vP*X<>"


def figures(summary: Summary, results: Sequence[Result]) -> dict[str, Figure]:
    """By the name of their files. Raises BackendMissingError without matplotlib."""
    try:
        from matplotlib.figure import Figure  # slow to import
    except ImportError as error:
        raise BackendMissingError(f"figures need matplotlib ({error}); pip install 'edge3vt[clinic]'") from error
    sound = [result for result in results if not result.planted]
    made = {"accuracy": Figure(figsize=(10, 3.6), layout="constrained")}
    _accuracy(made["accuracy"].subplots(), summary)
    if summary.time is not None:
        made["time"] = Figure(figsize=(10, 2.4), layout="constrained")
        _time(made["time"].subplots(), sound)
    for name in dict.fromkeys(one.measure for one in summary.measured):
        own = [one for one in summary.measured if one.measure == name]
        made[name] = Figure(figsize=(12, 3.9), layout="constrained")
        panels = made[name].subplots(1, len(ARMS), sharex=True, sharey=True)
        reach: list[float] = []
        for arm, axes in zip(ARMS, panels, strict=True):
            found = next((one for one in own if one.arm == arm), None)
            _bland_altman(axes, arm, own[0], None if found is None else found.agreement, sound)
            points = [p for r in sound if r.arm == arm and (p := values(own[0], r)) is not None]
            reach += [found - true for found, true in points]
            reach += [] if found is None else [found.agreement.lower, found.agreement.upper]
        _scale(panels[0], own[0], reach, [p[1] for r in sound if (p := values(own[0], r)) is not None])
        panels[0].set_ylabel(
            "reading / reference" if own[0].scale == "log" else f"reading less reference {unit(own[0])}"
        )
        handles, labels = panels[0].get_legend_handles_labels()
        if handles:
            made[name].legend(handles, labels, loc="outside right center", fontsize="small", title="reader")
    return made


def _scale(axes: Axes, one: Measured, reach: Sequence[float], true: Sequence[float]) -> None:
    """Limits and ticks: by points and limits of agreement, whose intervals may reach out of the picture."""
    low, high = min([*reach, 0.0]), max([*reach, 0.0])
    room = 0.08 * (high - low) + 1e-9
    axes.set_ylim(low - room, high + room)
    if one.scale != "log":
        return
    ticks: list[float] = []
    for tick in sorted(_TICKS, key=lambda tick: abs(np.log(tick))):
        if all(abs(np.log(tick / other)) > _APART * (high - low) for other in ticks):
            ticks.append(tick)
    axes.set_yticks(np.log(ticks), [f"{tick:g}" for tick in ticks])
    axes.set_ylim(low - room, high + room)
    if true:
        marks = sorted({float(f"{mark:.2g}") for mark in np.geomspace(np.exp(min(true)), np.exp(max(true)), 5)})
        axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
        axes.set_xticks([], minor=True)


def unit(one: Measured) -> str:
    return f"({one.unit})" if one.unit else ""


def title(measure: str) -> str:
    """A measure's name for people."""
    return "PA/Ao" if measure == "pa_ao" else measure.replace("_", " ").capitalize()


def values(one: Measured, result: Result) -> tuple[float, float] | None:
    """What was found and the reference, on the measure's scale."""
    if one.scale == "log":
        score = result.scores[one.measure.removesuffix("_area")]
        if not (score.found_px and score.true_px):
            return None
        return float(np.log(score.found_px)), float(np.log(score.true_px))
    found, true = result.measures[one.measure]
    return None if found is None or true is None else (found, true)


def _bland_altman(axes: Axes, arm: Arm, one: Measured, whole: Agreement | None, results: Sequence[Result]) -> None:
    """Differences on the reference; the bias and the limits with their intervals as bands."""
    axes.set_title(ARM_NAMES[arm], fontsize="medium")
    log = one.scale == "log"
    readers = sorted({result.reader for result in results if result.arm == arm})
    for place, reader in enumerate(readers):
        points = [p for r in results if r.arm == arm and r.reader == reader and (p := values(one, r)) is not None]
        if points:
            found, true = np.array(points).T
            axes.scatter(
                np.exp(true) if log else true,
                found - true,
                s=18,
                alpha=0.6,
                linewidths=0,
                marker=_MARKS[place % len(_MARKS)],
                color=ARM_COLOURS["ai"] if arm == "ai" else f"C{place % 10}",
                label=reader or None,
                rasterized=True,
            )
    if whole is not None:
        for value, (low, high), style in (
            (whole.bias.value, whole.bias.interval, "-"),
            (whole.lower, whole.lower_interval, "--"),
            (whole.upper, whole.upper_interval, "--"),
        ):
            axes.axhspan(low, high, color=ARM_COLOURS[arm], alpha=0.13, linewidth=0)
            axes.axhline(value, color=ARM_COLOURS[arm], linestyle=style, linewidth=1.2)
            label = f"{np.exp(value):.2f}" if log else f"{value:+.2f}"
            axes.annotate(
                label, (1, value), xycoords=("axes fraction", "data"), xytext=(-3, 2), textcoords="offset points",
                ha="right", fontsize="small", color=ARM_COLOURS[arm],
            )  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.6)
    if log:
        axes.set_xscale("log")
    axes.set_xlabel("reference area (px)" if log else f"reference {unit(one)}")
    axes.grid(alpha=0.25)


def _accuracy(axes: Axes, summary: Summary) -> None:
    names = (MEAN, *summary.structures)
    for place, arm in enumerate(ARMS):
        rows = {one.structure: one for one in summary.accuracy if one.arm == arm}
        for column, name in enumerate(names):
            found = rows[name].dice
            if found is not None:
                low, high = (min(max(end, 0.0), 1.0) for end in found.interval)
                at = column + (place - 1) * 0.22
                axes.plot([at, at], [low, high], color=ARM_COLOURS[arm], linewidth=2)
                axes.plot(at, found.value, "o", color=ARM_COLOURS[arm], label=None if column else ARM_NAMES[arm])
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_ylabel("Dice with the reference")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="lower left", fontsize="small")


def _time(axes: Axes, results: Sequence[Result]) -> None:
    arms: list[Arm] = ["reader", "assisted"]
    seconds = [[r.seconds for r in results if r.arm == arm and r.seconds] for arm in arms]
    axes.boxplot(
        seconds,
        orientation="horizontal",
        tick_labels=[ARM_NAMES[arm] for arm in arms],
        widths=0.6,
        flierprops={"ms": 3},
    )
    axes.set_xlabel("seconds a case")
    axes.set_xscale("log")
    every = [value for own in seconds for value in own if value]
    marks = sorted({float(f"{mark:.2g}") for mark in np.geomspace(min(every), max(every), 7)})
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.set_xticks([], minor=True)
    axes.grid(axis="x", alpha=0.3)


def drawn(figure: Figure, kind: str) -> bytes:
    """A figure as the bytes of an SVG or PNG file, the same for the same figure."""
    import matplotlib

    out = io.BytesIO()
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, for both kinds
    with matplotlib.rc_context({"svg.hashsalt": "edge3vt", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(out, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return out.getvalue()
