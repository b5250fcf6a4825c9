"""A study's results as one HTML page that needs nothing else, and beside it figures, a document and a table."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from edge3vt.clinic.figures import ARM_NAMES, drawn, figures, title
from edge3vt.clinic.mixed import Estimate, Interval
from edge3vt.clinic.results import Result
from edge3vt.clinic.summary import MEAN, SCORES, Comparison, Measured, Summary
from edge3vt.core.documents import write_bytes, write_json

PAGE, DOCUMENT, TABLE, FIGURES = "report.html", "summary.json", "readings.csv", "figures"
_LABELS = {"dice": "Dice", "iou": "IoU", "pa": "PA"}
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --quiet: #57606a; --line: #d8dee4; --tint: #f6f8fa }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --quiet: #9198a1; --line: #30363d;
  --tint: #161b22 } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 78rem; padding: 1rem 1.5rem 3rem;
  color: var(--ink); background: var(--paper) }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem } h3 { margin: 1.8rem 0 .3rem; font-size: 1rem }
p, li { max-width: 60rem } .quiet { color: var(--quiet) } .wide { overflow-x: auto }
.short { background: var(--tint); border: 1px solid var(--line); border-radius: 8px; padding: .4rem 1.2rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .25rem .55rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top;
  font-variant-numeric: tabular-nums; white-space: nowrap }
th { white-space: normal; vertical-align: bottom }
th:first-child, td:first-child, .words td:nth-child(2), .words th:nth-child(2) { text-align: left }
td .quiet { display: block; font-size: .85em } img { display: block; max-width: 100%; background: #fff;
  border-radius: 6px; margin: .5rem 0 1.5rem }
"""


def write(summary: Summary, results: Sequence[Result], out: Path) -> list[Path]:
    """Write everything into the folder ``out``; returns the files, the page last."""
    made = figures(summary, results)
    pictures = {name: drawn(figure, "svg") for name, figure in made.items()}
    files = []
    for name, figure in made.items():
        for kind, data in (("svg", pictures[name]), ("png", drawn(figure, "png"))):
            files.append(out / FIGURES / f"{name}.{kind}")
            write_bytes(files[-1], data)
    write_json(summary, out / DOCUMENT)
    write_bytes(out / TABLE, table(results).encode())
    write_bytes(out / PAGE, page(summary, pictures).encode())
    return [*files, out / DOCUMENT, out / TABLE, out / PAGE]


def table(results: Sequence[Result]) -> str:
    """Every drawing and structure or measure as a row of CSV; patients by the order of their first case."""
    patients = {patient: f"p{i}" for i, patient in enumerate(dict.fromkeys(r.patient for r in results), 1)}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ["arm", "reader", "session", "case", "patient", "planted", "seconds", "what", *SCORES, "found", "true"]
    )
    for one in results:
        head = [one.arm, one.reader, one.session or "", one.case, patients[one.patient], one.planted, one.seconds]
        for name, score in one.scores.items():
            shares = [None if v is None else round(v, 6) for v in (score.dice, score.iou, score.pa)]
            rows.writerow([*head, f"{name}_area_px", *shares, score.found_px, score.true_px])
        for name, pair in one.measures.items():
            rows.writerow([*head, name, None, None, None, *pair])
    return text.getvalue()


def lines(summary: Summary) -> list[str]:
    """What the study found, in sentences."""
    told = [
        f"{summary.cases} pictures of {summary.patients} patients, {len(summary.readers)} readers; "
        f"the adjudicator decided {summary.decided} of {summary.decisions} structures"
    ]
    if summary.lacking:
        told.append(f"NOT WHOLE: {len(summary.lacking)} problems with the readings, listed below; they were left out")
    means = {one.arm: one.dice for one in summary.accuracy if one.structure == MEAN}
    parts = [f"{ARM_NAMES[arm]} {_share(found)}" for arm, found in means.items() if found is not None]
    told.append(f"mean Dice with the reference: {'; '.join(parts)}")
    for one in summary.comparisons:
        if one.measure == "dice":
            told.append(
                f"{ARM_NAMES[one.one]} less {_small(ARM_NAMES[one.other])}: Dice {_signed(one.difference)}, "
                f"{_p(one.p_holm)} after Holm"
            )
    if summary.time is not None and summary.time.ratio is not None:
        told.append(f"time a case with the AI, as a share of that without: {_factor(summary.time.ratio)}")
    if summary.following is not None:
        f = summary.following
        told.append(
            f"planted wrong contours were followed in {f.followed} of {f.drawings} drawings ({_percent(f.share)}"
            f"{'' if f.interval is None else f', {_percent(f.interval[0])} to {_percent(f.interval[1])}'}); "
            f"without being shown, {f.alone_followed} of {f.alone_drawings} drawings came as near to them"
        )
    return told


def page(summary: Summary, pictures: dict[str, bytes]) -> str:
    """The page; pictures: SVG by the name of their figure."""
    measures = dict.fromkeys(one.measure for one in summary.measured)
    lacking = "".join(f"<li>{escape(line)}</li>" for line in summary.lacking)
    plots = "".join(f"<h3>{escape(title(name))}</h3>{_picture(pictures[name], title(name))}" for name in measures)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(summary.title)}: reader study</title><style>{_STYLE}</style></head><body>
<h1>{escape(summary.title)}</h1>
<p class="quiet">A reader study of pictures from {escape(summary.set)}; AI: {escape(summary.ai)}; study
{escape(summary.study)}, reported {escape(summary.made)} by edge3vt {escape(summary.edge3vt)}.
Made with a toolkit for building and testing, which is no medical device.</p>
<ul class="short">{"".join(f"<li>{escape(_capital(line))}</li>" for line in lines(summary))}</ul>
{f"<h2>What the readings lack</h2><ul>{lacking}</ul>" if lacking else ""}
<h2>Accuracy</h2>
<p>Each drawing against the reference, with 95 % intervals for readers and patients like these.</p>
{_picture(pictures["accuracy"], "Dice by structure and arm, with intervals")}
{_accuracy(summary)}
<h2>Agreement with the reference</h2>
<p>Bias, and the limits between which 95 % of single readings by other readers like these would lie, each with its 95 %
interval. Areas are compared as ratios: 1.00 is agreement, 1.10 is 10 % too large.
Without: drawings which, or whose reference, have no such value.</p>
{_agreement(summary.measured)}
{plots}
<h2>Arms against each other</h2>
<p>On the same pictures and, where both arms have them, by the same readers.</p>
{_comparisons(summary.comparisons)}
{_time(summary, pictures)}
{_following(summary)}
<h2>How it was counted</h2>
{_METHODS}
</body></html>
"""


_METHODS = """<ul>
<li>The reference is the drawing half-way between two experts (mean of signed distances, Rohlfing and Maurer 2007);
where their Dice is below the study's limit, the adjudicator's own drawing of that structure.</li>
<li>Dice, IoU and PA of a structure count where the reference holds it, and are 0 where it was not drawn; the mean is
over the structures of a picture.</li>
<li>Intervals and tests: a linear mixed model, readers crossed with pictures and pictures nested in patients; t with
Satterthwaite's degrees of freedom, as the fewest that any one variance gives, raised by its standard error. With two
or three readers the intervals are wide: so little is then known of other readers.</li>
<li>Limits of agreement: bias ± 1.96 SD of all variances together (Bland and Altman 1999, 2007). Proportional bias is
the slope of the difference on the reference (Krouwer 2008), on the log scale for areas.</li>
<li>ICC(2,1), absolute agreement of single readings between readers: Shrout and Fleiss 1979.</li>
<li>p of all comparisons together are adjusted by Holm 1979.</li>
<li>Pictures with planted wrong contours are left out of all but the count of who followed them.</li>
</ul>"""


def _accuracy(summary: Summary) -> str:
    head = "".join(f"<th>{_LABELS[score]}</th>" for score in SCORES)
    body = ""
    for name in (MEAN, *summary.structures):
        for place, one in enumerate(one for one in summary.accuracy if one.structure == name):
            cells = "".join(f"<td>{_stacked(_share(value))}</td>" for value in (one.dice, one.iou, one.pa))
            body += (
                f"<tr><td>{'' if place else escape(name.replace('_', ' '))}</td><td>{ARM_NAMES[one.arm]}</td>{cells}"
            )
            body += f"<td>{one.missed}</td><td>{one.extra}</td><td>{one.drawings}</td></tr>"
    return (
        '<div class="wide"><table class="words"><tr><th>Structure</th><th>Arm</th>'
        f"{head}<th>missed</th><th>extra</th><th>drawings</th></tr>{body}</table></div>"
    )


def _agreement(measured: Sequence[Measured]) -> str:
    body, before = "", ""
    order = list(dict.fromkeys(one.measure for one in measured))
    for one in sorted(measured, key=lambda one: order.index(one.measure)):
        a, log = one.agreement, one.scale == "log"
        bias = _factor(a.bias) if log else _signed(a.bias, one.unit)
        ends = ((a.lower, a.lower_interval), (a.upper, a.upper_interval))
        limits = [f"{_value(value, log)} ({_value(ends[0], log)} to {_value(ends[1], log)})" for value, ends in ends]
        slope = "-" if a.slope is None else f"{a.slope.value:+.3f} ({_p(a.slope.p)})"
        between = "-" if one.icc is None else f"{one.icc.value:.2f} {_ends(one.icc.interval)}"
        cells = "".join(f"<td>{_stacked(text)}</td>" for text in (bias, *limits, slope, between))
        body += f"<tr><td>{'' if one.measure == before else escape(title(one.measure))}</td>"
        body += f"<td>{ARM_NAMES[one.arm]}</td>{cells}"
        before = one.measure
        body += f"<td>{a.readings}</td><td>{one.without}</td></tr>"
    return (
        '<div class="wide"><table class="words"><tr><th>Measure</th><th>Arm</th><th>bias</th><th>lower limit</th>'
        "<th>upper limit</th><th>proportional bias</th><th>ICC of readers</th><th>readings</th><th>without</th></tr>"
        f"{body}</table></div>"
    )


def _comparisons(comparisons: Sequence[Comparison]) -> str:
    body = "".join(
        f"<tr><td>{ARM_NAMES[one.one]} less {_small(ARM_NAMES[one.other])}</td><td>{_LABELS[one.measure]}</td>"
        f"<td>{_stacked(_signed(one.difference))}</td><td>{_p(one.difference.p)}</td><td>{_p(one.p_holm)}</td>"
        f"<td>{one.drawings}</td></tr>"
        for one in comparisons
    )
    return (
        '<div class="wide"><table class="words"><tr><th>Arms</th><th>Score</th><th>difference</th><th>p</th>'
        f"<th>p after Holm</th><th>drawings</th></tr>{body}</table></div>"
    )


def _time(summary: Summary, pictures: dict[str, bytes]) -> str:
    if summary.time is None:
        return ""
    medians = "; ".join(f"{ARM_NAMES[arm]} {value:g} s" for arm, value in summary.time.median.items())  # type: ignore[index]
    ratio = summary.time.ratio
    told = f"Medians: {medians}." + (
        f" With the AI, as a share of that without, by the same reader on the same picture: {_factor(ratio)}."
        if ratio
        else ""
    )
    return f"<h2>Time a case</h2><p>{escape(told)}</p>{_picture(pictures['time'], 'Seconds a case by arm')}"


def _following(summary: Summary) -> str:
    f = summary.following
    if f is None:
        return ""
    readers = "".join(
        f"<tr><td>{escape(name)}</td><td>{_percent(share)}</td></tr>" for name, share in f.by_reader.items()
    )
    return f"""<h2>Planted wrong contours</h2>
<p>In {f.pictures} pictures one contour of the AI was moved beside its vessel. A drawing follows it if it is nearer, by
Dice, to the wrong contour than to the reference.</p>
<table><tr><th>Reader</th><th>followed</th></tr>{readers}<tr><th>all</th><th>{_percent(f.share)}</th></tr></table>"""


def _picture(svg: bytes, words: str) -> str:
    return f'<img src="data:image/svg+xml;base64,{b64encode(svg).decode()}" alt="{escape(words)}">'


def _stacked(text: str) -> str:
    """What stands in brackets goes under the rest."""
    first, bracket, rest = text.partition(" (")
    return escape(first) + (f'<span class="quiet">({escape(rest)}</span>' if bracket else "")


def _ends(interval: Interval) -> str:
    low, high = (round(end, 2) + 0.0 for end in interval)
    return f"({low:.2f} to {high:.2f})"


def _share(found: Estimate | None) -> str:
    if found is None:
        return "-"
    low, high = (min(max(end, 0.0), 1.0) for end in found.interval)
    return f"{found.value:.3f} ({low:.3f} to {high:.3f})"


def _signed(found: Estimate, unit: str = "") -> str:
    low, high = found.interval
    return f"{found.value:+.3f}{unit and ' '}{unit} ({low:+.3f} to {high:+.3f})"


def _factor(found: Estimate) -> str:
    low, high = np.exp(found.interval)
    return f"{np.exp(found.value):.2f} ({low:.2f} to {high:.2f})"


def _value(value: float, log: bool) -> str:
    return f"{np.exp(value):.2f}" if log else f"{value:+.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _small(name: str) -> str:
    return name if name.startswith("AI") else name[:1].lower() + name[1:]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
