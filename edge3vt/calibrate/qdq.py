"""Explicit quantisation: QuantizeLinear and DequantizeLinear written into a model from its calibration table.

Flavour "cpu": activations uint8 per tensor, zero point 0 where nothing is negative; weights int8, symmetric, per
output channel; biases float. Q/DQ stands on what enters Conv, Add, Concat, MaxPool, Resize and GlobalAveragePool and
never between Conv and Relu: so ONNX Runtime fuses QLinearConv and QLinearAdd, and OpenVINO keeps 8 bits from the stem
to the logits. Signed activations would run 1.6-2 times slower on ONNX Runtime.

Flavours "tensorrt-fp32" and "tensorrt-fp16": activations int8 and symmetric too. Q/DQ stands on what enters Conv,
ConvTranspose and Gemm, and on the skip input of a residual Add, so that the addition can run inside the convolution
(NVIDIA, TensorRT developer guide, "Q/DQ placement recommendations"). Outside of it the tensors have the type that the
flavour names; FP16 is what a strongly typed build needs, and its scales need opset 19.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge3vt.calibrate.flavour import LARGEST_HALF, MIN_OPSET, Flavour, Scheme, scheme_of
from edge3vt.calibrate.fold import fold
from edge3vt.calibrate.half import to_half
from edge3vt.calibrate.table import CalibrationTable, TensorRange, refuse_foreign
from edge3vt.calibrate.wiring import Wiring, attribute, layer_name, opset_of, text_attribute
from edge3vt.core.documents import suggestion
from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.core.spec import SOURCE_KEY, TABLE_KEY

BOUNDED = ("Concat", "MaxPool")
"""Operators whose output bounds what of their inputs matters."""
ScaleType = type[np.float32] | type[np.float16]
Scale = NDArray[np.float32] | NDArray[np.float16]


def insert(
    model_bytes: bytes, table: CalibrationTable, flavour: Flavour = "cpu", keep_float: Collection[str] = ()
) -> bytes:
    """The FP32 model with Q/DQ from ``table``; it notes the hashes of both. The same bytes for the same inputs.

    keep_float: names of layers that get none. Raises ArtifactError for a table of another model, and for a model that
    cannot be quantised; ConfigError for a name that is no layer of ``layers``.
    """
    scheme = scheme_of(flavour)
    refuse_foreign(table, model_bytes)
    model = _prepared(model_bytes, scheme, table.model)
    known = _layers(model.graph, scheme)
    for name in sorted(set(keep_float) - set(known)):
        raise ConfigError(f"{table.model}: no layer to keep in floats is named '{name}'{suggestion(name, known)}")
    _Quantiser(model.graph, table, scheme, frozenset(keep_float)).rewrite()
    if scheme.half:
        to_half(model)
    for key, value in ((SOURCE_KEY, table.model_sha256), (TABLE_KEY, table.sha256)):
        model.metadata_props.add(key=key, value=value)
    try:
        onnx.checker.check_model(model, full_check=scheme.signed)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        line = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{table.model}: cannot be written as {flavour} ({line}); export it again") from error
    return bytes(model.SerializeToString(deterministic=True))


def layers(model_bytes: bytes, flavour: Flavour = "cpu") -> tuple[str, ...]:
    """The layers that a flavour quantises, in the order of the graph: what ``keep_float`` may name."""
    scheme = scheme_of(flavour)
    return tuple(_layers(_prepared(model_bytes, scheme, "the model").graph, scheme))


def _prepared(model_bytes: bytes, scheme: Scheme, name: str) -> onnx.ModelProto:
    """The model, folded, at an opset that the scheme asks for."""
    try:
        model = onnx.load_from_string(model_bytes)
    except Exception as error:  # protobuf's DecodeError, whose package ships no types
        raise ArtifactError(f"{name}: not an ONNX model (it cannot be parsed); export it again") from error
    opset = opset_of(model)
    if opset < MIN_OPSET:
        raise ArtifactError(f"{name}: opset {opset}, quantisation needs {MIN_OPSET} or later; export it again")
    low, high = scheme.opsets
    wanted = max(low, min(opset, high or opset))
    if wanted != opset:
        try:
            model = onnx.version_converter.convert_version(model, wanted)
        except Exception as error:  # the converter raises whatever its C++ half does
            line = " ".join(str(error).split())[:200]
            raise ArtifactError(
                f"{name}: opset {opset} cannot be converted to {wanted} ({line}); export it with opset {wanted}"
            ) from error
        model.ir_version = max(model.ir_version, helper.find_min_ir_version_for(list(model.opset_import)))
    fold(model.graph)
    return model


def _layers(graph: onnx.GraphProto, scheme: Scheme) -> list[str]:
    wiring = Wiring(graph)
    return [layer_name(node) for node in graph.node if _activations(node, scheme, wiring)]


def _activations(node: onnx.NodeProto, scheme: Scheme, wiring: Wiring) -> list[int]:
    """Which inputs of ``node`` the scheme quantises as activations."""
    count = scheme.activations.get(node.op_type, 0)
    indices = list(range(min(count, len(node.input))))
    if node.op_type == "Add" and count == 1:
        skip = wiring.skip_input(node)
        indices = [] if skip is None else [skip]
    if any(node.input[i] in wiring.constants for i in indices):
        return []
    if node.op_type == "Gemm" and node.input[1] not in wiring.constants:
        return []
    return indices


class _Quantiser:
    """One graph being rewritten: each quantised tensor gets one Q/DQ pair, before its first consumer."""

    def __init__(
        self, graph: onnx.GraphProto, table: CalibrationTable, scheme: Scheme, keep_float: frozenset[str]
    ) -> None:
        self._graph = graph
        self._table = table
        self._scheme = scheme
        self._keep_float = keep_float
        self._scales: ScaleType = np.float16 if scheme.half else np.float32
        self._wiring = Wiring(graph)
        self._constants = dict(self._wiring.constants)
        self._moved = {node.output[0]: node.input[0] for node in graph.node if _moves(node)}
        self._nodes: list[onnx.NodeProto] = []
        self._done: dict[str, str] = {}

    def rewrite(self) -> None:
        for node in list(self._graph.node):
            indices = _activations(node, self._scheme, self._wiring)
            if indices and layer_name(node) not in self._keep_float:
                for i in indices:
                    node.input[i] = self._activation(node.input[i], node)
                if node.op_type in self._scheme.weighted:
                    node.input[1] = self._weight(node)
            self._nodes.append(node)
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for name, tensor in self._constants.items() if name in used]
        del self._graph.node[:], self._graph.initializer[:]
        self._graph.node.extend(self._nodes)
        self._graph.initializer.extend(kept)

    def _activation(self, name: str, taker: onnx.NodeProto) -> str:
        if name not in self._done:
            span = self._range(name, taker)
            if span is None:
                return name
            scale, zero = symmetric_scale(span, self._scales) if self._scheme.signed else activation_scale(span)
            inputs = [name, self._constant(f"{name}.scale", scale), self._constant(f"{name}.zero", zero)]
            self._nodes.append(helper.make_node("QuantizeLinear", inputs, [f"{name}.q"], name=f"{name}.q"))
            self._done[name] = self._dequantise(name, f"{name}.q")
        return self._done[name]

    def _weight(self, node: onnx.NodeProto) -> str:
        name = node.input[1]
        if name not in self._done:
            if name not in self._constants:
                raise ArtifactError(f"{self._table.model}: {node.name} has computed weights; fold constants and export")
            axis = weight_axis(node)
            weight = numpy_helper.to_array(self._constants[name])
            scale, values = quantised_weight(weight, axis=axis, scales=self._scales)
            self._constant(f"{name}.q", values)
            self._constant(f"{name}.scale", scale)
            self._constant(f"{name}.zero", np.zeros(len(scale), np.int8))
            self._done[name] = self._dequantise(name, f"{name}.q", axis=axis)
        return self._done[name]

    def _dequantise(self, name: str, quantised: str, axis: int | None = None) -> str:
        inputs = [quantised, f"{name}.scale", f"{name}.zero"]
        output = f"{name}.dq"
        self._nodes.append(helper.make_node("DequantizeLinear", inputs, [output], name=output, axis=axis))
        return output

    def _range(self, name: str, taker: onnx.NodeProto) -> TensorRange | None:
        """The tensor's range; a nearest Resize and MaxPool only move values, so both their ends share one scale.

        What Concat joins and MaxPool chooses from is bounded by what they give; None where nothing is known of a
        tensor that could stay in floats.
        """
        source, bounded = name, taker.op_type in BOUNDED
        while source in self._moved:
            source = self._moved[source]
        known = self._table.ranges
        found = next((n for n in (source, name, taker.output[0] if bounded else "") if n in known), None)
        if found is None and bounded:
            return None
        if found is None:
            raise ArtifactError(f"the calibration table lacks tensor {name} of {self._table.model}; calibrate again")
        name = found
        span = self._table.ranges[name]
        if self._scheme.half and max(-span.min, span.max) > LARGEST_HALF:
            raise ArtifactError(
                f"{self._table.model}: tensor {name} reaches {max(-span.min, span.max):g}, FP16 ends at "
                f"{LARGEST_HALF:g}; scale the layer down and export again, or take the flavour tensorrt-fp32"
            )
        return span

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self._constants[name] = numpy_helper.from_array(value, name)
        return name


def activation_scale(span: TensorRange) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Scale and zero point of uint8 over ``span`` widened to hold 0, which is always exact."""
    low, high = min(span.min, 0.0), max(span.max, 0.0)
    scale = np.float32((high - low) / 255) or np.float32(1.0)
    return np.asarray(scale), np.asarray(np.clip(np.round(-low / scale), 0, 255), dtype=np.uint8)


def symmetric_scale(span: TensorRange, scales: ScaleType = np.float32) -> tuple[Scale, NDArray[np.int8]]:
    """Scale and zero point 0 of int8 over ``span``: 127 steps reach its larger end."""
    largest = np.array([max(-span.min, span.max)])
    return _stored(largest, scales)[0], np.zeros((), np.int8)


def quantised_weight(
    weight: NDArray[np.float32], axis: int = 0, scales: ScaleType = np.float32
) -> tuple[Scale, NDArray[np.int8]]:
    """A scale for each output channel, which lie along ``axis``, and int8 values in [-127, 127] of a weight."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scale = _stored(np.abs(weight).max(axis=others), scales)
    steps = np.expand_dims(scale.astype(np.float32), others)
    return scale, np.clip(np.round(weight / steps), -127, 127).astype(np.int8)


def weight_axis(node: onnx.NodeProto) -> int:
    """Along which axis the output channels of a layer's weight lie."""
    match node.op_type:
        case "ConvTranspose":
            return 1
        case "Gemm":
            return 0 if attribute(node, "transB") else 1
    return 0


def _stored(largest: NDArray[np.floating], scales: ScaleType) -> Scale:
    """Scales of 127 steps to ``largest``, never 0; those in FP16 are rounded up, so that nothing is cut off."""
    scale = np.where(largest > 0, largest / 127, 1.0).astype(scales)
    scale = np.maximum(scale, np.finfo(scales).smallest_subnormal)
    if scales is np.float16:
        short = scale.astype(np.float64) * 127 < largest
        scale = np.where(short, np.nextafter(scale, np.float16(np.inf)), scale)
    return np.asarray(scale)


def _moves(node: onnx.NodeProto) -> bool:
    return node.op_type == "MaxPool" or (
        node.op_type == "Resize" and text_attribute(node, "mode", "nearest") == "nearest"
    )
