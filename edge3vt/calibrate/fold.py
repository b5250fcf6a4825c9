"""Folding: what is constant becomes a constant, and batch normalisation goes into the weights before it."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edge3vt.calibrate.wiring import Wiring, attribute

EPSILON = 1e-5  # BatchNormalization's own default


def fold(graph: onnx.GraphProto) -> None:
    """Rewrite ``graph`` in place; every tensor that stays keeps its name, so that calibration tables stay valid.

    A scale that followed the convolution would need a pair of its own, or run in floats: quantisation comes after.
    """
    _constants(graph)
    _normalisations(graph)


def _constants(graph: onnx.GraphProto) -> None:
    """Constant nodes, and Identity of a constant, become initialisers."""
    known = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        value = next((a.t for a in node.attribute if a.name == "value" and a.HasField("t")), None)
        if node.op_type == "Identity" and node.input[0] in known:
            value = known[node.input[0]]
        elif node.op_type != "Constant":
            value = None
        if value is None or node.output[0] in {output.name for output in graph.output}:
            kept.append(node)
            continue
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value)
        tensor.name = node.output[0]
        known[tensor.name] = tensor
        graph.initializer.append(tensor)
    if len(kept) < len(graph.node):
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
        del graph.node[:]
        graph.node.extend(nodes)


def _normalisations(graph: onnx.GraphProto) -> None:
    wiring = Wiring(graph)
    for node in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        layer = wiring.maker(node.input[0])
        if layer is None or not _foldable(layer, node, wiring):
            continue
        scale, shift, mean, variance = (_value(wiring, name) for name in node.input[1:5])
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), EPSILON)
        factor = scale / np.sqrt(variance + epsilon)
        weight = _value(wiring, layer.input[1])
        shape = [1] * weight.ndim
        shape[0 if layer.op_type == "Conv" else 1] = -1
        bias = _value(wiring, layer.input[2]) if len(layer.input) > 2 and layer.input[2] else np.zeros_like(mean)
        made = layer.output[0]
        values = {"weight": weight * factor.reshape(shape), "bias": (bias - mean) * factor + shift}
        names = [f"{made}.folded.{part}" for part in values]
        graph.initializer.extend(
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in zip(names, values.values(), strict=True)
        )
        inputs = [layer.input[0], *names]
        del layer.input[:]
        layer.input.extend(inputs)
        layer.output[0] = node.output[0]
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    if len(kept) < len(graph.initializer):
        tensors = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
        del graph.initializer[:]
        graph.initializer.extend(tensors)


def _foldable(layer: onnx.NodeProto, node: onnx.NodeProto, wiring: Wiring) -> bool:
    """Whether ``layer`` feeds nothing but this normalisation, and all that is multiplied is constant."""
    constant = all(name in wiring.constants for name in (*layer.input[1:], *node.input[1:5]) if name)
    alone = len(wiring.takers[node.input[0]]) == 1 and node.input[0] not in wiring.outputs
    plain = layer.op_type == "Conv" or (layer.op_type == "ConvTranspose" and attribute(layer, "group", 1) == 1)
    return constant and alone and plain and not attribute(node, "training_mode") and len(node.output) == 1


def _value(wiring: Wiring, name: str) -> NDArray[np.float64]:
    return numpy_helper.to_array(wiring.constants[name]).astype(np.float64)
