from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge3vt.bench.limits import COUNTS, RATES, SPREADS
from edge3vt.bench.result import place, read_result, write_result
from edge3vt.core.documents import from_mapping, to_json
from edge3vt.core.errors import ConfigError
from edge3vt.core.jetson import Jetson
from tests.bench.measured import MACHINE, result

FOUND = result(np.arange(1000, 2000))


def test_a_result_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_result(FOUND, tmp_path / "a.json")
    assert read_result(tmp_path / "a.json") == FOUND


def test_half_an_hour_at_60_hz_fits_into_git(tmp_path: Path) -> None:
    n = 108_000
    noise = np.random.default_rng(1).integers(0, 10_000, n)
    whole = tuple((noise + 10_000).tolist())
    rows = replace(FOUND.series, per_start=(n,), step_ms=(17,) * n, total_us=whole, infer_us=whole, runner_us=whole)
    write_result(replace(FOUND, series=rows), tmp_path / "a.json")
    assert (tmp_path / "a.json").stat().st_size < 3 << 20
    assert rows.at_ms[-1] == 17 * n


def test_every_figure_that_a_limit_may_name_is_there() -> None:
    for name in (*(f"{spread}.p50" for spread in SPREADS if spread != "engine"), *RATES, *COUNTS):
        assert FOUND.figure(name) is not None, name
    assert FOUND.figure("engine.p50") is None, "the engine was not measured alone"
    assert FOUND.figure("total.p50") == pytest.approx(1.499, abs=0.002)
    assert FOUND.figure("total.p99.9") is None


def test_the_miss_rate_leaves_the_machines_stalls_out_and_the_other_does_not() -> None:
    stream = replace(FOUND.stream, misses=10, emitted_late=10, miss_rate=0.01)
    found = replace(FOUND, stream=stream, stalls=replace(FOUND.stalls, machine=7, own=3))
    assert found.figure("miss_rate") == pytest.approx(0.3)
    assert found.figure("all_miss_rate") == pytest.approx(1.0)


@pytest.mark.parametrize("keys", [{"schema": 2}, {"series": replace(FOUND.series, step_ms=())}])
def test_a_result_that_is_not_whole_is_refused(keys: dict) -> None:
    with pytest.raises(ConfigError):
        replace(FOUND, **keys)


def test_stages_are_those_that_are_known() -> None:
    import json

    raw = json.loads(to_json(FOUND))
    del raw["stream"]["stages_ms"]["sink"]
    with pytest.raises(ConfigError, match="sink"):
        from_mapping(type(FOUND), raw, where="test")


def test_its_place_names_the_machine_and_nothing_else() -> None:
    xeon = replace(MACHINE, cpu="Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", cores=8)
    assert place("cold", xeon, None, None).as_posix() == "benchmarks/results/intel-xeon-gold-6338-8-cores/cold.json"
    assert place("cold", xeon, None, "NVIDIA L4").parent.name == "intel-xeon-gold-6338-8-cores-nvidia-l4"
    board = Jetson("NVIDIA Jetson Orin Nano Developer Kit", "36.4.3", "15W")
    assert place("cold", xeon, board, None).parent.name == "nvidia-jetson-orin-nano-developer-kit"
