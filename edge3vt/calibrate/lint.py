"""The linter: what a target will reject or do badly, before a build is tried.

``python -m edge3vt.calibrate.lint`` prints the table of all rules, which docs/lint.md holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge3vt.calibrate import quantisation, structure
from edge3vt.calibrate.rule import EVERY, Rule, Severity, TargetName, subject_of
from edge3vt.calibrate.wiring import layer_name

RULES: tuple[Rule, ...] = tuple(
    sorted((*quantisation.RULES, *structure.RULES), key=lambda rule: (rule.severity, rule.id))
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that one node breaks; node: None for the model as a whole."""

    rule: str
    severity: Severity
    node: str | None
    found: str
    why: str
    remedy: str


def lint(model_bytes: bytes, target: TargetName, where: str = "the model") -> list[Finding]:
    """What ``target`` would reject (errors, first) or do badly (warnings). Raises ArtifactError for no ONNX model.

    No finding is no promise: that a runtime takes the model is known once it has built it.
    """
    subject = subject_of(model_bytes, where)
    return [
        Finding(rule.id, rule.severity, node and layer_name(node), found, rule.why, rule.remedy)
        for rule in RULES
        if rule.speaks_of(target)
        for node, found in rule.find(subject, target)
    ]


def table() -> str:
    """All rules as a Markdown table."""
    lines = ["| rule | | targets | why | what to do | source |", "|---|---|---|---|---|---|"]
    for rule in RULES:
        targets = "all" if rule.runtimes == EVERY else ", ".join(rule.runtimes)
        targets += f" {rule.since[0]}" if rule.since > (0, 0) else ""
        cells = (f"`{rule.id}`", rule.severity, targets, rule.why, rule.remedy, rule.source)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
