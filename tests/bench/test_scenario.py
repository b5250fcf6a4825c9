from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from edge3vt.bench.scenario import Arrivals, Scenario
from edge3vt.core.documents import from_mapping, read_toml
from edge3vt.core.errors import ConfigError
from edge3vt.core.shipped import documents

MS = 1_000_000
ROOT = Path(__file__).parents[2]
RATES = ("25", "29.97", "30", "40", "50", "59.94", "60", "80", "120")


def due(arrivals: Arrivals, seconds: float) -> list[float]:
    return [at / MS for at in arrivals.due_ns(seconds) if at is not None]


def test_paced_frames_are_due_at_their_rate_without_drift() -> None:
    assert due(Arrivals("paced", 50), 0.1) == [0, 20, 40, 60, 80]
    ntsc = due(Arrivals("paced", 29.97), 100)
    assert len(ntsc) == 2997
    assert ntsc[-1] == pytest.approx(2996 / 0.02997, abs=1e-5)


def test_bursts_keep_the_mean_rate() -> None:
    assert due(Arrivals("bursts", 100, burst=3), 0.09) == [0, 0, 0, 30, 30, 30, 60, 60, 60]


def test_pauses_are_silent() -> None:
    assert due(Arrivals("pauses", 10, every_s=1, pause_s=0.5), 2) == [
        0,
        100,
        200,
        300,
        400,
        1000,
        1100,
        1200,
        1300,
        1400,
    ]


def test_flat_out_is_due_when_it_can_be() -> None:
    assert list(islice(Arrivals("flat-out").due_ns(1), 3)) == [None] * 3


@pytest.mark.parametrize(
    "keys",
    [
        {"kind": "paced", "rate_hz": 0.0},
        {"kind": "paced", "burst": 2},
        {"kind": "bursts"},
        {"kind": "pauses"},
        {"kind": "pauses", "every_s": 1.0, "pause_s": 1.0},
        {"kind": "paced", "every_s": 1.0, "pause_s": 0.5},
        {"kind": "sometimes"},
    ],
)
def test_arrivals_that_say_two_things_are_refused(keys: dict) -> None:
    with pytest.raises(ConfigError):
        from_mapping(Arrivals, keys, where="test")


@pytest.mark.parametrize(
    "keys",
    [
        {"schema": 2},
        {"seconds": 0.0},
        {"budget_ms": -1.0},
        {"warm_up_s": -1.0},
        {"starts": 0},
        {"clock_share": 1.0},
        {"keep_warm_ms": -1.0},
        {"cores": [0]},
        {"lane": "thread", "cores": [0, 1]},
        {"lane": "thread", "realtime": True},
        {"neighbours": {"busy": -1}},
        {"limits": [{"figure": "total.p98", "most": 1.0}]},
    ],
)
def test_a_scenario_that_cannot_be_is_refused_in_one_line(keys: dict) -> None:
    whole = {"schema": 1, "about": "", "arrivals": {"kind": "paced"}, "seconds": 1.0}
    from_mapping(Scenario, whole, where="test")
    with pytest.raises(ConfigError, match=r"^test") as refused:
        from_mapping(Scenario, whole | keys, where="test")
    assert "\n" not in str(refused.value)


def test_each_kind_ships() -> None:
    shipped = {name: read_toml(Scenario, path) for name, path in documents("scenario", ROOT).items()}
    assert {f"paced-{rate}" for rate in RATES} <= set(shipped)
    for rate in RATES:
        assert shipped[f"paced-{rate}"].arrivals.rate_hz == float(rate)
    kinds = {scenario.arrivals.kind for scenario in shipped.values()}
    assert kinds == {"flat-out", "paced", "bursts", "pauses"}
    asked = shipped.values()
    for told in (
        any(s.starts > 1 and not s.warm_up_s for s in asked),
        any(s.neighbours.busy for s in asked),
        any(s.neighbours.streams for s in asked),
        any(s.clock_share for s in asked),
        any(s.memory and s.seconds >= 1800 for s in asked),
        {bool(s.keep_warm_ms) for s in asked if s.arrivals.pause_s} == {False, True},
        {s.lane for s in asked if s.arrivals.kind == "flat-out"} == {"thread", "process"},
    ):
        assert told
    promise = shipped["paced-60-record"]
    assert (promise.record, promise.lane, promise.seconds, promise.arrivals.rate_hz) == (True, "process", 600, 60)
    assert {limit.figure: limit.most or limit.least for limit in promise.limits} == {
        "miss_rate": 0.01,
        "own_masks": 99,
        "total.p99.9": 16.67,
    }
    for name, scenario in shipped.items():
        assert ("jetson" in name) == bool(scenario.unverified)
