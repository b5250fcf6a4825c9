from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edge3vt.calibrate.flavour import Flavour
from edge3vt.calibrate.judge import VIEW_SCORE, dice_judge, masks_of
from edge3vt.calibrate.qdq import insert, layers
from edge3vt.calibrate.sensitivity import Sensitivity, drop, search
from edge3vt.calibrate.trials import Trials
from edge3vt.core.clock import ManualClock
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.errors import ArtifactError, ConfigError
from tests import nets
from tests.calibrate import graphs

LAYERS = ("a", "b", "c", "d", "e")
COSTS = {"a": 0.001, "b": 0.05, "c": 0.0, "d": 0.02, "e": -0.001}


def costing(cost: Callable[[set[str]], Mapping[str, float]], **options: object) -> Trials:
    """Trials whose structures score 0.9 less what ``cost`` says of the layers that are quantised."""
    clock = options.pop("clock", None) or ManualClock()
    assert isinstance(clock, ManualClock)

    def judge(model: bytes) -> Mapping[str, float]:
        clock.advance_ms(1000)
        return {name: 0.9 - lost for name, lost in cost(set(LAYERS) - set(json.loads(model))).items()}

    def quantise(keep_float: frozenset[str]) -> bytes:
        return json.dumps(sorted(keep_float)).encode()

    found: dict[str, object] = {"binding": "test", "budget_s": 1e6, "journal": None, **options}
    return Trials(quantise, judge, clock=clock, **found)  # type: ignore[arg-type]


def added(quantised: set[str]) -> Mapping[str, float]:
    """Costs add up; the trachea suffers only by ``d``."""
    total = sum(COSTS[layer] for layer in quantised)
    return {"arch": total / 2, "svc": total, "trachea": 0.04 if "d" in quantised else 0.0}


def test_layers_are_ranked_by_the_structure_that_they_cost_most() -> None:
    found = search(costing(added), LAYERS, 0.003)
    assert [cost.layer for cost in found.ranking] == ["b", "d", "a", "c", "e"]
    assert found.ranking[0].costs == pytest.approx({"arch": 0.025, "svc": 0.05, "trachea": 0.0})
    assert [cost.worst for cost in found.ranking] == pytest.approx([0.05, 0.04, 0.001, 0.0, 0.0])


@pytest.mark.parametrize(
    ("max_drop", "kept"), [(0.0005, ("b", "d")), (0.0, ("b", "d")), (0.045, ("b",)), (0.08, ()), (0.5, ())]
)
def test_the_fewest_layers_that_hold_the_bound_are_kept(max_drop: float, kept: tuple[str, ...]) -> None:
    found = search(costing(added), LAYERS, max_drop)
    assert found.keep_float == kept
    assert found.finished
    assert found.kept_scores is not None
    assert found.float_scores is not None
    assert max(drop(found.float_scores, found.kept_scores).values()) <= max_drop


def with_view(quantised: set[str]) -> Mapping[str, float]:
    """As ``added``; the view's logit moves by ``c`` alone, which costs no structure anything."""
    return {**added(quantised), VIEW_SCORE: 0.9 * ("c" in quantised) + 0.001 * len(quantised)}


def test_the_view_has_a_bound_of_its_own() -> None:
    found = search(costing(with_view), LAYERS, 0.003, 0.5)
    assert set(found.keep_float or ()) == {"b", "c", "d"}
    assert found.max_view == 0.5
    assert [cost.layer for cost in found.ranking] == ["b", "d", "c", "a", "e"]
    assert found.ranking[2].worst == pytest.approx(0.901 * 0.003 / 0.5)
    assert set(search(costing(with_view), LAYERS, 0.003, 1.0).keep_float or ()) == {"b", "d"}
    assert set(search(costing(with_view), LAYERS, 0.003).keep_float or ()) == {"b", "d"}
    with pytest.raises(ConfigError, match="the view's logit may differ by 0; expected more than 0"):
        search(costing(with_view), LAYERS, 0.003, 0)


def test_a_layer_that_is_dear_alone_and_not_needed_is_given_back() -> None:
    """``b`` costs much and is asked for first, but what it costs vanishes once ``d`` is kept."""

    def cost(quantised: set[str]) -> Mapping[str, float]:
        return {"arch": 0.05 if quantised == {"b"} else 0.04 if "d" in quantised else 0.0}

    assert search(costing(cost), LAYERS, 0.003).keep_float == ("d",)


def test_where_nothing_but_floats_holds_every_layer_is_kept() -> None:
    found = search(costing(lambda quantised: {"arch": 0.1 * bool(quantised)}), LAYERS, 0.01)
    assert set(found.keep_float or ()) == set(LAYERS)


def test_a_search_stops_in_time_and_goes_on_from_its_journal(tmp_path: Path) -> None:
    journal = tmp_path / "j.json"
    whole = search(costing(added), LAYERS, 0.003)
    clock = ManualClock()
    seen: list[Sensitivity] = []
    while not seen or not seen[-1].finished:
        trials = costing(added, clock=clock, budget_s=1.5, journal=journal)
        seen.append(search(trials, LAYERS, 0.003))
        assert trials.judged <= 2
        assert len(seen) < 20
    assert len(seen) > 3
    assert (seen[0].ranking, seen[0].keep_float) == ((), None)
    assert seen[0].float_scores == whole.float_scores
    assert 0 < len(seen[2].ranking) < len(LAYERS)
    assert seen[-1] == whole
    write_json(whole, tmp_path / "s.json")
    assert read_json(Sensitivity, tmp_path / "s.json") == whole


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 layers"):
        search(costing(added), (), 0.003)
    with pytest.raises(ConfigError, match=r"a drop of -0\.1"):
        search(costing(added), LAYERS, -0.1)
    with pytest.raises(ArtifactError, match="one model scores arch, the other arch, svc"):
        drop({"arch": 1.0, "svc": 1.0}, {"arch": 1.0})


@pytest.mark.parametrize(
    ("flavour", "planted"), [("cpu", "stage1.1"), ("tensorrt-fp32", "stage2.1"), ("tensorrt-fp16", "stage1.1")]
)
def test_a_planted_outlier_is_found_first_and_is_all_that_is_kept(flavour: Flavour, planted: str) -> None:
    model = graphs.outlier(nets.student(64), f"{planted[:-1]}0", planted)
    spec, pictures = nets.spec(64), nets.pictures(3, 64, seed=4)
    table = graphs.table(model, 64)
    trials = Trials(
        lambda keep: insert(model, table, flavour, keep),
        dice_judge(spec, pictures, masks_of(model, spec, pictures)),
        binding="test",
        clock=ManualClock(),
        budget_s=60,
    )
    # The bound lies between what the planted layer costs and what all others together do.
    others = drop(trials.scores(layers(model, flavour)), trials.scores([planted]))
    found = search(trials, layers(model, flavour), max(others.values()) + 0.001)
    assert found.ranking[0].layer == planted
    assert found.ranking[0].worst > 3 * found.ranking[1].worst
    assert found.keep_float == (planted,)
