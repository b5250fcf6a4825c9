"""A model in the engine contract in another form: of another size, or with the normalisation left to the caller."""

from __future__ import annotations

from dataclasses import replace

import onnx
from onnx import TensorProto

from edge3vt.core.documents import to_json
from edge3vt.core.errors import ArtifactError
from edge3vt.core.spec import INPUT, LOGITS, METADATA_KEY, ModelSpec
from edge3vt.engine.model import read_model


def resized(model_bytes: bytes, size: int) -> bytes:
    """The same weights, and scales where it is quantised, for pictures of size x size px.

    Raises ArtifactError for a network whose layers do not fit that size.
    """
    proto, spec = _parsed(model_bytes)
    spec = replace(spec, height=size, width=size)
    for entry in proto.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = to_json(spec, indent=None).strip()
    for values, name, shape in (
        (proto.graph.input, INPUT, spec.input_shape),
        (proto.graph.output, LOGITS, spec.logits_shape),
    ):
        for value in values:
            if value.name == name:
                _reshape(value, shape)
    del proto.graph.value_info[:]
    data = bytes(proto.SerializeToString(deterministic=True))
    try:
        onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        line = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{spec.model_id}: does not fit {size} px ({line}); export its weights so") from error
    read_model(data)
    return data


def unnormalised(model_bytes: bytes) -> bytes:
    """The model as others export theirs: it takes float32 (1, 1, H, W), which the caller has normalised.

    No longer in the engine contract. Raises ArtifactError where it does not begin as ``edge3vt export`` writes it.
    """
    proto, spec = _parsed(model_bytes)
    head = proto.graph.node[:3]
    if [node.op_type for node in head] != ["Cast", "Sub", "Mul"] or head[0].input[0] != INPUT:
        raise ArtifactError(f"{spec.model_id}: does not begin with Cast, Sub, Mul of {INPUT}; take an exported student")
    name = head[2].output[0]
    del proto.graph.node[:3]
    read = {used for node in proto.graph.node for used in node.input}
    for tensor in [tensor for tensor in proto.graph.initializer if tensor.name not in read]:
        proto.graph.initializer.remove(tensor)
    value = next(value for value in proto.graph.input if value.name == INPUT)
    value.CopyFrom(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, spec.input_shape))
    return bytes(proto.SerializeToString(deterministic=True))


def _parsed(model_bytes: bytes) -> tuple[onnx.ModelProto, ModelSpec]:
    model = read_model(model_bytes)
    return onnx.load_from_string(model.data), model.spec


def _reshape(value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
    for dim, length in zip(value.type.tensor_type.shape.dim, shape, strict=True):
        dim.dim_value = length
