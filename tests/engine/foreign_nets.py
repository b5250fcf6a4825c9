"""Small segmentation networks as other people export them: other names, sizes left open, an activation at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

End = tuple[str, dict[str, Any]]
NAMES = ("background", "vessel", "bone", "shadow")
Array = NDArray[Any]


def net(
    *,
    channels: int = 3,
    classes: int = 3,
    layout: str = "NCHW",
    stride: int = 2,
    ends: Sequence[End] = (),
    kind: int = TensorProto.FLOAT,
    shape: tuple[int | str, ...] | None = None,
    opset: int = 17,
    names: tuple[str, str] = ("input", "output"),
    pad: int = 1,
) -> bytes:
    """Convolution, Relu, convolution, then ``ends`` in a row. shape: of the input, open but for the channels."""
    rng = np.random.default_rng(3)
    source, result = names
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    half = np.float16 if dtype == np.float16 else np.float32
    weights = {
        "first.weight": rng.normal(0, 0.5, (8, channels, 3, 3)).astype(half),
        "first.bias": rng.normal(0, 0.5, 8).astype(half),
        "last.weight": rng.normal(0, 0.7, (classes, 8, 1, 1)).astype(half),
        "last.bias": rng.normal(0, 0.5, classes).astype(half),
    }
    rows: list[End] = [
        *([("Cast", {"to": TensorProto.FLOAT}), ("Mul", {"constant": 1 / 255})] if kind == TensorProto.UINT8 else []),
        *([("Transpose", {"perm": [0, 3, 1, 2]})] if layout == "NHWC" else []),
        ("Conv", {"weights": "first", "strides": [stride] * 2, "pads": [pad] * 4}),
        ("Relu", {}),
        ("Conv", {"weights": "last"}),
        *([("Transpose", {"perm": [0, 2, 3, 1]})] if layout == "NHWC" else []),
        *ends,
    ]
    nodes, x = [], source
    for i, (operator, given) in enumerate(rows):
        attributes = dict(given)
        stem, constant = attributes.pop("weights", None), attributes.pop("constant", None)
        inputs = [x, f"{stem}.weight", f"{stem}.bias"] if stem else [x]
        if constant is not None:
            inputs.append(f"constant{i}")
            weights[inputs[-1]] = np.asarray(constant, half)
        x = result if i == len(rows) - 1 else f"t{i}"
        nodes.append(helper.make_node(operator, inputs, [x], name=f"node{i}", **attributes))
    if shape is None:
        shape = ("n", channels, "h", "w") if layout == "NCHW" else ("n", "h", "w", channels)
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info(source, kind, shape)],
        [onnx.ValueInfoProto(name=result)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    reduced = [given for operator, given in ends if operator == "ArgMax"]
    element = TensorProto.INT64 if reduced else TensorProto.FLOAT if kind == TensorProto.UINT8 else kind
    element = next((given["to"] for operator, given in ends if operator == "Cast"), element)
    rank = 3 if any(given.get("keepdims") == 0 for given in reduced) else 4
    value = helper.make_tensor_value_info(result, element, [f"d{i}" for i in range(rank)])
    made.graph.output[0].CopyFrom(value)
    return bytes(made.SerializeToString())


def answer(data: bytes, picture: Array) -> Array:
    """The first output, from ONNX Runtime as it comes."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    value: Array = session.run(None, {session.get_inputs()[0].name: picture})[0]
    return value
