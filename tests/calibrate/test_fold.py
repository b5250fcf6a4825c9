from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge3vt.calibrate.fold import fold
from tests.calibrate.graphs import Net, foreign, logits


def folded(model: bytes) -> onnx.ModelProto:
    proto = onnx.load_from_string(model)
    fold(proto.graph)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def test_normalisation_goes_into_the_weights_and_the_numbers_stay() -> None:
    model = foreign()
    after = folded(model)
    assert Counter(node.op_type for node in onnx.load_from_string(model).graph.node)["BatchNormalization"] == 2
    assert "BatchNormalization" not in {node.op_type for node in after.graph.node}
    np.testing.assert_allclose(logits(after.SerializeToString()), logits(model), rtol=1e-4, atol=1e-4)
    assert "stem.norm" in {node.output[0] for node in after.graph.node if node.op_type == "Conv"}
    assert not [tensor.name for tensor in after.graph.initializer if tensor.name.startswith("stem.norm.")]


def test_a_transposed_convolution_without_a_bias_takes_it_too() -> None:
    net = Net()
    net.conv("a", 1, 4)
    weight = net.rng.normal(0, 0.4, (4, 6, 2, 2)).astype(np.float32)
    net.add("ConvTranspose", ["a", net.constant("t.weight", weight)], "t", kernel_shape=[2, 2], strides=[2, 2])
    net.norm(6)
    model = net.model(6)
    after = folded(model)
    assert len(after.graph.node) == len(onnx.load_from_string(model).graph.node) - 1
    np.testing.assert_allclose(logits(after.SerializeToString()), logits(model), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", ["shared", "pooled"])
def test_what_others_need_or_no_convolution_made_stays(case: str) -> None:
    net = Net()
    net.conv("a", 1, 4)
    if case == "pooled":
        net.add("MaxPool", ["a"], "p", kernel_shape=[1, 1])
    net.norm(4)
    if case == "shared":
        net.add("Add", [net.x, "a"], "both")
    model = net.model(4)
    assert folded(model).graph == onnx.load_from_string(model).graph


def test_constant_nodes_and_copies_of_constants_become_initialisers() -> None:
    net = Net()
    weight = numpy_helper.from_array(net.rng.normal(0, 1, (4, 1, 3, 3)).astype(np.float32))
    net.nodes.append(helper.make_node("Constant", [], ["made"], value=weight))
    net.nodes.append(helper.make_node("Identity", ["made"], ["copied"]))
    net.add("Conv", ["pixels.normal", "copied"], "a", kernel_shape=[3, 3], pads=[1] * 4)
    model = net.model(4)
    after = folded(model)
    assert {"Constant", "Identity"}.isdisjoint(node.op_type for node in after.graph.node)
    assert "copied" in {tensor.name for tensor in after.graph.initializer}
    np.testing.assert_array_equal(logits(after.SerializeToString()), logits(model))
