"""Reading an ONNX file: limits first, then the engine contract, before any runtime sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.documents import parse_json
from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.core.spec import INPUT, LOGITS, METADATA_KEY, SOURCE_KEY, TABLE_KEY, VIEW, WEIGHTS_KEY, ModelSpec

MAX_BYTES = 200 << 20
MAX_NODES = 5_000
MAX_DIM = 8_192
DOMAINS = ("", "ai.onnx")
_REMEDY = "export it again, or adopt it"


@dataclass(frozen=True, slots=True)
class Model:
    """ONNX bytes that keep the engine contract. A quantised model names its FP32 source and its table, an exported one
    the weights that it was made from."""

    data: bytes
    spec: ModelSpec
    source_sha256: str | None
    table_sha256: str | None
    weights_sha256: str | None = None

    @property
    def sha256(self) -> str:
        return sha256_bytes(self.data)


def read_model(source: Path | bytes) -> Model:
    """The model in a file or in bytes. Raises ArtifactError for anything but a harmless model in the contract.

    Refused: external data, custom domains, functions, subgraphs, more than MAX_BYTES, MAX_NODES or MAX_DIM, a
    missing ModelSpec, inputs and outputs other than the spec says.
    """
    where, data = (str(source), read_bytes(source)) if isinstance(source, Path) else ("the model", source)
    if not data:
        raise ArtifactError(f"{where}: the file is empty (0 bytes), expected an ONNX model; {_REMEDY}")
    if len(data) > MAX_BYTES:
        raise ArtifactError(f"{where}: larger than {MAX_BYTES >> 20} MiB; this is no model for a cart")
    try:
        proto = onnx.load_from_string(data)
    except Exception as error:  # protobuf's DecodeError, whose package ships no types
        raise ArtifactError(f"{where}: not an ONNX model (it cannot be parsed); {_REMEDY}") from error
    for problem in dangers(proto):
        raise ArtifactError(f"{where}: {problem}; {_REMEDY}")
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        line = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{where}: not a valid ONNX model ({line}); {_REMEDY}") from error
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    if METADATA_KEY not in properties:
        raise ArtifactError(
            f"{where}: no '{METADATA_KEY}' in the model's metadata, so nobody knows what it is; {_REMEDY}"
        )
    try:
        spec = parse_json(ModelSpec, properties[METADATA_KEY], where=f"{where}: {METADATA_KEY}")
    except ConfigError as error:
        raise ArtifactError(str(error)) from error
    for problem in _differences(proto.graph, spec):
        raise ArtifactError(f"{where}: {problem}, as its spec says; {_REMEDY}")
    return Model(data, spec, *map(properties.get, (SOURCE_KEY, TABLE_KEY, WEIGHTS_KEY)))


def read_bytes(path: Path) -> bytes:
    """The bytes of a file that may hold a network. Raises ArtifactError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ArtifactError(f"{path}: larger than {MAX_BYTES >> 20} MiB; this is no model for a cart")
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error


def dangers(proto: onnx.ModelProto) -> Iterator[str]:
    """What must not reach a checker or a runtime."""
    graph = proto.graph
    if len(graph.node) > MAX_NODES:
        yield f"{len(graph.node)} nodes, at most {MAX_NODES} are read"
    if proto.functions:
        yield f"holds the function {proto.functions[0].name}, functions are not read"
    if proto.training_info:
        yield "holds training information, only inference is read"
    for domain in (entry.domain for entry in (*proto.opset_import, *graph.node)):
        if domain not in DOMAINS:
            yield f"uses the operator domain {domain}, only the standard one is read"
    tensors = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                yield f"node {node.name or node.op_type} holds a subgraph, control flow is not read"
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                yield f"node {node.name or node.op_type} holds a sparse tensor, these are not read"
            tensors.extend([attribute.t] if attribute.HasField("t") else [])
            tensors.extend(attribute.tensors)
    if graph.sparse_initializer:
        yield "holds sparse tensors, these are not read"
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            yield f"tensor {tensor.name} lies in another file, external data is not read"
        if any(not 0 <= size <= MAX_DIM for size in tensor.dims):
            yield f"tensor {tensor.name} is {list(tensor.dims)}, at most {MAX_DIM} a dimension are read"
    for value in (*graph.input, *graph.output, *graph.value_info):
        if any(not 0 <= dim.dim_value <= MAX_DIM for dim in value.type.tensor_type.shape.dim):
            yield f"tensor {value.name} has a dimension beyond {MAX_DIM}"


def _differences(graph: onnx.GraphProto, spec: ModelSpec) -> Iterator[str]:
    """Where inputs and outputs are not what ``spec`` says."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    expected_outputs: dict[str, tuple[int, tuple[int, ...]]] = {LOGITS: (TensorProto.FLOAT, spec.logits_shape)}
    if spec.has_view:
        expected_outputs[VIEW] = (TensorProto.FLOAT, (1, 1))
    for kind, values, expected in (
        ("inputs", inputs, {INPUT: (TensorProto.UINT8, spec.input_shape)}),
        ("outputs", list(graph.output), expected_outputs),
    ):
        names = [value.name for value in values]
        if sorted(names) != sorted(expected):
            yield f"its {kind} are {', '.join(names) or 'none'}, expected {', '.join(expected)}"
            continue
        for value in values:
            kind_found, shape = value.type.tensor_type.elem_type, _shape(value)
            kind_expected, shape_expected = expected[value.name]
            if (kind_found, shape) != (kind_expected, shape_expected):
                yield (
                    f"{value.name} is {TensorProto.DataType.Name(kind_found)} {shape}, "
                    f"expected {TensorProto.DataType.Name(kind_expected)} {shape_expected}"
                )


def _shape(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param for d in value.type.tensor_type.shape.dim)
