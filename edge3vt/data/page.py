"""An audit as one HTML page that needs nothing else: counts, findings with their pictures, a look at each split."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

import cv2

from edge3vt.data.audit import Audit, Finding, Tally
from edge3vt.data.contact import caption, spread, tile_of
from edge3vt.data.dataset import Dataset, Item
from edge3vt.data.rules import RULES
from edge3vt.picture.outline import colour_of

LINES = 40  # of a rule that are shown
SHOWN = 6  # findings of a rule that are shown with pictures
SAMPLE = 24  # pictures of each split
TILE_PX = (200, 150)
QUALITY = 82  # of the JPEGs

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --quiet: #57606a; --line: #d8dee4;
  --good: #116329; --bad: #a40e26; --warn: #7a5200 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --quiet: #9198a1; --line: #30363d;
  --good: #4ac26b; --bad: #ff7b72; --warn: #e3b341 } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem 1.5rem 3rem;
  color: var(--ink); background: var(--paper) }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem } a { color: inherit } h3 { margin: 1.8rem 0 .3rem; font-size: 1rem }
.quiet, figcaption { color: var(--quiet) } .good { color: var(--good) } .error { color: var(--bad) }
.warning { color: var(--warn) } .error, .warning, .verdict { font-weight: 600 } .verdict { font-size: 1.25rem }
.wide { overflow-x: auto } table { border-collapse: collapse; margin: 1rem 0 }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem }
th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: right;
  font-variant-numeric: tabular-nums; vertical-align: top }
th:first-child, td:first-child, .text td, .text th { text-align: left }
ul { padding-left: 1.2rem; margin: .3rem 0 } li { overflow-wrap: anywhere } code { font-size: .92em }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: .8rem; margin: .8rem 0 }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(28rem, 1fr)) }
@media (max-width: 34rem) { .pairs { grid-template-columns: 1fr } }
.pair { display: flex; flex-wrap: wrap; align-content: flex-start; gap: .4rem .8rem; margin: .6rem 0;
  border-left: 3px solid var(--line);
  padding-left: .8rem } .pair p { flex-basis: 100%; margin: 0; overflow-wrap: anywhere }
figure { margin: 0; width: 200px } img { display: block; max-width: 100%; background: #000; border-radius: 4px }
figcaption { font-size: .8rem; line-height: 1.3; overflow-wrap: anywhere; padding-top: .2rem }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 1em }
"""


def page(dataset: Dataset, audit: Audit) -> str:
    """The page; reads the pictures that it shows."""
    title = f"Audit of {dataset.name}"
    errors = sum(finding.severity == "error" for finding in audit.findings)
    verdict = "passed" if audit.passed else f"FAILED: {_count(errors, 'error')}"
    warnings = len(audit.findings) - errors
    found = audit.by_rule()
    items = {item.id: item for item in dataset.items}
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title><style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p class="verdict"><span class="{"good" if audit.passed else "error"}">{verdict}</span>{
        f', <span class="warning">{_count(warnings, "warning")}</span>' if warnings else ""
    }</p>
<p class="quiet">{_count(audit.items, "item")} of {_count(audit.patients, "patient")}. Every file was looked at.</p>
<ul>{_summary(found)}</ul>
{_counts(audit.tallies)}
{_levels(audit.tallies)}
<h2>Findings</h2>
{"".join(_rule(rule, own, dataset, items) for rule, own in found.items()) or '<p class="good">None.</p>'}
<h2>Pictures</h2>
<p>Structures are outlined in these colours: {_key(dataset.classes)}</p>
{"".join(_look(dataset, tally.split) for tally in audit.tallies)}
<h2>Rules</h2>
{_rules(audit)}
</body></html>
"""


def _summary(found: dict[str, tuple[Finding, ...]]) -> str:
    return "".join(
        f'<li><span class="{own[0].severity}">{own[0].severity}</span> '
        f'<a href="#{rule}"><code>{rule}</code></a> &times; {len(own):,}</li>'
        for rule, own in found.items()
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are escaped already."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><caption>{caption}</caption><tr>{top}</tr>{body}</table></div>'


def _counts(tallies: Sequence[Tally]) -> str:
    names = list(tallies[0].class_items) if tallies else []
    head = ["split", "patients", "items", "with a mask", *(escape(name.replace("_", " ")) for name in names)]
    rows = [
        [
            tally.split,
            f"{tally.patients:,}",
            f"{tally.items:,}",
            f"{tally.labelled:,}",
            *(f"{tally.class_items[name]:,}" for name in names),
        ]
        for tally in tallies
    ]
    return _table("Counts; under each class the items that hold it", head, rows)


def _levels(tallies: Sequence[Tally]) -> str:
    head = ["split", "black (0)", "saturated (255)", "1st percentile", "median", "99th percentile"]
    rows = [
        [
            tally.split,
            f"{tally.black_share:.1%}",
            f"{tally.saturated_share:.2%}",
            *(str(tally.percentiles[name]) for name in ("p1", "p50", "p99")),
        ]
        for tally in tallies
    ]
    return _table("Grey levels inside the regions", head, rows)


def _rule(rule: str, findings: Sequence[Finding], dataset: Dataset, items: dict[str, Item]) -> str:
    severity = findings[0].severity
    shown: list[str] = []
    listed: list[str] = []
    for finding in findings:
        if finding.items and len(shown) < SHOWN:
            figures = "".join(_figure(dataset, items[id]) for id in finding.items)
            shown.append(f'<div class="pair"><p>{escape(finding.text)}</p>{figures}</div>')
        else:
            ids = ", ".join(f"<code>{escape(id)}</code>" for id in finding.items)
            listed.append(f"<li>{ids}{': ' if ids else ''}{escape(finding.text)}</li>")
    more = len(listed) - LINES
    if more > 0:
        listed[LINES:] = [f"<li>and {more:,} more, all of them in the output of --json</li>"]
    asked = RULES[rule]
    rest = "<ul>" + "".join(listed) + "</ul>" if listed else ""
    return (
        f'<h3 id="{rule}"><span class="{severity}">{severity}</span> <code>{rule}</code> &times; {len(findings):,}</h3>'
        f'<p class="quiet">Expected: {escape(asked.expected)}. What to do: {escape(asked.remedy)}.</p>'
        f'<div class="pairs">{"".join(shown)}</div>{rest}'
    )


def _look(dataset: Dataset, split: str) -> str:
    items = dataset.of(None if split == "no split" else split)
    shown = spread(items, SAMPLE)
    figures = "".join(_figure(dataset, item) for item in shown)
    return f'<h3>{split}: {len(shown)} of {_count(len(items), "item")}</h3><div class="sheet">{figures}</div>'


def _figure(dataset: Dataset, item: Item) -> str:
    name, told = (escape(text) for text in caption(item))
    under = f"<figcaption><code>{name}</code><br>{told}</figcaption>"
    small = tile_of(dataset, item, *TILE_PX)
    if small is None:
        return f'<figure><p class="error">cannot be read</p>{under}</figure>'
    data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
    height, width = small.shape[:2]
    source = f"data:image/jpeg;base64,{b64encode(data.tobytes()).decode()}"
    return f'<figure><img src="{source}" width="{width}" height="{height}" alt="{name}">{under}</figure>'


def _key(classes: Sequence[str]) -> str:
    swatches = (
        f'<span class="key" style="background: rgb{colour_of(label)}"></span>{escape(name.replace("_", " "))}'
        for label, name in enumerate(classes[1:], start=1)
    )
    return "".join(swatches)


def _rules(audit: Audit) -> str:
    found = audit.by_rule()
    rows = []
    for rule, asked in RULES.items():
        own = found.get(rule, ())
        state = f'<span class="{own[0].severity}">{_count(len(own), "finding")}</span>' if own else "holds"
        told = f"{asked.severity}, accepted" if rule in audit.accepted else asked.severity
        rows.append((f"<code>{rule}</code>", told, escape(asked.expected), state))
    return f'<div class="text">{_table("What was looked for", ("rule", "if broken", "expected", "here"), rows)}</div>'
