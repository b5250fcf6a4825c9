from __future__ import annotations

import numpy as np
import pytest

from edge3vt.bench.engine_block import (
    AVERAGED,
    LEAST_RUNS,
    WARM_UP_MS,
    Runs,
    back_to_back,
    crops,
    engine_block,
    export_times,
    flags_of,
    lines,
)
from edge3vt.core.clock import NS_PER_MS, ManualClock
from edge3vt.engine.fake import FakeSession
from tests.bench.measured import SPEC, pictures

KEYS = (  # trtexec --exportTimes, 8.5 to 11.1
    "startEnqMs endEnqMs startH2dMs endH2dMs startComputeMs endComputeMs startD2hMs endD2hMs h2dMs computeMs d2hMs "
    "latencyMs"
)


def runs(taken_ms: list[float], gap_ms: float = 0.0) -> Runs:
    ends = np.cumsum([took + gap_ms for took in taken_ms])
    return Runs(
        tuple(int((end - took) * NS_PER_MS) for end, took in zip(ends, taken_ms, strict=True)),
        tuple(int(end * NS_PER_MS) for end in ends),
    )


def test_it_runs_back_to_back_after_a_warm_up() -> None:
    clock = ManualClock()
    session = FakeSession(SPEC, clock, latency_ms=[4.0, 6.0])
    found = back_to_back(session, crops(pictures(), 32), 1.0, clock)
    warm_up = session.runs - len(found.began_ns)
    assert warm_up == pytest.approx(WARM_UP_MS / 5, abs=1)
    assert found.wall_ns == pytest.approx(1e9, abs=6 * NS_PER_MS)
    assert set(found.taken_ns.tolist()) == {4 * NS_PER_MS, 6 * NS_PER_MS}


def test_a_slow_engine_is_run_ten_times_all_the_same() -> None:
    clock = ManualClock()
    found = back_to_back(FakeSession(SPEC, clock, latency_ms=900), crops(pictures(), 32), 0.5, clock)
    assert len(found.began_ns) == LEAST_RUNS


def test_the_block_on_a_cpu_copies_nothing_and_its_call_is_its_compute() -> None:
    taken = [4.0] * 450 + [8.0] * 50
    block = engine_block([runs(taken)], "openvino", flags_of("openvino", 1, 2, "", ""))
    assert block.latency_ms == block.gpu_compute_ms == block.enqueue_ms
    assert (block.latency_ms.min, block.latency_ms.max, block.latency_ms.median) == (4, 8, 4)
    assert block.latency_ms.mean == pytest.approx(4.4)
    assert block.latency_ms.percentile == {"90": 4.0, "95": 8.0, "99": 8.0}
    assert block.h2d_ms is not None
    assert block.h2d_ms.max == 0
    assert block.throughput_qps == pytest.approx(500 / 2.2)
    assert block.total_gpu_compute_s == pytest.approx(2.2)
    assert block.coefficient_of_variation_pct == pytest.approx(100 * np.std(taken) / np.mean(taken))
    assert "Unsteady" in lines(block)[-1]
    assert block.drift is None


def test_trtexecs_rank_and_the_refusal_of_thin_tails() -> None:
    block = engine_block([runs([float(i) for i in range(1, 101)])], "onnxruntime", {"includeDataTransfers": False})
    assert block.latency_ms.percentile == {"90": 90.0, "95": 95.0, "99": None}
    assert "percentile(99%) = n/a" in lines(block)[2]


def test_before_and_after_tell_the_drift() -> None:
    block = engine_block([runs([4.0] * 20), runs([5.0] * 20)], "openvino", {"includeDataTransfers": False})
    assert block.drift == pytest.approx(1.25)
    assert block.runs == 40
    assert block.total_host_walltime_s == pytest.approx(0.18)


def test_a_graph_is_not_told_apart() -> None:
    flags = flags_of("tensorrt", 1, 2, "CUDA graph", "spin")
    block = engine_block([runs([1.0] * 20)], "tensorrt", flags)
    assert (block.h2d_ms, block.gpu_compute_ms, block.d2h_ms, block.total_gpu_compute_s) == (None,) * 4
    assert (flags["useCudaGraph"], flags["useSpinWait"], flags["includeDataTransfers"]) == (True, True, True)
    assert "GPU Compute Time: not told apart" in lines(block)
    assert flags_of("tensorrt", 1, 2, "plain enqueue: no", "block")["useCudaGraph"] is False


def test_the_export_has_trtexecs_keys_and_their_sum() -> None:
    rows = export_times([runs([4.0, 6.0], gap_ms=1.0), runs([5.0])])
    assert [list(row) for row in rows] == [KEYS.split()] * 3
    for row, took in zip(rows, (4, 6, 5), strict=True):
        assert row["latencyMs"] == pytest.approx(took)
        assert row["latencyMs"] == row["h2dMs"] + row["computeMs"] + row["d2hMs"]
        assert row["endComputeMs"] - row["startComputeMs"] == pytest.approx(took)
    starts = [row["startEnqMs"] for row in rows]
    assert starts == sorted(starts)
    assert AVERAGED == 10
