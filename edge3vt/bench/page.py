"""A comparison as one HTML page that needs nothing else: a plot, the tables, and the worst cases of each model."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2

from edge3vt.bench.comparison import Comparison
from edge3vt.bench.record import WORST, Record
from edge3vt.bench.sheets import Sheet, sheets, told
from edge3vt.core.errors import DataError
from edge3vt.picture.images import read_image
from edge3vt.picture.outline import colour_of

SHOWN = 6  # worst cases of each model
QUALITY = 85  # of the JPEGs

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --quiet: #57606a; --line: #d8dee4; --mark: #0969da }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --quiet: #9198a1; --line: #30363d;
  --mark: #58a6ff } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 84rem; padding: 1rem 1.5rem 3rem;
  color: var(--ink); background: var(--paper) }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem } h3 { margin: 1.8rem 0 .3rem; font-size: 1rem }
.quiet { color: var(--quiet) } .wide { overflow-x: auto } table { border-collapse: collapse; margin: 1rem 0 }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; white-space: nowrap }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top;
  font-variant-numeric: tabular-nums; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
svg { max-width: 100%; height: auto }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(32rem, 100%), 1fr)); gap: .8rem }
img { display: block; max-width: 100%; height: auto; border-radius: 4px }
th .quiet { font-weight: 400 } .label { white-space: nowrap; margin-left: 1em }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .35em }
"""


def page(comparison: Comparison, records: Sequence[tuple[Record, Path]]) -> str:
    """The page; the worst cases are read from each record's folder."""
    first: dict[str, tuple[Record, Path]] = {}
    for record, folder in records:
        first.setdefault(record.model.name, (record, folder))
    classes = records[0][0].classes
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Accuracy</title><style>{_STYLE}</style></head><body>
<h1>Accuracy</h1>
<p class="quiet">{escape(told(comparison))}</p>
{_plot(comparison)}
{"".join(_table(sheet) for sheet in sheets(comparison))}
<h2>Worst cases</h2>
<p>The pictures with the lowest mean Dice; truth on the left, what was found on the right.{_key(classes)}</p>
{"".join(_worst(*first[row.name]) for row in comparison.rows)}
</body></html>
"""


def _table(sheet: Sheet) -> str:
    top = "".join(f"<th>{_broken(cell)}</th>" for cell in sheet.head)
    rows = ("".join(f"<td>{_broken(cell)}</td>" for cell in cells) for _, *cells in sheet.rows)
    names = (escape(name) for name, *_ in sheet.rows)
    body = "".join(f"<tr><td>{name}</td>{cells}</tr>" for name, cells in zip(names, rows, strict=True))
    return f'<div class="wide"><table><caption>{escape(sheet.caption)}</caption><tr>{top}</tr>{body}</table></div>'


def _broken(cell: str) -> str:
    """What stands in brackets goes under the rest."""
    return escape(cell).replace(" (", '<br><span class="quiet">(', 1) + "</span>" * (" (" in cell)


def _plot(comparison: Comparison) -> str:
    """Mean Dice of each row with its interval."""
    rows = [(row.name, row.dice, row.dice_interval or (row.dice, row.dice)) for row in comparison.rows if row.dice]
    if not rows:
        return ""
    width, left, step = 900, 280, 30
    height = step * len(rows) + 40
    low = max(min(ends[0] or 0.0 for _, _, ends in rows) - 0.05, 0.0)
    high = min(max(ends[1] or 0.0 for _, _, ends in rows) + 0.05, 1.0)

    def x(value: float) -> float:
        return left + (width - left - 30) * (value - low) / (high - low)

    ticks = [tick / 100 for tick in range(0, 101, 5 if high - low > 0.15 else 2) if low <= tick / 100 <= high]
    grid = "".join(
        f'<line x1="{x(t):.1f}" x2="{x(t):.1f}" y1="6" y2="{height - 32}" stroke="currentColor" opacity=".15"/>'
        f'<text x="{x(t):.1f}" y="{height - 14}" text-anchor="middle">{t:.2f}</text>'
        for t in ticks
    )
    marks = ""
    for i, (name, dice, (start, end)) in enumerate(rows):
        y = step * i + 20
        marks += (
            f'<text x="{left - 14}" y="{y + 5}" text-anchor="end">{escape(name[:36])}</text>'
            f'<line x1="{x(start or 0):.1f}" x2="{x(end or 0):.1f}" y1="{y}" y2="{y}" stroke="var(--mark)" '
            f'stroke-width="2"/><circle cx="{x(dice or 0):.1f}" cy="{y}" r="5" fill="var(--mark)"/>'
        )
    return f"""<figure style="margin: 1.5rem 0"><svg viewBox="0 0 {width} {height}" font-size="13" fill="currentColor"
 role="img" aria-label="mean Dice of each model with its 95 % interval">{grid}{marks}</svg>
<figcaption class="quiet">Mean Dice with its 95 % interval by patient</figcaption></figure>"""


def _worst(record: Record, folder: Path) -> str:
    figures = []
    for id in record.worst[:SHOWN]:
        try:
            pixels = read_image(folder / WORST / Path(f"{id}.png").name)
        except DataError:
            continue
        data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
        source = f"data:image/jpeg;base64,{b64encode(data.tobytes()).decode()}"
        height, width = pixels.shape[:2]
        figures.append(f'<img src="{source}" width="{width}" height="{height}" alt="{escape(id)}">')
    body = "".join(figures) or '<p class="quiet">Their pictures are not beside the record.</p>'
    return f'<h3>{escape(record.model.name)}</h3><div class="pairs">{body}</div>'


def _key(classes: Sequence[str]) -> str:
    return "".join(
        f'<span class="label"><span class="key" style="background: rgb{colour_of(label)}"></span>'
        f"{escape(name.replace('_', ' '))}</span> "
        for label, name in enumerate(classes[1:], start=1)
    )
