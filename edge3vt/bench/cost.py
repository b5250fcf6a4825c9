"""What a network costs, read off its graph: parameters and multiply-accumulates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx


@dataclass(frozen=True, slots=True)
class Cost:
    """Of convolutions and matrix products. params_m: millions of weights and biases. gmac: 1e9 multiply-accumulates."""

    params_m: float
    gmac: float


def cost(model: bytes) -> Cost:
    """The cost of an ONNX model of fixed shapes, quantised or not. Raises ValueError where a shape is not known."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model), data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        shapes.setdefault(value.name, tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim))
    learned = {tensor.name for tensor in graph.initializer}
    parameters: dict[str, int] = {}
    macs = 0
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in learned:
            learned.add(node.output[0])
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            continue
        x, weight, out = (_known(shapes, name) for name in (node.input[0], node.input[1], node.output[0]))
        match node.op_type:
            case "Conv":  # weight (O, I / groups, ...): each output is a sum over the rest of it
                macs += math.prod(out) * math.prod(weight[1:])
            case "ConvTranspose":  # weight (I, O / groups, ...): each input goes into the rest of it
                macs += math.prod(x) * math.prod(weight[1:])
            case "Gemm":
                macs += math.prod(out) * math.prod(weight) // out[-1]
            case "MatMul":
                macs += math.prod(out) * x[-1]
        parameters |= {name: math.prod(_known(shapes, name)) for name in node.input[1:] if name in learned}
    return Cost(sum(parameters.values()) / 1e6, macs / 1e9)


def _known(shapes: dict[str, tuple[int, ...]], name: str) -> tuple[int, ...]:
    shape = shapes.get(name)
    if shape is None or 0 in shape:
        raise ValueError(f"the shape of {name} is not known")
    return shape
