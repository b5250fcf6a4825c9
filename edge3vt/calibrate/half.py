"""Half precision: an FP32-typed graph becomes FP16-typed, for builders that take each tensor's type at its word."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge3vt.calibrate.flavour import LARGEST_HALF
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError
from edge3vt.core.spec import SOURCE_KEY

FLOAT_ONLY = {"Resize": 2, "Upsample": 1}
"""Operators, and which of their inputs the ONNX specification keeps in FP32: the scales."""


def halved(model_bytes: bytes) -> bytes:
    """The FP32 model FP16-typed, without pairs; it notes the hash of what it was made from. Raises ArtifactError."""
    model = onnx.load_from_string(model_bytes)
    to_half(model)
    model.metadata_props.add(key=SOURCE_KEY, value=sha256_bytes(model_bytes))
    return bytes(model.SerializeToString(deterministic=True))


def to_half(model: onnx.ModelProto) -> None:
    """Rewrite ``model`` in place; inputs and outputs keep their types, with a Cast at the edge.

    Raises ArtifactError for a constant that FP16 cannot hold; the bounds of Clip are cut instead.
    """
    graph = model.graph
    stays = {
        node.input[FLOAT_ONLY[node.op_type]]
        for node in graph.node
        if len(node.input) > FLOAT_ONLY.get(node.op_type, 99)
    }
    bounds = {name for node in graph.node if node.op_type == "Clip" for name in node.input[1:]}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in stays:
            _halve(tensor, cut=tensor.name in bounds, where=graph.name)
    for node in graph.node:
        for item in node.attribute:
            if node.op_type == "Cast" and item.name == "to" and item.i == TensorProto.FLOAT:
                item.i = TensorProto.FLOAT16
            if item.HasField("t") and item.t.data_type == TensorProto.FLOAT:
                _halve(item.t, cut=False, where=graph.name)
    _cast_edges(graph)
    del graph.value_info[:]


def _cast_edges(graph: onnx.GraphProto) -> None:
    """Inputs and outputs in FP32 get a Cast; inside, their names end in ``.half``."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [v.name for v in graph.input if _is_float(v) and v.name not in constants]
    outputs = [v.name for v in graph.output if _is_float(v)]
    inner = {name: f"{name}.half" for name in (*inputs, *outputs)}
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = inner.get(name, name)
    nodes = list(graph.node)
    first = [helper.make_node("Cast", [n], [inner[n]], name=f"{n}.to_half", to=TensorProto.FLOAT16) for n in inputs]
    last = [helper.make_node("Cast", [inner[n]], [n], name=f"{n}.to_float", to=TensorProto.FLOAT) for n in outputs]
    del graph.node[:]
    graph.node.extend([*first, *nodes, *last])


def _halve(tensor: TensorProto, *, cut: bool, where: str) -> None:
    value = numpy_helper.to_array(tensor)
    if cut:
        value = np.clip(value, -LARGEST_HALF, LARGEST_HALF)
    largest = float(np.abs(value).max(initial=0))
    if not largest <= LARGEST_HALF:
        raise ArtifactError(
            f"{where}: constant {tensor.name or 'of a node'} holds {largest:g}, FP16 ends at {LARGEST_HALF:g}; "
            "scale the layer down and export again, or take the flavour tensorrt-fp32"
        )
    tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), tensor.name))


def _is_float(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.tensor_type.elem_type == TensorProto.FLOAT)
