"""For every rule of the linter: models that break it, made from sound ones, and the target that minds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.rule import TargetName
from edge3vt.core.spec import INPUT
from tests.calibrate.graphs import Net, table

Change = Callable[["Model"], None]


class Model:
    """A sound quantised model, to be broken."""

    def __init__(self, data: bytes) -> None:
        self.proto = onnx.load_from_string(data)
        self.graph = self.proto.graph

    def node(self, name: str) -> onnx.NodeProto:
        return next(node for node in self.graph.node if node.name == name)

    def put(self, name: str, value: NDArray[np.generic]) -> str:
        """Give the constant ``name`` another value."""
        others = [tensor for tensor in self.graph.initializer if tensor.name != name]
        tensors = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in others]
        del self.graph.initializer[:]
        self.graph.initializer.extend([*tensors, numpy_helper.from_array(np.asarray(value), name)])
        return name

    def before(self, name: str, *nodes: onnx.NodeProto) -> None:
        """Put nodes before the node ``name``."""
        index = list(self.graph.node).index(self.node(name))
        for node in reversed(nodes):
            self.graph.node.insert(index, node)

    def pair(self, x: str, before: str) -> str:
        """A sound pair on ``x``; returns its end."""
        constants = [self.put(f"{x}.s", np.float32(0.02)), self.put(f"{x}.z", np.int8(0))]
        q = helper.make_node("QuantizeLinear", [x, *constants], [f"{x}.pair.q"], name=f"{x}.pair.q")
        dq = helper.make_node("DequantizeLinear", [f"{x}.pair.q", *constants], [f"{x}.pair"], name=f"{x}.pair")
        self.before(before, q, dq)
        return f"{x}.pair"


def net() -> Net:
    found = Net()
    found.conv("a", 1, 32)
    found.relu()
    found.conv("b", 32, 32)
    found.relu()
    return found


def between(operator: str) -> bytes:
    """In the flavour for the CPU, with an operator between a convolution and the logits."""
    found = net()
    if operator == "Concat":
        found.add(operator, ["b.relu", "a.relu"], "joined", axis=1)
    elif operator == "Transpose":
        found.add(operator, ["b.relu"], "turned", perm=[0, 1, 3, 2])
    else:
        found.add(operator, ["b.relu"], "after")
    model = found.model(64 if operator == "Concat" else 32)
    return insert(model, table(model, count=1))


def quantised(of: Net | None = None, channels: int = 32, *, half: bool = False, opset: int = 17) -> bytes:
    model = (of or net()).model(channels, opset)
    return insert(model, table(model, count=1), "tensorrt-fp16" if half else "tensorrt-fp32")


def changed(change: Change, data: bytes | None = None) -> bytes:
    model = Model(data or quantised())
    change(model)
    return bytes(model.proto.SerializeToString())


def zero_point(model: Model) -> None:
    model.put("a.relu.zero", np.int8(5))


def uint8(model: Model) -> None:
    model.put("a.relu.zero", np.uint8(0))


def no_zero_point(model: Model) -> None:
    for name in ("a.relu.q", "a.relu.dq"):
        del model.node(name).input[2]


def int32_bias(model: Model) -> None:
    inputs = [model.put("bias.q", np.zeros(32, np.int32)), model.put("bias.scale", np.float32(1))]
    model.before("b", helper.make_node("DequantizeLinear", inputs, ["bias.dq"], name="bias.dq"))
    model.node("b").input[2] = "bias.dq"


def qoperator(model: Model) -> None:
    inputs = ["a.relu.q", "a.relu.scale", "a.relu.zero", "b.weight.q", "b.weight.scale", "b.weight.zero"]
    inputs += [model.put("b.scale", np.float32(0.02)), model.put("b.zero", np.int8(0))]
    whole = helper.make_node("QLinearConv", inputs, ["b.q"], name="b.whole", pads=[1] * 4)
    after = helper.make_node("DequantizeLinear", ["b.q", "b.scale", "b.zero"], ["b"], name="b.after")
    model.before("b", whole, after)
    model.graph.node.remove(model.node("b"))


def scale_of(value: float) -> Change:
    def change(model: Model) -> None:
        model.put("a.relu.scale", np.float32(value))

    return change


def per_channel(model: Model) -> None:
    model.put("a.relu.scale", np.full(32, 0.02, np.float32))
    model.put("a.relu.zero", np.zeros(32, np.int8))
    for name in ("a.relu.q", "a.relu.dq"):
        model.node(name).attribute.append(helper.make_attribute("axis", 1))


def weight_axis(model: Model) -> None:
    model.node("b.weight.dq").attribute[0].i = 1


def before_relu(model: Model) -> None:
    model.node("b.relu").input[0] = model.pair("b", "b.relu")


def one_sided(model: Model) -> None:
    model.node("b").input[0] = "a.relu"


def residual_net() -> Net:
    found = net()
    found.conv("c", 32, 32)
    found.add("Add", ["c", "b.relu"], "sum")
    return found


def both_sides(model: Model) -> None:
    model.node("sum").input[0] = model.pair("c", "sum")


def concat_net() -> Net:
    found = net()
    found.add("Concat", ["a.relu", "b.relu"], "joined", axis=1)
    return found


def two_scales(model: Model) -> None:
    model.node("joined").input[1] = model.pair("b.relu", "joined")
    model.node("joined").input[0] = model.pair("a.relu", "joined")
    model.put("a.relu.s", np.float32(0.07))


def normalisation(model: Model) -> None:
    values = [model.put(f"n{i}", np.full(32, value, np.float32)) for i, value in enumerate((1, 0, 0, 1))]
    model.before("b.relu", helper.make_node("BatchNormalization", ["b", *values], ["b.n"], name="b.n"))
    model.node("b.relu").input[0] = "b.n"


def custom(model: Model) -> None:
    model.node("b.relu").op_type = "Snake"
    model.node("b.relu").domain = "com.example"
    model.proto.opset_import.append(helper.make_opsetid("com.example", 1))


def antialias() -> bytes:
    found = net()
    found.up("linear", antialias=1)
    return found.model(32, 18)


def deformable() -> bytes:
    found = net()
    weight = found.constant("d.weight", np.zeros((32, 32, 1, 1), np.float32))
    offset = found.constant("d.offset", np.zeros((1, 2, 32, 32), np.float32))
    found.add("DeformConv", [found.x, weight, offset], "d")
    return found.model(32, 19)


def dynamic(model: Model) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


def uint8_inside() -> bytes:
    found = net()
    found.nodes.insert(0, helper.make_node("Transpose", [INPUT], ["turned"], name="turned", perm=[0, 1, 3, 2]))
    found.nodes[1].input[0] = "turned"
    return found.model(32)


def narrow() -> bytes:
    found = Net()
    found.conv("a", 1, 32)
    found.relu()
    found.conv("b", 32, 40)
    return quantised(found, 40)


def depthwise() -> bytes:
    found = net()
    found.conv("c", 32, 32, group=32)
    return quantised(found)


def older(data: bytes) -> bytes:
    """Said to be of opset 17, whatever it holds."""
    model = onnx.load_from_string(data)
    model.opset_import[0].version = 17
    return bytes(model.SerializeToString())


EXAMPLES: dict[str, list[tuple[TargetName, str | None, Callable[[], bytes]]]] = {
    "zero-point": [("tensorrt-8.6", "a.relu.q", lambda: changed(zero_point))],
    "uint8": [
        ("tensorrt-10.3", "a.relu.q", lambda: changed(uint8)),
        ("tensorrt-11.4", "a.relu.q", lambda: changed(no_zero_point)),
    ],
    "int32-bias": [("tensorrt-10.3", "bias.dq", lambda: changed(int32_bias))],
    "qoperator": [("tensorrt-8.6", "b.whole", lambda: changed(qoperator))],
    "half-scale": [("onnxruntime", "a.relu.q", lambda: older(quantised(half=True)))],
    "scale": [
        ("onnxruntime", "a.relu.q", lambda: changed(scale_of(0))),
        ("tensorrt-8.6", "a.relu.q", lambda: changed(scale_of(np.inf))),
    ],
    "activation-per-channel": [("tensorrt-10.3", "a.relu.q", lambda: changed(per_channel))],
    "weight-axis": [("tensorrt-10.3", "b.weight.dq", lambda: changed(weight_axis))],
    "pair-before-relu": [("tensorrt-10.16", "b.pair.q", lambda: changed(before_relu))],
    "one-sided": [("onnxruntime", "b", lambda: changed(one_sided))],
    "residual": [("tensorrt-10.3", "sum", lambda: changed(both_sides, quantised(residual_net())))],
    "concat-scales": [("tensorrt-10.3", "joined", lambda: changed(two_scales, quantised(concat_net(), 64)))],
    "normalisation": [("openvino", "b.n", lambda: changed(normalisation))],
    "signed-activation": [("onnxruntime", "pixels.normal.q", quantised)],
    "unfused": [("onnxruntime", "b", lambda: between("Sigmoid"))],
    "opset": [
        ("tensorrt-8.6", None, lambda: net().model(32, 18)),
        ("tensorrt-10.3", None, lambda: net().model(32, 21)),
        ("tensorrt-8.6", None, lambda: quantised(half=True)),
    ],
    "custom-operator": [("onnxruntime", "b.relu", lambda: changed(custom))],
    "resize-antialias": [("tensorrt-10.13", "b.relu.up", antialias)],
    "deform-conv": [("tensorrt-10.16", "d", deformable)],
    "dynamic-size": [("tensorrt-10.3", None, lambda: changed(dynamic))],
    "types": [("tensorrt-11.4", None, quantised)],
    "uint8-inside": [("tensorrt-8.6", "turned", uint8_inside)],
    "channels": [("tensorrt-8.6", "b", narrow)],
    "depthwise": [("tensorrt-8.6", "c", depthwise)],
    "half-on-cpu": [("onnxruntime", None, lambda: quantised(half=True))],
}
