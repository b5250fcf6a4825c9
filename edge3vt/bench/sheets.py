"""What was measured, as tables of text: for a terminal, Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge3vt.bench.comparison import Comparison, Pair, Row
from edge3vt.bench.record import Record
from edge3vt.bench.statistics import Interval
from edge3vt.bench.summary import WEEKS, WIDTHS_PX, Group

NONE = "–"  # noqa: RUF001 - a dash is what an empty cell holds
MEASURES = {"dice": "Dice", "iou": "IoU"}
TRUTHS = {"drawn": "against the set's masks", "exact": "against exact masks"}
GROUPS = {
    "weeks": ("Mean Dice by gestational age, weeks", [name for name, _, _ in WEEKS]),
    "variant": ("Mean Dice by variant", None),
    "width": (
        "Dice by the vessel's true width, in px of the network that sees the whole region",
        [name for name, _, _ in WIDTHS_PX],
    ),
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table; its first column names the rows."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def number(value: float | None, digits: int = 3) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}"


def span(interval: Interval | None, *, signed: bool = False) -> str:
    """An interval, as in 0.71 to 0.84."""
    return NONE if interval is None else " to ".join(f"{end:{'+' if signed else ''}.3f}" for end in interval)


def probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def sheets(comparison: Comparison) -> list[Sheet]:
    """The tables of a comparison: models, structures, groups, paired tests."""
    rows = comparison.rows
    found = [_models(comparison), *(_structures(comparison, measure) for measure in ("dice", "hd95", "missed"))]
    for kind, (caption, order) in GROUPS.items():
        names = [name for name in order or _variants(rows) if any(name in row.groups.get(kind, {}) for row in rows)]
        if names:
            found.append(_groups(rows, kind, caption, names))
    return found + ([_paired(comparison.paired)] if comparison.paired else [])


def markdown(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    return f"# Accuracy\n\n{told(comparison)}\n" + "".join(f"\n{_markdown(sheet)}" for sheet in sheets(comparison))


def told(comparison: Comparison) -> str:
    """What stands above the tables."""
    return (
        f"{comparison.cases:,} pictures of {comparison.patients:,} patients ({'; '.join(comparison.sets)}), "
        f"{TRUTHS[comparison.truth]}. Means are "
        f"over {', '.join(_plain(name) for name in comparison.scored)}, each the mean over the pictures that hold it; "
        "in brackets 95 % intervals by patient. Tolerance of the surface Dice (NSD): "
        f"{comparison.tolerance:g} {comparison.unit}. Not a medical device; not for diagnosis."
    )


def of_record(record: Record) -> list[str]:
    """A record, in lines for a terminal."""
    s, model = record.summary, record.model
    cost = f"{number(model.params_m)} M parameters, {number(model.gmac)} GMAC a picture"
    truth = TRUTHS[record.set.truth]
    lines = [
        f"{model.name}: {record.mode}, {record.size} px, {model.precision}, {cost}",
        f"{record.set.name}, {record.set.split}: {s.cases} pictures of {s.patients} patients, {truth}",
        f"Dice {_bracketed(s.dice, s.dice_interval)}, IoU {_bracketed(s.iou, s.iou_interval)}, "
        f"PA {_bracketed(s.pa, s.pa_interval)}; of all pixels {number(s.pa_overall)}",
    ]
    if s.change is not None:
        lines.append(f"cines: {len(record.cines)}, change {number(s.change)}, flicker {number(s.flicker)}")
    head = ("structure", "cases", "Dice", "IoU", "PA", f"HD95 {record.unit}", "NSD", "missed", "false positive")
    rows = [
        (
            _plain(name) + (" (not in the means)" if name not in record.scored else ""),
            str(own.cases),
            *(number(v) for v in (own.dice, own.iou, own.pa)),
            number(own.hd95, 2),
            number(own.nsd),
            percent(own.missed),
            f"{percent(own.false_positive)} of {own.empty}" if own.empty else NONE,
        )
        for name, own in s.structures.items()
    ]
    return lines + _aligned((head, *rows))


def _models(comparison: Comparison) -> Sheet:
    cines = any(row.change is not None for row in comparison.rows)
    head = ("model", "IoU", "PA", "Dice", f"HD95 {comparison.unit}", "NSD", "missed", "params M", "GMAC")
    rows = [
        (
            row.name,
            _bracketed(row.iou, row.iou_interval),
            _bracketed(row.pa, row.pa_interval),
            _bracketed(row.dice, row.dice_interval),
            number(row.hd95, 2),
            number(row.nsd),
            percent(row.missed),
            number(row.params_m, 2),
            number(row.gmac, 2),
            percent(row.false_positive),
            *([number(row.flicker)] * cines),
            number(row.pa_overall),
            _runs(row),
        )
        for row in comparison.rows
    ]
    return Sheet("Models", (*head, "false positives", *(["flicker"] * cines), "PA of all pixels", "runs"), tuple(rows))


def _structures(comparison: Comparison, measure: str) -> Sheet:
    titles = {
        "dice": "Dice by structure",
        "hd95": f"95 % Hausdorff distance by structure, {comparison.unit}, where something was found",
        "missed": "Share of the structures of which nothing was found",
    }
    first = comparison.rows[0].structures
    names, rows = list(first), []
    for row in comparison.rows:
        values = [getattr(row.structures[name], measure) for name in names]
        cells = (percent(v) if measure == "missed" else number(v, 2 if measure == "hd95" else 3) for v in values)
        rows.append((row.name, *cells))
    head = (_plain(name) + (f" (n {first[name].cases})" if measure != "hd95" else "") for name in names)
    return Sheet(titles[measure], ("model", *head), tuple(rows))


def _groups(rows: Sequence[Row], kind: str, caption: str, names: Sequence[str]) -> Sheet:
    def cell(own: Group | None) -> str:
        return NONE if own is None else f"{number(own.dice)} (n {own.cases})"

    body = tuple((row.name, *(cell(row.groups.get(kind, {}).get(name)) for name in names)) for row in rows)
    return Sheet(caption, ("model", *(_plain(name) for name in names)), body)


def _variants(rows: Sequence[Row]) -> list[str]:
    return sorted({name for row in rows for name in row.groups.get("variant", {})})


def _paired(pairs: Sequence[Pair]) -> Sheet:
    rows = tuple(
        (
            f"{pair.name} less {pair.baseline}",
            MEASURES[pair.measure],
            f"{pair.difference:+.3f}",
            span(pair.interval, signed=True),
            probability(pair.p),
            str(pair.patients),
        )
        for pair in pairs
    )
    return Sheet("Differences on the same pictures", ("", "measure", "difference", "95 %", "p", "patients"), rows)


def _bracketed(value: float | None, interval: Interval | None) -> str:
    return number(value) + ("" if interval is None else f" ({span(interval)})")


def _runs(row: Row) -> str:
    each = [dice for dice in row.dice_runs if dice is not None]
    return str(row.runs) + (f" (Dice {span((min(each), max(each)))})" if len(each) > 1 else "")


def _markdown(sheet: Sheet) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    ruled = "|" + "---|" + "---:|" * (len(sheet.head) - 1) + "\n"
    return f"**{sheet.caption}**\n\n{line(sheet.head)}{ruled}{''.join(line(row) for row in sheet.rows)}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _plain(name: str) -> str:
    return name.replace("_", " ")
