"""A network of somebody else's, made plain: limits first, then float32, one input of fixed size, constants folded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

from edge3vt.core.documents import suggestion
from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.core.spec import METADATA_KEY
from edge3vt.engine.model import MAX_BYTES, MAX_DIM, dangers

Array = NDArray[Any]
Layout = Literal["NCHW", "NHWC"]
OPSET = 17
"""The last that TensorRT 8.6 reads."""
MIN_OPSET = 13  # the first with scales per channel, which quantisation needs
DEFAULT_PX = 256
KINDS: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.FLOAT16: np.dtype(np.float16),
    TensorProto.UINT8: np.dtype(np.uint8),
}
PREFIX = "net."
"""Before every name of the network, so that none is one of the contract's."""


@dataclass(frozen=True, slots=True)
class Input:
    """How the network wants its picture; kind: its NumPy type."""

    name: str
    kind: np.dtype[Any]
    layout: Layout
    channels: int
    size: int

    @property
    def shape(self) -> tuple[int, ...]:
        plane = (self.size, self.size)
        return (1, self.channels, *plane) if self.layout == "NCHW" else (1, *plane, self.channels)


def read_foreign(data: bytes) -> onnx.ModelProto:
    """The network, if it is harmless. Raises ArtifactError for what ``read_model`` refuses before the contract."""
    remedy = "export it again as one file of standard operators"
    if len(data) > MAX_BYTES:
        raise ArtifactError(f"larger than {MAX_BYTES >> 20} MiB; this is no model for a cart")
    try:
        net = onnx.load_from_string(data)
    except Exception as error:  # protobuf's DecodeError, whose package ships no types
        raise ArtifactError(f"not an ONNX model (it cannot be parsed); {remedy}") from error
    if any(entry.key == METADATA_KEY for entry in net.metadata_props):
        raise ArtifactError("is in the engine contract already; use it as it is")
    if not all(isinstance(text, str) for text in _texts(net)):
        raise ArtifactError(f"a name in it is no Unicode, it is damaged; {remedy}")
    for value in (*net.graph.input, *net.graph.output, *net.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value < 0:  # some exporters write -1 for a size that is open
                dim.Clear()
    for problem in dangers(net):
        raise ArtifactError(f"{problem}; {remedy}")
    try:
        onnx.checker.check_model(net)
    except (onnx.checker.ValidationError, UnicodeDecodeError) as error:
        raise ArtifactError(f"not a valid ONNX model ({_line(error)}); {remedy}") from error
    _drop_remarks(net)
    constants = {tensor.name for tensor in net.graph.initializer}
    inputs = [value for value in net.graph.input if value.name not in constants]
    _replace(net.graph.input, inputs)
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise ArtifactError(f"its inputs are {names}, expected the picture alone; export it with one input")
    net.ir_version = max(net.ir_version, 8)  # the first versions counted initialisers among the inputs
    return net


def input_of(net: onnx.ModelProto, layout: Layout, channels: int | None, size: int | None) -> Input:
    """The input, with what the graph leaves open filled in. Raises ArtifactError where graph and words disagree."""
    value = net.graph.input[0]
    tensor = value.type.tensor_type
    kind = KINDS.get(tensor.elem_type)
    if kind is None:
        known = tensor.elem_type in TensorProto.DataType.values()
        found = TensorProto.DataType.Name(tensor.elem_type) if known else f"of type {tensor.elem_type}"
        raise ArtifactError(f"input {value.name} is {found}, expected FLOAT, FLOAT16 or UINT8; export it again")
    dims = [d.dim_value for d in tensor.shape.dim]
    shown = f"input {value.name} is {_shown(tensor.shape)}"
    if len(dims) != 4:
        raise ArtifactError(f"{shown}, expected 4 dimensions, {layout}; export it for pictures")
    batch, depth, height, width = dims if layout == "NCHW" else (dims[0], dims[3], dims[1], dims[2])
    if batch > 1:
        raise ArtifactError(f"{shown}: {batch} pictures at once; export it for one, or any number")
    other = dims[3] if layout == "NCHW" else dims[1]
    if depth not in (1, 3) and other in (1, 3):
        raise ArtifactError(f"{shown}, which is not {layout}; add --layout {'NHWC' if layout == 'NCHW' else 'NCHW'}")
    if depth not in (0, 1, 3) or (depth and channels and depth != channels):
        raise ArtifactError(f"{shown}: {depth} channels, {channels or '1 or 3'} expected; give --channels as it has")
    if not depth and not channels:
        raise ConfigError(f"{shown}, which leaves the channels open; add --channels 1 or 3")
    fixed = {side for side in (height, width) if side}
    if len(fixed) > 1:
        raise ArtifactError(f"{shown}, expected a square; export it for squares, or any size")
    if fixed and size is not None and size not in fixed:
        raise ArtifactError(f"{shown}, --size {size} was given; its size is fixed: leave --size out")
    side = next(iter(fixed), DEFAULT_PX if size is None else size)
    if not 1 <= side <= MAX_DIM:
        raise ConfigError(f"--size {side}: expected 1 to {MAX_DIM}")
    return Input(value.name, kind, layout, depth or channels or 1, side)


def select(net: onnx.ModelProto, output: str) -> None:
    """Make a tensor the only output, and drop what it does not need. Raises ConfigError for an unknown name."""
    names = [value.name for value in net.graph.output]
    if output not in names and output not in {name for node in net.graph.node for name in node.output}:
        raise ConfigError(f"no tensor '{output}' in the network{suggestion(output, names)}")
    kept = [value for value in net.graph.output if value.name == output] or [onnx.ValueInfoProto(name=output)]
    _replace(net.graph.output, kept)
    needed, nodes = {output}, []
    for node in reversed(net.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    _replace(net.graph.node, nodes[::-1])
    _replace(net.graph.initializer, [tensor for tensor in net.graph.initializer if tensor.name in needed])


def plain(net: onnx.ModelProto, wanted: Input) -> onnx.ModelProto:
    """The network in float32, for one picture of one size, names under PREFIX, constants folded, opset 13 or later.

    OPSET where the network can be converted to it. Raises ArtifactError for what cannot be made so.
    """
    net = _copy(net)
    value = net.graph.input[0]
    value.type.CopyFrom(helper.make_tensor_type_proto(value.type.tensor_type.elem_type, wanted.shape))
    _forget_shapes(net)
    _to_float32(net)
    return compose.add_prefix(_converted(fold(net)), PREFIX)


def fold(net: onnx.ModelProto) -> onnx.ModelProto:
    """The network as ONNX Runtime simplifies it on standard operators alone. Raises ArtifactError if it cannot."""
    options = _options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        _open(net, options)
        folded = onnx.load_from_string(path.read_bytes())
    _replace(folded.opset_import, [entry for entry in folded.opset_import if entry.domain in ("", "ai.onnx")])
    _drop_remarks(folded)
    return folded


def run(net: onnx.ModelProto, pictures: list[Array]) -> list[dict[str, Array]]:
    """All outputs by name, for each picture. Raises ArtifactError where ONNX Runtime cannot run it."""
    session = _open(net, _options())
    names = [output.name for output in session.get_outputs()]
    source = net.graph.input[0].name
    try:
        return [dict(zip(names, session.run(names, {source: picture}), strict=True)) for picture in pictures]
    except Exception as error:  # the exceptions of ONNX Runtime share no base class
        shape = " x ".join(map(str, pictures[0].shape))
        raise ArtifactError(f"ONNX Runtime fails on {shape} ({_line(error)}); try another --size") from error


def is_half(net: onnx.ModelProto) -> bool:
    """Whether any of it is in half precision."""
    attributes = [attribute for node in net.graph.node for attribute in node.attribute]
    kinds = {tensor.data_type for tensor in net.graph.initializer}
    kinds |= {attribute.t.data_type for attribute in attributes if attribute.HasField("t")}
    kinds |= {attribute.i for attribute in attributes if attribute.name == "to"}  # of a Cast
    return TensorProto.FLOAT16 in kinds | {value.type.tensor_type.elem_type for value in net.graph.input}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _open(net: onnx.ModelProto, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(net.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # likewise
        raise ArtifactError(
            f"ONNX Runtime {ort.__version__} cannot open it ({_line(error)}); export it again"
        ) from error


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return options


def _converted(net: onnx.ModelProto) -> onnx.ModelProto:
    """The network in OPSET, or in its own where that cannot be and is late enough."""
    own = max(entry.version for entry in net.opset_import)
    if own == OPSET:
        return net
    try:
        converted = version_converter.convert_version(net, OPSET)
        for node in converted.graph.node:  # the converter leaves what came with opset 18
            if node.op_type.startswith("Reduce"):
                _replace(node.attribute, [a for a in node.attribute if a.name != "noop_with_empty_axes"])
        _forget_shapes(converted)
        return fold(converted)
    except Exception as error:  # the converter throws RuntimeError and its own kinds of it
        if own >= MIN_OPSET:
            return net
        raise ArtifactError(
            f"opset {own} cannot be converted to {OPSET} ({_line(error)}); export it in opset {MIN_OPSET} to {OPSET}"
        ) from error


def _to_float32(net: onnx.ModelProto) -> None:
    """Half precision becomes single: constants, casts and what the graph says of its tensors."""
    half, single = TensorProto.FLOAT16, TensorProto.FLOAT
    for node in net.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _widen(attribute.t)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == half:
                attribute.i = single
    for tensor in net.graph.initializer:
        _widen(tensor)
    for value in (*net.graph.input, *net.graph.output):
        if value.type.tensor_type.elem_type == half:
            value.type.tensor_type.elem_type = single


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))


def _texts(net: onnx.ModelProto) -> Iterator[object]:
    """All names; protobuf gives bytes for those that are no Unicode."""
    graph = net.graph
    yield from (entry.domain for entry in net.opset_import)
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _forget_shapes(net: onnx.ModelProto) -> None:
    """Of everything but the input: they were told for other sizes."""
    del net.graph.value_info[:]
    for value in net.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")


def _drop_remarks(net: onnx.ModelProto) -> None:
    """Exporters note file names and stack traces of whoever exported."""
    for part in (net, net.graph, *net.graph.node, *net.graph.input, *net.graph.output, *net.graph.initializer):
        part.ClearField("doc_string")
        if "metadata_props" in part.DESCRIPTOR.fields_by_name:
            part.ClearField("metadata_props")


def _copy(net: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(net)
    return copy


def _replace(field: Any, kept: list[Any]) -> None:
    copies = [type(entry).FromString(entry.SerializeToString()) for entry in kept]
    del field[:]
    field.extend(copies)


def _shown(shape: onnx.TensorShapeProto) -> str:
    return "(" + ", ".join(str(d.dim_value) if d.dim_value else d.dim_param or "?" for d in shape.dim) + ")"
