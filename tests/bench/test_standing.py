from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.bench.benchmark_app import BenchmarkApp, gathered
from edge3vt.bench.contender import Turn
from edge3vt.bench.peers import interleaved, order
from edge3vt.bench.standing import LIMITS, Peers, limits, lines, rows
from edge3vt.core.clock import NS_PER_MS
from edge3vt.core.documents import read_json, write_json
from edge3vt.core.machine import this_machine

NAMES = ("ours", "engine", "openvino", "unet-resnet34", "deeplab-resnet50")


def turn(ms: float, count: int = 100, **stages: float) -> Turn:
    parts = {name: (round(part * NS_PER_MS),) * count for name, part in stages.items()}
    return Turn((round(ms * NS_PER_MS),) * count, 0.1, parts)


def held(**ms: float) -> dict[str, list[Turn]]:
    usual = {"ours": 1.2, "engine": 1.0, "openvino": 30.0, "unet-resnet34": 150.0, "deeplab-resnet50": 200.0}
    return {name.replace("_", "-"): [turn(value)] * 12 for name, value in (usual | ms).items()}


def standing(**ms: float) -> dict[str, bool]:
    return {limit.name: limit.passed for limit in limits(384, rows(held(**ms), {}, dict.fromkeys(NAMES, "")))}


def test_everyone_is_first_once_and_last_once() -> None:
    names = ["a", "b", "c"]
    rounds = [order(names, index) for index in range(6)]
    assert [one[0] for one in rounds[:3]] == names
    assert {tuple(one) for one in rounds} == {*map(tuple, ("abc", "bca", "cab", "cba", "acb", "bac"))}


def test_turns_are_shared_out_evenly_and_one_that_fails_has_fewer() -> None:
    asked: list[tuple[str, float]] = []

    def taker(name: str, fails: bool = False) -> object:
        def take(seconds: float) -> Turn | None:
            asked.append((name, seconds))
            return None if fails else turn(1.0)

        return take

    found = interleaved({"a": taker("a"), "b": taker("b", True)}, 12.0, 3)  # type: ignore[dict-item]
    assert [name for name, _ in asked] == ["a", "b", "b", "a", "b", "a"]
    assert {seconds for _, seconds in asked} == {2.0}
    assert (len(found["a"]), len(found["b"])) == (3, 0)


def test_all_limits_hold_where_ours_is_fast_and_each_is_missed_where_it_is_not() -> None:
    assert all(standing().values())
    assert len(standing()) == len(LIMITS[384])
    missed = {name for name, passed in standing(ours=1.4).items() if not passed}
    assert missed == {"p50 of ours over p50 of the engine alone"}
    assert not standing(openvino=7.0)["p50 of openvino over p50 of ours"]
    assert not standing(unet_resnet34=110.0)["p50 of unet-resnet34 over p50 of ours"]


def test_slow_tails_are_seen() -> None:
    slow = held()
    slow["ours"] = [Turn((1_200_000,) * 97 + (2_000_000,) * 3, 0.1, {})] * 12
    found = {limit.name: limit for limit in limits(384, rows(slow, {}, dict.fromkeys(NAMES, "")))}
    assert not found["p99 of ours over p50 of the engine alone"].passed
    assert found["p50 of ours over p50 of the engine alone"].passed


def test_what_is_skipped_keeps_no_limit() -> None:
    part = held()
    part["openvino"] = []
    found = rows(part, {"openvino": "not installed"}, dict.fromkeys(NAMES, ""))
    assert next(row for row in found if row.name == "openvino").skipped == "not installed"
    kept = {limit.name: limit for limit in limits(384, found)}
    assert kept["p50 of openvino over p50 of ours"].value is None
    assert not kept["p50 of openvino over p50 of ours"].passed


def test_ratios_are_of_rounds_so_that_a_drifting_machine_shows() -> None:
    drifting = held()
    drifting["engine"] = [turn(1.0), turn(2.0)] * 6
    row = rows(drifting, {}, dict.fromkeys(NAMES, ""))[1]
    assert (row.low, row.high) == (pytest.approx(1 / 1.2), pytest.approx(2 / 1.2))


def test_a_record_reads_back_and_is_told(tmp_path: Path) -> None:
    with_stages = held() | {"ours": [turn(1.2, prepare=0.1, infer=1.0)] * 12}
    found = rows(with_stages, {}, dict.fromkeys(NAMES, "what it is"))
    record = Peers(
        schema=1,
        edge3vt="0",
        made="2026-01-01T00:00:00+00:00",
        command="",
        machine=this_machine(),
        model_id="m-1",
        engine_sha256="0",
        size=384,
        picture="",
        isa="",
        rounds=12,
        seconds=1.0,
        others=0.25,
        rows=tuple(found),
        benchmark_app=BenchmarkApp("", (), None, "not installed"),
        limits=tuple(limits(384, found)),
        passed=True,
    )
    write_json(record, tmp_path / "peers.json")
    assert read_json(Peers, tmp_path / "peers.json") == record
    text = "\n".join(lines(record))
    assert "25% of the core" in text
    assert "prepare 0.10, infer 1.00" in text
    assert "benchmark_app     skipped: not installed" in text


def test_benchmark_app_runs_are_gathered() -> None:
    assert gathered([(1.0, ""), (3.0, ""), (None, "broke")]).p50_ms == 2.0
    assert gathered([(None, "broke")]).skipped == "broke"
