from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.bench.cost import cost
from edge3vt.bench.floor import Floor, Node, floor, layer, lines, macs, profile
from edge3vt.bench.form import resized
from edge3vt.core.documents import read_json, write_json
from tests.bench.test_ceiling import MIB, planted

STUDENT = (Path(__file__).parents[2] / "edge3vt/assets/student-s384/student.onnx").read_bytes()


def node(mmac: float = 2.0, kib: float = 1.0, us: float = 20.0, integer: bool = True) -> Node:
    return Node("stage0.0", "Convolution", "brgconv", integer, round(mmac * 1e6), round(kib * 1024), us)


def record(times_ms: float, *nodes: Node) -> Floor:
    return floor("m-1", STUDENT, 384, nodes, [round(times_ms * 1e6)] * 5, planted())


def test_a_layer_is_bound_by_what_takes_longer() -> None:
    bound = layer(node(), planted())
    assert (bound.bound, bound.floor_us, bound.share) == ("arithmetic", pytest.approx(10.0), pytest.approx(0.5))
    moved = layer(node(kib=1024), planted())
    assert (moved.bound, moved.floor_us) == ("memory", pytest.approx(MIB / 100e9 * 1e6))
    assert layer(node(integer=False), planted()).floor_us == pytest.approx(40.0)
    assert layer(node(us=0.0), planted()).share is None


def test_the_share_is_of_the_arithmetic_and_the_limit_is_on_it() -> None:
    reached = record(0.08, *[node(us=12.0)] * 6)  # 60 us at the ceiling
    assert reached.share == pytest.approx(0.75)
    assert reached.passed
    assert reached.other_ms == pytest.approx(0.008)
    missed = record(0.0801, *[node(us=12.0)] * 6)
    assert not missed.passed


def test_memory_is_part_of_the_floor_but_not_of_the_share() -> None:
    both = record(0.08, node(), node(mmac=0, kib=1024))
    assert both.share == pytest.approx(0.125)
    assert both.share_at_floor == pytest.approx((0.01 + MIB / 100e9 * 1e3) / 0.08)


def test_a_record_reads_back_and_is_told(tmp_path: Path) -> None:
    made = record(0.1, node())
    write_json(made, tmp_path / "floor.json")
    assert read_json(Floor, tmp_path / "floor.json") == made
    text = "\n".join(lines(made))
    assert "stage0.0" in text
    assert "MISSED share of the arithmetic ceiling: 10%, at least 75%" in text


@pytest.mark.parametrize(
    ("kind", "inputs", "output", "expected"),
    [
        ("Convolution", [(1, 16, 96, 96), (32, 16, 3, 3)], (1, 32, 48, 48), 32 * 48 * 48 * 16 * 9),
        ("FullyConnected", [(1, 128), (1, 128)], (1, 1), 128),
        ("Interpolate", [(1, 8, 4, 4), (4,)], (1, 8, 8, 8), 0),
        ("Convolution", [(1, 16, 96, 96)], (1, 32, 48, 48), 0),
    ],
)
def test_what_a_node_multiplies(
    kind: str, inputs: list[tuple[int, ...]], output: tuple[int, ...], expected: int
) -> None:
    assert macs(kind, inputs, output) == expected


def test_the_layers_of_a_profile_add_up_to_the_network() -> None:
    pytest.importorskip("openvino")
    small = resized(STUDENT, 64)
    nodes = profile(small, openings=1, runs=2)
    assert sum(one.macs for one in nodes) == pytest.approx(cost(small).gmac * 1e9, rel=0.01)
    assert sum(one.us for one in nodes) > 0
    assert not any(one.integer for one in nodes if one.kind == "Convolution")
