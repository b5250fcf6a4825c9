from __future__ import annotations

import numpy as np
import onnx
import pytest

from edge3vt.calibrate.wiring import Wiring, attribute, layer_name, opset_of, text_attribute
from tests import nets
from tests.calibrate.graphs import Net, foreign, plain


def added(*order: str) -> int | None:
    """The skip of an Add whose inputs are named: "early" and "late" convolutions, "up" a later one, enlarged."""
    net = Net()
    net.conv("stem", 1, 8)
    net.relu()
    net.conv("early", 8, 8, "stem.relu")
    net.conv("late", 8, 8, "stem.relu")
    net.conv("small", 8, 8, "stem.relu", stride=2)
    net.up()
    net.add("Add", list(order), "sum")
    net.constant("one", np.ones((1, 8, 1, 1), np.float32))
    graph = onnx.load_from_string(net.model(8)).graph
    return Wiring(graph).skip_input(next(node for node in graph.node if node.op_type == "Add"))


@pytest.mark.parametrize(
    ("order", "skip"),
    [
        (("stem.relu", "early"), 0),
        (("early", "stem.relu"), 1),
        (("early", "late"), 0),
        (("late", "early"), 1),
        (("small.up", "late"), 1),
        (("stem.relu", "small.up"), 0),
        (("stem.relu", "stem.relu"), None),
        (("early", "early"), None),
        (("early", "one"), None),
    ],
)
def test_the_skip_is_what_the_convolution_before_an_addition_did_not_make(order: list[str], skip: int | None) -> None:
    assert added(*order) == skip


def test_makers_takers_and_what_lies_behind_moves() -> None:
    wiring = Wiring(onnx.load_from_string(nets.student(64)).graph)
    assert [layer_name(node) for node in wiring.takers["stage1.1.relu"]] == ["stage2.0", "skip1"]
    assert wiring.maker("pixels") is None
    found = wiring.through_moves("up0")
    assert found is not None
    assert found.name == "narrow0"
    assert wiring.outputs == {"logits", "view"}


def test_attributes_names_and_opsets() -> None:
    model = onnx.load_from_string(foreign(opset=18))
    nodes = {node.name: node for node in model.graph.node}
    assert opset_of(model) == 18
    assert opset_of(onnx.ModelProto()) == 0
    assert attribute(nodes["depthwise"], "group") == 8
    assert attribute(nodes["up"], "group", 1) == 1
    assert text_attribute(nodes["joined.up"], "mode", "nearest") == "linear"
    assert text_attribute(nodes["joined.up"], "nearest_mode", "floor") == "floor"
    node = onnx.load_from_string(plain()).graph.node[3]
    node.name = ""
    assert layer_name(node) == node.output[0]
