from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge3vt.bench.cost import Cost, cost
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.table import CalibrationTable
from edge3vt.cli.engines import ASSETS
from edge3vt.core.documents import read_json

STUDENT = ASSETS / "student-s384"


def model(nodes: list[onnx.NodeProto], shape: tuple[int | str, ...], **weights: tuple[int, ...]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros(size, np.float32), name) for name, size in weights.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return proto.SerializeToString()


@pytest.mark.parametrize(
    ("node", "shape", "weights", "params", "macs"),
    [
        (helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1] * 4), (1, 4, 8, 8), (6, 4, 3, 3), 216, 64 * 216),
        (helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[2, 2]), (1, 4, 8, 8), (6, 4, 2, 2), 96, 16 * 96),
        (helper.make_node("Conv", ["x", "w", "b"], ["y"], group=6), (1, 6, 8, 8), (6, 1, 1, 1), 6, 64 * 6),
        (helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"]), (1, 4, 8, 8), (4, 6, 2, 2), 96, 64 * 96),
        (helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1), (1, 4), (6, 4), 24, 24),
    ],
)  # fmt: skip
def test_counted_by_hand(
    node: onnx.NodeProto, shape: tuple[int, ...], weights: tuple[int, ...], params: int, macs: int
) -> None:
    found = cost(model([node], shape, w=weights, b=(6,)))
    assert found == Cost(pytest.approx((params + 6) / 1e6), pytest.approx(macs / 1e9))


def test_a_product_of_activations_costs_but_is_not_learned() -> None:
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), helper.make_node("MatMul", ["x", "t"], ["y"])]
    assert cost(model(nodes, (1, 4, 5))) == Cost(0, pytest.approx(4 * 4 * 5 / 1e9))


def test_the_student_costs_the_same_when_quantised() -> None:
    data = (STUDENT / "student.onnx").read_bytes()
    quantised = insert(data, read_json(CalibrationTable, STUDENT / "table.json"), "cpu")
    assert cost(data) == cost(quantised)
    assert cost(data).params_m == pytest.approx(0.617, abs=0.002)  # its record says so; norms are folded here


def test_a_shape_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="is not known"):
        cost(model([helper.make_node("Conv", ["x", "w"], ["y"])], (1, 4, "h", "w"), w=(6, 4, 3, 3)))
