from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from edge3vt.calibrate.trials import OutOfTime, Trials
from edge3vt.core.clock import ManualClock
from edge3vt.core.errors import ConfigError


def quantise(keep_float: frozenset[str]) -> bytes:
    return json.dumps(sorted(keep_float)).encode()


class Judge:
    """Scores by how many layers are kept, and takes a second for it."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.asked: list[bytes] = []

    def __call__(self, model: bytes) -> Mapping[str, float]:
        self.clock.advance_ms(1000)
        self.asked.append(model)
        return {"arch": len(json.loads(model)) / 10}


def trials(clock: ManualClock, judge: Judge, journal: Path | None, budget_s: float = 60, binding: str = "a") -> Trials:
    return Trials(quantise, judge, binding=binding, clock=clock, budget_s=budget_s, journal=journal)


def test_each_set_is_judged_once_however_it_is_written() -> None:
    judge = Judge(clock := ManualClock())
    under_test = trials(clock, judge, None)
    assert under_test.scores(["b", "a"]) == under_test.scores({"a", "b"}) == {"arch": 0.2}
    assert under_test.scores(()) == {"arch": 0.0}
    assert judge.asked == [b'["a", "b"]', b"[]"]
    assert under_test.judged == 2


def test_no_trial_starts_when_the_time_is_spent_but_what_is_known_is_told() -> None:
    judge = Judge(clock := ManualClock())
    under_test = trials(clock, judge, None, budget_s=1.5)
    under_test.scores("a")
    under_test.scores("b")
    with pytest.raises(OutOfTime):
        under_test.scores("c")
    assert under_test.scores("a") == {"arch": 0.1}
    assert len(judge.asked) == 2


def test_a_journal_is_gone_on_with_and_grows_with_every_trial(tmp_path: Path) -> None:
    journal = tmp_path / "journal.json"
    judge = Judge(clock := ManualClock())
    first = trials(clock, judge, journal)
    first.scores(["x, y", '"z"'])
    assert len(json.loads(journal.read_text())["scores"]) == 1
    first.scores(())
    second = trials(clock, judge, journal, budget_s=0)
    assert second.scores(['"z"', "x, y"]) == {"arch": 0.2}
    assert second.scores(()) == {"arch": 0.0}
    assert (second.judged, len(judge.asked)) == (0, 2)


def test_a_journal_of_something_else_or_damaged_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "journal.json"
    judge = Judge(clock := ManualClock())
    trials(clock, judge, journal).scores(())
    with pytest.raises(ConfigError, match="was kept for 'a', now it is 'b'; name another journal"):
        trials(clock, judge, journal, binding="b")
    journal.write_text(journal.read_text()[:-9])
    with pytest.raises(ConfigError, match="not JSON"):
        trials(clock, judge, journal)
    journal.write_text('{"schema": 2, "binding": "a"}')
    with pytest.raises(ConfigError, match="schema 2 of the journal is not known"):
        trials(clock, judge, journal)
