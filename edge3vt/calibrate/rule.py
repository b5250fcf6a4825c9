"""What a rule of the linter is, what it is told about a model, and for which targets it speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edge3vt.calibrate.wiring import Wiring, layer_name, opset_of
from edge3vt.core.errors import ArtifactError

TargetName = Literal[
    "tensorrt-8.6", "tensorrt-10.3", "tensorrt-10.13", "tensorrt-10.16", "tensorrt-11.4", "onnxruntime", "openvino"
]
TARGETS: tuple[TargetName, ...] = get_args(TargetName)
Runtime = Literal["tensorrt", "onnxruntime", "openvino"]
EVERY: tuple[Runtime, ...] = get_args(Runtime)
Severity = Literal["error", "warning"]
Problems = Iterator[tuple[onnx.NodeProto | None, str]]
"""Each node that breaks a rule, None for the model as a whole, and what was found there."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model under test. kinds, shapes: of the tensors where they are known; an unknown dimension is 0."""

    model: onnx.ModelProto
    wiring: Wiring
    kinds: dict[str, int]
    shapes: dict[str, tuple[int, ...]]

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        return list(self.model.graph.node)

    @property
    def opset(self) -> int:
        return opset_of(self.model)

    def constant(self, name: str) -> NDArray[np.generic] | None:
        tensor = self.wiring.constants.get(name)
        try:
            return None if tensor is None else numpy_helper.to_array(tensor)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"tensor {name} does not hold what its shape says; export the model again") from error

    def dequantised(self, name: str) -> bool:
        maker = self.wiring.maker(name)
        return maker is not None and maker.op_type == "DequantizeLinear"

    def stored_kind(self, node: onnx.NodeProto) -> int:
        """In which type QuantizeLinear or DequantizeLinear stores its values: that of its zero point, else uint8."""
        names = list(node.input)
        if len(names) > 2 and names[2]:
            return self.kinds.get(names[2], TensorProto.UNDEFINED)
        if node.op_type == "DequantizeLinear":
            return self.kinds.get(names[0], TensorProto.UNDEFINED)
        return next((int(a.i) for a in node.attribute if a.name == "output_dtype" and a.i), TensorProto.UINT8)


@dataclass(frozen=True, slots=True)
class Rule:
    """severity "error": the target rejects it or computes something else; "warning": it runs, but badly.

    since: the first version of TensorRT that it speaks of. source: where the rule is from.
    """

    id: str
    severity: Severity
    runtimes: tuple[Runtime, ...]
    why: str
    remedy: str
    source: str
    find: Callable[[Subject, TargetName], Problems]
    since: tuple[int, int] = (0, 0)

    def speaks_of(self, target: TargetName) -> bool:
        return runtime_of(target) in self.runtimes and version_of(target) >= self.since


def runtime_of(target: TargetName) -> Runtime:
    return next(runtime for runtime in EVERY if target.startswith(runtime))


def version_of(target: TargetName) -> tuple[int, int]:
    """Of a TensorRT; (0, 0) for the runtimes that are judged without one."""
    _, _, version = target.partition("-")
    major, _, minor = version.partition(".")
    return (int(major), int(minor)) if version else (0, 0)


def subject_of(model_bytes: bytes, where: str) -> Subject:
    """What rules are told of an ONNX model, also of one that no runtime would take; raises ArtifactError."""
    try:
        model = onnx.load_from_string(model_bytes)
    except Exception as error:  # protobuf's DecodeError, whose package ships no types
        raise ArtifactError(f"{where}: not an ONNX model (it cannot be parsed); export it again") from error
    if not model.graph.node:
        raise ArtifactError(f"{where}: the model holds no operators; export it again")
    for node in model.graph.node:
        if not _whole(node, opset_of(model)):
            raise ArtifactError(f"{where}: node {layer_name(node)} lacks inputs or outputs; export it again")
    try:
        inferred = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # a model with errors may well have no shapes; the rules go on with what it says itself
        inferred = model.graph
    kinds, shapes = {}, {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        kind = value.type.tensor_type
        kinds[value.name] = int(kind.elem_type)
        if kind.HasField("shape"):
            shapes[value.name] = tuple(int(dim.dim_value) for dim in kind.shape.dim)
    for tensor in model.graph.initializer:
        kinds[tensor.name], shapes[tensor.name] = int(tensor.data_type), tuple(int(size) for size in tensor.dims)
    return Subject(model, Wiring(model.graph), kinds, shapes)


def _whole(node: onnx.NodeProto, opset: int) -> bool:
    """Whether a node has as many inputs and outputs as its operator needs; of unknown operators, one output."""
    if not isinstance(node.op_type, str):  # protobuf gives bytes where a name is no UTF-8
        return False
    if node.domain in ("", "ai.onnx") and onnx.defs.has(node.op_type):
        try:
            schema = onnx.defs.get_schema(node.op_type, opset or 1)
        except onnx.defs.SchemaError:  # younger than the model's opset
            schema = onnx.defs.get_schema(node.op_type)
        return len(node.input) >= schema.min_input and len(node.output) >= max(schema.min_output, 1)
    return len(node.output) > 0
