from __future__ import annotations

import pytest

from edge3vt.bench.limits import Limit, budgets, judge, line, share
from edge3vt.core.errors import ConfigError

FIGURES = {"total.p99": 12.0, "total.p99.9": None, "engine.p50": 4.0, "miss_rate": 0.05, "own_masks": 99.5}


def test_flags_become_limits() -> None:
    assert budgets("p99=16.7ms") == (Limit("total.p99", most=16.7),)
    assert budgets("p99.9=20 ms, infer.p50=4ms,max=33ms") == (
        Limit("total.p99.9", most=20),
        Limit("infer.p50", most=4),
        Limit("total.max", most=33),
    )
    assert share("0.1%") == 0.1


@pytest.mark.parametrize("text", ["p99", "p99=16.7", "p98=3ms", "inver.p99=3ms", "miss_rate=3ms", "p99=-1ms", ""])
def test_what_is_no_budget_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected|is no figure"):
        budgets(text)


@pytest.mark.parametrize("text", ["0.1", "x%", "101%", "-1%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"as in 0\.1%"):
        share(text)


@pytest.mark.parametrize(
    "keys",
    [{"figure": "total.p99"}, {"figure": "total.p99", "most": 1.0, "least": 1.0}, {"figure": "pace.p99", "most": 1.0}],
)
def test_a_limit_says_one_thing_of_a_known_figure(keys: dict) -> None:
    with pytest.raises(ConfigError):
        Limit(**keys)


def test_a_limit_is_held_at_its_bound_and_missed_beyond() -> None:
    held = judge([Limit("total.p99", most=12), Limit("own_masks", least=99.5)], FIGURES.get)
    missed = judge([Limit("total.p99", most=11.99), Limit("own_masks", least=99.6)], FIGURES.get)
    assert [one.passed for one in held] == [True, True]
    assert [one.passed for one in missed] == [False, False]
    assert line(missed[0]) == "FAIL  total.p99: 12 ms, at most 11.99 ms"
    assert line(held[1]) == "pass  own_masks: 99.5 %, at least 99.5 %"


def test_a_multiple_of_another_figure() -> None:
    held, missed = judge(
        [Limit("total.p99", 3, times="engine.p50"), Limit("total.p99", 2.9, times="engine.p50")], FIGURES.get
    )
    assert (held.limit, held.passed, missed.passed) == (12.0, True, False)
    assert "2.9 x engine.p50" in line(missed)


def test_what_could_not_be_told_passes_nothing() -> None:
    thin, none, other = judge(
        [Limit("total.p99.9", most=99), Limit("infer.max", most=9), Limit("total.p99", 2, times="infer.p50")],
        FIGURES.get,
    )
    assert not thin.passed
    assert "needs 5000 samples" in line(thin)
    assert not none.passed
    assert not other.passed
    assert "infer.p50 is not known" in line(other)
