"""The student as ONNX in the engine contract: batch normalisation folded, uint8 in, ModelSpec inside.

The graph is written operator by operator, so that it holds nothing but SpaceToDepth, Conv, Relu, Resize, Add, the
view's pooling and, in the half-resolution form, DepthToSpace, under stable names that calibration tables refer to.
Branches fold away too: a network trained with them has the graph of one that was not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edge3vt.core.documents import to_json
from edge3vt.core.errors import ArtifactError
from edge3vt.core.spec import INPUT, LOGITS, METADATA_KEY, VIEW, WEIGHTS_KEY, ModelSpec
from edge3vt.learn.student import PIXEL_MEAN, PIXEL_SCALE, STRIDE, BranchedBlock, ConvBlock, Student

OPSET = 17
IR_VERSION = 8
Weights = NDArray[np.float32]


class _Graph:
    """An ONNX graph in the making: each method adds a node and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.initialisers.append(numpy_helper.from_array(value, name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def convolution(self, name: str, x: str, weight: Weights, bias: Weights, stride: int) -> str:
        kernel = weight.shape[2]
        inputs = [x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        pad = kernel // 2
        return self.add("Conv", inputs, name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def block(self, name: str, x: str, block: nn.Module) -> str:
        assert isinstance(block, ConvBlock | BranchedBlock)
        weight, bias = (_numpy(folded) for folded in block.folded())
        return self.add("Relu", [self.convolution(name, x, weight, bias, block.stride)], f"{name}.relu")


def to_onnx(model: Student, spec: ModelSpec, weights_sha256: str | None = None) -> bytes:
    """The model in evaluation mode as ONNX bytes: the same bytes for the same weights and spec.

    Without the view's logit where the spec has none. weights_sha256: of the file that the model came from, noted
    inside. Raises ArtifactError for a spec of another model.
    """
    if (len(spec.classes), spec.stride) != (model.classes, model.stride):
        raise ArtifactError(
            f"{spec.model_id}: {len(spec.classes)} classes at stride {spec.stride}, its network has {model.classes} "
            f"at {model.stride}; export the weights with their own spec"
        )
    graph = _Graph()
    x = graph.add("Cast", [INPUT], "pixels.float", to=TensorProto.FLOAT)
    x = graph.add("Sub", [x, graph.constant("pixel.mean", np.array([PIXEL_MEAN], np.float32))], "pixels.centred")
    x = graph.add("Mul", [x, graph.constant("pixel.scale", np.array([PIXEL_SCALE], np.float32))], "pixels.normal")
    x = graph.add("SpaceToDepth", [x], "stem", blocksize=STRIDE)
    skips = []
    for i, stage in enumerate(model.stages):
        assert isinstance(stage, nn.Sequential)
        for j, block in enumerate(stage):
            x = graph.block(f"stage{i}.{j}", x, block)
        skips.append(x)
    if spec.has_view:
        pooled = graph.add("Flatten", [graph.add("GlobalAveragePool", [x], "view.pool")], "view.flat")
        weight, bias = (_numpy(p) for p in (model.view.weight, model.view.bias))
        inputs = [pooled, graph.constant("view.weight", weight), graph.constant("view.bias", bias)]
        graph.add("Gemm", inputs, VIEW, transB=1)
    scales = graph.constant("double", np.array([1, 1, 2, 2], np.float32))
    for i, (narrow, smooth, skip) in enumerate(zip(model.narrow, model.smooth, skips[-2::-1], strict=True)):
        assert isinstance(narrow, nn.Conv2d)
        assert narrow.bias is not None
        x = graph.convolution(f"narrow{i}", x, _numpy(narrow.weight), _numpy(narrow.bias), 1)
        x = graph.add(
            "Resize",
            [x, "", scales],
            f"up{i}",
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )
        x = graph.add("Add", [x, skip], f"skip{i}")
        x = graph.block(f"smooth{i}", x, smooth)
    assert model.head.bias is not None
    half = model.stride < STRIDE
    head = graph.convolution("head" if half else LOGITS, x, _numpy(model.head.weight), _numpy(model.head.bias), 1)
    if half:
        graph.add("DepthToSpace", [head], LOGITS, blocksize=2, mode="CRD")
    outputs = {LOGITS: spec.logits_shape} | ({VIEW: (1, 1)} if spec.has_view else {})
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            spec.name,
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, spec.input_shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            graph.initialisers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="edge3vt",
    )
    origin = {} if weights_sha256 is None else {WEIGHTS_KEY: weights_sha256}
    helper.set_model_props(proto, {METADATA_KEY: to_json(spec, indent=None).strip()} | origin)
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString(deterministic=True))


def _numpy(parameter: torch.Tensor) -> Weights:
    array: Weights = parameter.detach().float().numpy()
    return array
