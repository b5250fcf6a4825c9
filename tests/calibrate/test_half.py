from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge3vt.calibrate.half import to_half
from edge3vt.core.errors import ArtifactError
from tests.calibrate.graphs import Net, error, foreign, half_resolution, logits


def halved(model: bytes) -> onnx.ModelProto:
    proto = onnx.load_from_string(model)
    to_half(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto


@pytest.mark.parametrize("model", [foreign(), foreign(opset=19), half_resolution()])
def test_the_numbers_stay_to_half_precision_and_the_contract_keeps_its_types(model: bytes) -> None:
    after = halved(model)
    assert [value.type.tensor_type.elem_type for value in after.graph.input] == [TensorProto.UINT8]
    assert [value.type.tensor_type.elem_type for value in after.graph.output] == [TensorProto.FLOAT]
    assert 0 < error(logits(after.SerializeToString()), logits(model)) < 2e-3


def test_every_constant_but_the_scales_of_a_resize_is_in_half_precision() -> None:
    kinds = {tensor.name: tensor.data_type for tensor in halved(foreign()).graph.initializer}
    assert kinds.pop("joined.up.scales") == TensorProto.FLOAT
    assert set(kinds.values()) == {TensorProto.FLOAT16}


def test_an_endless_bound_is_cut_and_a_weight_beyond_half_precision_is_refused() -> None:
    constants = {tensor.name: tensor for tensor in halved(foreign()).graph.initializer}
    assert numpy_helper.to_array(constants["clip.high"]) == 65504
    net = Net()
    net.add("Mul", [net.x, net.constant("large", np.float32([7e4]))], "scaled")
    with pytest.raises(ArtifactError, match="constant large holds 70000, FP16 ends at 65504"):
        to_half(onnx.load_from_string(net.model(1)))


def test_an_input_in_floats_gets_a_cast() -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    after = halved(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    assert [node.op_type for node in after.graph.node] == ["Cast", "Relu", "Cast"]
