"""Explicit quantisation: QuantizeLinear and DequantizeLinear written into a model from its calibration table.

Flavour "cpu": activations uint8 per tensor, zero point 0 where nothing is negative; weights int8, symmetric, per
output channel; biases float. Q/DQ stands on what enters Conv, Add, Resize and GlobalAveragePool and never between
Conv and Relu: so ONNX Runtime fuses QLinearConv and QLinearAdd, and OpenVINO keeps 8 bits from the stem to the
logits. Signed activations would run 1.6-2 times slower on ONNX Runtime.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edge3vt.calibrate.table import CalibrationTable, TensorRange, refuse_foreign
from edge3vt.core.errors import ArtifactError
from edge3vt.core.spec import SOURCE_KEY, TABLE_KEY

Flavour = Literal["cpu"]
ACTIVATIONS = {"Conv": 1, "Add": 2, "Resize": 1, "GlobalAveragePool": 1}
"""Quantised operators, and how many of their first inputs are activations."""
MIN_OPSET = 13  # the first with scales per channel


def insert(model_bytes: bytes, table: CalibrationTable, flavour: Flavour = "cpu") -> bytes:
    """The FP32 model with Q/DQ from ``table``; it notes the hashes of both. The same bytes for the same inputs.

    Raises ArtifactError for a table of another model, and for a model that cannot be quantised.
    """
    if flavour != "cpu":
        raise ValueError(f"flavour {flavour!r}; expected 'cpu'")
    refuse_foreign(table, model_bytes)
    model = onnx.load_from_string(model_bytes)
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if opset < MIN_OPSET:
        raise ArtifactError(f"{table.model}: opset {opset}, quantisation needs {MIN_OPSET} or later; export it again")
    _Quantiser(model.graph, table).rewrite()
    for key, value in ((SOURCE_KEY, table.model_sha256), (TABLE_KEY, table.sha256)):
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


class _Quantiser:
    """One graph being rewritten: each quantised tensor gets one Q/DQ pair, before its first consumer."""

    def __init__(self, graph: onnx.GraphProto, table: CalibrationTable) -> None:
        self._graph = graph
        self._table = table
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._moved = {node.output[0]: node.input[0] for node in graph.node if _nearest(node)}
        self._nodes: list[onnx.NodeProto] = []
        self._done: dict[str, str] = {}

    def rewrite(self) -> None:
        for node in list(self._graph.node):
            activations = list(node.input)[: ACTIVATIONS.get(node.op_type, 0)]
            if not any(name in self._constants for name in activations):
                for i, name in enumerate(activations):
                    node.input[i] = self._activation(name)
                if node.op_type == "Conv":
                    node.input[1] = self._weight(node)
            self._nodes.append(node)
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for name, tensor in self._constants.items() if name in used]
        del self._graph.node[:], self._graph.initializer[:]
        self._graph.node.extend(self._nodes)
        self._graph.initializer.extend(kept)

    def _activation(self, name: str) -> str:
        if name not in self._done:
            scale, zero = activation_scale(self._range(name))
            inputs = [name, self._constant(f"{name}.scale", scale), self._constant(f"{name}.zero", zero)]
            self._nodes.append(helper.make_node("QuantizeLinear", inputs, [f"{name}.q"], name=f"{name}.q"))
            self._done[name] = self._dequantise(name, f"{name}.q")
        return self._done[name]

    def _weight(self, node: onnx.NodeProto) -> str:
        name = node.input[1]
        if name not in self._done:
            if name not in self._constants:
                raise ArtifactError(f"{self._table.model}: {node.name} has computed weights; fold constants and export")
            scale, values = quantised_weight(numpy_helper.to_array(self._constants[name]))
            self._constant(f"{name}.q", values)
            self._constant(f"{name}.scale", scale)
            self._constant(f"{name}.zero", np.zeros(len(scale), np.int8))
            self._done[name] = self._dequantise(name, f"{name}.q", axis=0)
        return self._done[name]

    def _dequantise(self, name: str, quantised: str, axis: int | None = None) -> str:
        inputs = [quantised, f"{name}.scale", f"{name}.zero"]
        output = f"{name}.dq"
        self._nodes.append(helper.make_node("DequantizeLinear", inputs, [output], name=output, axis=axis))
        return output

    def _range(self, name: str) -> TensorRange:
        """The tensor's range; a nearest Resize only moves values, so both its ends share one scale."""
        while name in self._moved:
            name = self._moved[name]
        if name not in self._table.ranges:
            raise ArtifactError(f"the calibration table lacks tensor {name} of {self._table.model}; calibrate again")
        return self._table.ranges[name]

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self._constants[name] = numpy_helper.from_array(value, name)
        return name


def activation_scale(span: TensorRange) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Scale and zero point of uint8 over ``span`` widened to hold 0, which is always exact."""
    low, high = min(span.min, 0.0), max(span.max, 0.0)
    scale = np.float32((high - low) / 255) or np.float32(1.0)
    return np.asarray(scale), np.asarray(np.clip(np.round(-low / scale), 0, 255), dtype=np.uint8)


def quantised_weight(weight: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """(O,) scales and (O, I, kH, kW) int8 values in [-127, 127] of a convolution's weight."""
    largest = np.abs(weight).max(axis=(1, 2, 3))
    scale = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
    values = np.clip(np.round(weight / scale[:, None, None, None]), -127, 127)
    return scale, values.astype(np.int8)


def _nearest(node: onnx.NodeProto) -> bool:
    modes = [helper.get_attribute_value(a) for a in node.attribute if a.name == "mode"]
    return node.op_type == "Resize" and modes in ([], [b"nearest"])
