"""Rules have names that can be typed, and remedies that name verbs and options there are."""

from __future__ import annotations

import re

from typer.main import get_command

from edge3vt.cli.main import app
from edge3vt.data.rules import RULES


def test_rules_are_named_and_told_in_one_line() -> None:
    for name, rule in RULES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert rule.severity in ("error", "warning")
        for text in (rule.expected, rule.remedy):
            assert text
            assert "\n" not in text
            assert not text.endswith(".")


def test_remedies_name_verbs_and_options_that_there_are() -> None:
    data = get_command(app).commands["data"]  # type: ignore[attr-defined]
    verbs = {name: {o for p in command.params for o in p.opts} for name, command in data.commands.items()}
    assert "--patient-from" in verbs["import"]
    for name, rule in RULES.items():
        for verb in re.findall(r"edge3vt data (\w+)", rule.remedy):
            assert verb in verbs, name
        for option in re.findall(r"--[a-z-]+", rule.remedy):
            assert option in verbs["split" if "data split" in rule.remedy else "import"], name
