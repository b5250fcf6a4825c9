"""The demo's report as one HTML page beside its videos; every number on it stands in report.json too."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from edge3vt.core.latency import LatencySummary
from edge3vt.stream.telemetry import StreamSummary

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem 1.5rem 3rem;
  color: #1b1f24; background: #fff }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem } .quiet { color: #57606a }
video { width: 100%; max-width: 1024px; background: #000; border-radius: 6px }
table { border-collapse: collapse; margin: 1rem 0 }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #d8dee4; text-align: right;
  font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left }
.met { color: #116329 } .missed { color: #a40e26; font-weight: 600 }
svg { max-width: 100%; height: auto }
@media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3 } th, td { border-color: #30363d }
  .quiet { color: #9198a1 } .met { color: #4ac26b } .missed { color: #ff7b72 } }
"""


def check(name: str, value: float | None, target: float, *, at_least: bool) -> dict[str, Any]:
    """One figure against its target."""
    met = value is not None and (value >= target if at_least else value <= target)
    return {"name": name, "value": value, "target": target, "direction": ">=" if at_least else "<=", "met": met}


def page(
    *,
    title: str,
    phantom: StreamSummary,
    dicom: StreamSummary,
    dice: dict[str, float],
    totals_ms: list[float],
    checks: list[dict[str, Any]],
    engine: dict[str, Any],
    machine: dict[str, Any],
) -> str:
    """The page. totals_ms: latency of each phantom frame in order."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title><style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p class="quiet">Measured on {escape(str(machine["cpu"]))}, {machine["cores"]} cores, Python {
        escape(str(machine["python"]))
    }.
Not a medical device; not for diagnosis. The network was trained on synthetic images.</p>
{_checks(checks)}
<h2>A synthetic 3VT cine</h2>
<p>Four fetuses at rotations the network never saw, each swept into the view and out of it, 1024 x 768 at 60 Hz.</p>
<video src="phantom.mp4" controls loop muted playsinline></video>
{_stream(phantom)}
{
        _rows(
            "Dice of the emitted masks, mean over the frames that hold the view",
            ("structure", "Dice"),
            [(name.replace("_", " "), f"{value:.3f}") for name, value in dice.items()],
        )
    }
{_chart(totals_ms, phantom.budget_ms or 0.0)}
<h2>A real clip that is not the view</h2>
<p>An adult four-chamber cine that the pydicom package carries: the gate has to withhold the overlay, and say so.</p>
<video src="dicom.mp4" controls loop muted playsinline></video>
{_stream(dicom)}
<h2>The engine</h2>
{
        _rows(
            "",
            ("", ""),
            [(key.replace("_", " "), str(value)) for key, value in engine.items() if not isinstance(value, dict)],
        )
    }
{
        _rows(
            "Held against the FP32 model",
            ("", ""),
            [
                (key.replace("_", " "), _plain(value))
                for key, value in engine["verify"].items()
                if not isinstance(value, list)
            ],
        )
    }
</body></html>
"""


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rows(caption: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption>{f'<tr>{top}</tr>' if any(head) else ''}{body}</table>"


def _checks(checks: list[dict[str, Any]]) -> str:
    body = "".join(
        f"<tr><td>{escape(c['name'])}</td><td>{_plain(c['value']) if c['value'] is not None else 'n/a'}</td>"
        f"<td>{'&ge;' if c['direction'] == '>=' else '&le;'} {c['target']:g}</td>"
        f"<td class={'met' if c['met'] else 'missed'}>{'met' if c['met'] else 'missed'}</td></tr>"
        for c in checks
    )
    return (
        f"<table><caption>Targets</caption><tr><th>figure</th><th>here</th><th>target</th><th></th></tr>{body}</table>"
    )


def _stream(summary: StreamSummary) -> str:
    def row(name: str, s: LatencySummary) -> tuple[str, ...]:
        cells = (f"{v:.2f}" if v is not None else "n/a" for v in (s.p50, s.p90, s.p95, s.p99, s.max))
        return (name, *cells, str(s.samples))

    rows = [row("total", summary.total_ms)] if summary.total_ms else []
    rows += [row(stage, s) for stage, s in summary.stages_ms.items()]
    counts = [
        (name.replace("_", " "), str(getattr(summary, name)))
        for name in ("frames", "emitted", "on_time", "late", "skipped", "shown", "longest_streak")
    ]
    counts += [(f"withheld: {reason}", str(count)) for reason, count in summary.withheld_by_reason.items()]
    counts += [(f"no own mask: {reason}", str(count)) for reason, count in summary.skipped_by_reason.items()]
    head = ("ms", "p50", "p90", "p95", "p99", "max", "samples")
    return _rows("Frames", ("", ""), counts) + _rows("Latency, capture to composed picture", head, rows)


def _chart(values_ms: list[float], budget_ms: float) -> str:
    """Latency of each frame as a polyline under its deadline."""
    if not values_ms:
        return ""
    width, height, left, top = 960, 240, 50, 12
    highest = max(*values_ms, budget_ms) * 1.1

    def y(ms: float) -> float:
        return top + (height - top - 30) * (1 - ms / highest)

    step = (width - left - 10) / max(len(values_ms) - 1, 1)
    points = " ".join(f"{left + i * step:.1f},{y(v):.1f}" for i, v in enumerate(values_ms))
    ticks = "".join(
        f'<text x="{left - 8}" y="{y(ms) + 4:.1f}" text-anchor="end">{ms:g}</text>'
        for ms in range(0, int(highest) + 1, max(round(highest / 5), 1))
    )
    return f"""<figure><svg viewBox="0 0 {width} {height}" font-size="13" fill="currentColor" role="img"
 aria-label="latency of each frame"><g>{ticks}</g>
<line x1="{left}" x2="{width - 10}" y1="{y(budget_ms):.1f}" y2="{y(budget_ms):.1f}" stroke="#cf222e"
 stroke-dasharray="6 4"/>
<text x="{width - 12}" y="{y(budget_ms) - 5:.1f}" text-anchor="end">deadline {budget_ms:g} ms</text>
<polyline points="{points}" fill="none" stroke="#0969da" stroke-width="1.2"/>
<text x="{width // 2}" y="{height - 6}" text-anchor="middle">frame (0 to {len(values_ms) - 1}), latency in ms</text>
</svg></figure>"""
