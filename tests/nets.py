"""Small random networks in the student's shape and names, written without torch, and pictures to feed them."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.documents import to_json
from edge3vt.core.spec import INPUT, LOGITS, METADATA_KEY, VIEW, ModelSpec

STRIDE = 4


def spec(size: int = 64, name: str = "test-net") -> ModelSpec:
    return ModelSpec(
        schema=1,
        name=name,
        version="1",
        classes=CLASS_NAMES,
        height=size,
        width=size,
        stride=STRIDE,
        has_view=True,
        full_range=True,
        training="never trained",
    )


def student(size: int = 64, widths: tuple[int, ...] = (16, 16, 24, 32), seed: int = 0) -> bytes:
    """A random student of ``spec(size)``. Its mask follows the picture, so agreement of two runtimes means much."""
    rng = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    initialisers: list[onnx.TensorProto] = []

    def constant(name: str, value: NDArray[np.generic]) -> str:
        initialisers.append(numpy_helper.from_array(value, name))
        return name

    def add(operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def convolution(name: str, x: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> str:
        spread = np.sqrt(2 / (inputs * kernel * kernel))
        weight = rng.normal(0, spread, (outputs, inputs, kernel, kernel)).astype(np.float32)
        bias = rng.normal(0, 0.1, outputs).astype(np.float32)
        names = [x, constant(f"{name}.weight", weight), constant(f"{name}.bias", bias)]
        shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
        return add("Conv", names, name, **shape)

    def block(name: str, x: str, inputs: int, outputs: int, stride: int = 1) -> str:
        return add("Relu", [convolution(name, x, inputs, outputs, 3, stride)], f"{name}.relu")

    x = add("Cast", [INPUT], "pixels.float", to=TensorProto.FLOAT)
    x = add("Sub", [x, constant("pixel.mean", np.float32([60.0]))], "pixels.centred")
    x = add("Mul", [x, constant("pixel.scale", np.float32([1 / 64]))], "pixels.normal")
    x = add("SpaceToDepth", [x], "stem", blocksize=STRIDE)
    skips, inputs = [], STRIDE * STRIDE
    for i, (width, depth) in enumerate(zip(widths, (1, 2, 2, 2), strict=True)):
        for j in range(depth):
            x = block(f"stage{i}.{j}", x, inputs, width, 2 if i and not j else 1)
            inputs = width
        skips.append(x)
    pooled = add("Flatten", [add("GlobalAveragePool", [x], "view.pool")], "view.flat")
    weight = rng.normal(0, 0.3, (1, widths[-1])).astype(np.float32)
    bias = np.zeros(1, np.float32)
    add("Gemm", [pooled, constant("view.weight", weight), constant("view.bias", bias)], VIEW, transB=1)
    double = constant("double", np.float32([1, 1, 2, 2]))
    asymmetric = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    for i in range(len(widths) - 1):
        wide, slim = widths[-1 - i], widths[-2 - i]
        x = convolution(f"narrow{i}", x, wide, slim, 1)
        x = add("Resize", [x, "", double], f"up{i}", **asymmetric)
        x = add("Add", [x, skips[-2 - i]], f"skip{i}")
        x = block(f"smooth{i}", x, slim, slim)
    convolution(LOGITS, x, widths[0], len(CLASS_NAMES), 1)
    described = spec(size)
    model = helper.make_model(
        helper.make_graph(
            nodes,
            described.name,
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, described.input_shape)],
            [
                helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, described.logits_shape),
                helper.make_tensor_value_info(VIEW, TensorProto.FLOAT, (1, 1)),
            ],
            initialisers,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    helper.set_model_props(model, {METADATA_KEY: to_json(described, indent=None).strip()})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def pictures(count: int, size: int = 64, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Smooth random pictures: a few dark blobs in speckle."""
    rng = np.random.default_rng([seed, 1])
    y, x = np.mgrid[0:size, 0:size] / size
    out = []
    for _ in range(count):
        picture = np.full((size, size), rng.uniform(70, 150))
        for cx, cy, r, depth in rng.uniform((0, 0, 0.05, -90), (1, 1, 0.3, 90), (8, 4)):
            picture += depth * (np.hypot(x - cx, y - cy) < r)
        out.append(np.clip(picture * rng.gamma(6, 1 / 6, picture.shape), 0, 255).astype(np.uint8))
    return out
