"""Nets of any shape in the engine contract, node by node, for what the student does not have."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.table import CalibrationTable
from edge3vt.core.spec import INPUT, LOGITS
from tests import nets

SIZE = 32


class Net:
    """A graph in the making. ``x`` is the newest tensor; every method sets it and returns its name."""

    def __init__(self, size: int = SIZE, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.size = size
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.x = self.add("Cast", [INPUT], "pixels.float", to=TensorProto.FLOAT)
        self.x = self.add("Mul", [self.x, self.constant("pixels.scale", np.float32([1 / 128]))], "pixels.normal")

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        self.x = output
        return output

    def conv(
        self,
        name: str,
        inputs: int,
        outputs: int,
        x: str | None = None,
        *,
        kernel: int = 3,
        stride: int = 1,
        group: int = 1,
    ) -> str:
        shape = (outputs, inputs // group, kernel, kernel)
        weight = self.rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        bias = self.rng.normal(0, 0.1, outputs).astype(np.float32)
        names = [x or self.x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        pads = [kernel // 2] * 4
        return self.add("Conv", names, name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads, group=group)

    def relu(self) -> str:
        return self.add("Relu", [self.x], f"{self.x}.relu")

    def norm(self, channels: int) -> str:
        """Batch normalisation with statistics far from 0 and 1."""
        name = f"{self.x}.norm"
        values = {
            "scale": self.rng.uniform(0.5, 2, channels),
            "shift": self.rng.normal(0, 1, channels),
            "mean": self.rng.normal(0, 1, channels),
            "var": self.rng.uniform(0.2, 3, channels),
        }
        names = [self.constant(f"{name}.{part}", v.astype(np.float32)) for part, v in values.items()]
        return self.add("BatchNormalization", [self.x, *names], name, epsilon=1e-3)

    def up(self, mode: str = "nearest", **attributes: object) -> str:
        name = f"{self.x}.up"
        scales = self.constant(f"{name}.scales", np.float32([1, 1, 2, 2]))
        return self.add("Resize", [self.x, "", scales], name, mode=mode, **attributes)

    def model(self, inputs: int, opset: int = 17, *, head: bool = True) -> bytes:
        """With a last convolution to the logits, from ``inputs`` channels, at the stride that the net has."""
        if head:
            self.conv(LOGITS, inputs, 6, kernel=1)
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, (1, 1, self.size, self.size))],
            [helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, (1, 6, None, None))],
            self.constants,
        )
        versions = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=helper.find_min_ir_version_for(versions))
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def plain(opset: int = 17) -> bytes:
    """Two convolutions and the logits."""
    net = Net()
    net.conv("a", 1, 8)
    net.relu()
    net.conv("b", 8, 8)
    net.relu()
    return net.model(8, opset)


def foreign(opset: int = 17) -> bytes:
    """A net unlike the student: normalisation, residuals, pooling, concatenation, transposed convolution, Clip."""
    net = Net()
    net.conv("stem", 1, 8, stride=2)
    net.norm(8)
    low = net.relu()
    net.conv("block.a", 8, 8)
    net.norm(8)
    net.relu()
    main = net.conv("block.b", 8, 8)
    net.add("Add", [low, main], "residual")
    top = net.relu()
    net.add("MaxPool", [net.x], "pooled", kernel_shape=[2, 2], strides=[2, 2])
    net.conv("depthwise", 8, 8, group=8)
    bounds = [net.constant("clip.low", np.float32(0)), net.constant("clip.high", np.float32(3.4e38))]
    net.add("Clip", ["depthwise", *bounds], "clipped")
    weight = net.rng.normal(0, 0.4, (8, 4, 2, 2)).astype(np.float32)
    net.add("ConvTranspose", [net.x, net.constant("up.weight", weight)], "up", kernel_shape=[2, 2], strides=[2, 2])
    net.add("Concat", [net.x, top], "joined", axis=1)
    net.up("linear", coordinate_transformation_mode="half_pixel")
    return net.model(12, opset)


def half_resolution() -> bytes:
    """Ends as the half-resolution students do: logits by DepthToSpace."""
    net = Net()
    net.add("SpaceToDepth", [net.x], "stem", blocksize=4)
    net.conv("a", 16, 16)
    net.relu()
    net.conv("head", 16, 24, kernel=1)
    net.add("DepthToSpace", [net.x], LOGITS, blocksize=2, mode="CRD")
    return net.model(0, head=False)


def outlier(model: bytes, layer: str, following: str) -> bytes:
    """The same function, with one channel between two layers a thousand times as large as it was."""
    proto = onnx.load_from_string(model)
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    for name, index, factor in (
        (f"{layer}.weight", np.s_[3], 1000),
        (f"{layer}.bias", np.s_[3], 1000),
        (f"{following}.weight", np.s_[:, 3], 1 / 1000),
    ):
        values = numpy_helper.to_array(tensors[name]).copy()
        values[index] *= np.float32(factor)
        tensors[name].CopyFrom(numpy_helper.from_array(values, name))
    return bytes(proto.SerializeToString())


def table(model: bytes, size: int = SIZE, count: int = 6) -> CalibrationTable:
    return observe(model, nets.spec(size), nets.pictures(count, size), set_name="some")


def logits(model: bytes, size: int = SIZE, count: int = 3) -> NDArray[np.float32]:
    """What ONNX Runtime's CPU provider says, without fusing any Q/DQ: in floats, rounded where the pairs stand."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    pictures = nets.pictures(count, size, seed=9)
    return np.stack([session.run([LOGITS], {INPUT: picture[None, None]})[0] for picture in pictures])


def error(found: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Mean difference over the mean size of the logits."""
    return float(np.abs(found - exact).mean() / np.abs(exact).mean())
