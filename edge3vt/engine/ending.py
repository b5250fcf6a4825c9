"""The end of a foreign network: which output is the segmentation, where its classes stand, what was done to it last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import onnx

from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.engine.foreign import Array, Layout, select

Activation = Literal["none", "softmax", "sigmoid", "argmax"]
ENDINGS: dict[str, Activation] = {"Softmax": "softmax", "Sigmoid": "sigmoid", "ArgMax": "argmax"}
MOVES = ("Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators that may stand behind an ending: they move values and change none."""


@dataclass(frozen=True, slots=True)
class Output:
    """axis: of the classes, where there is one. fills: the background has no channel and gets one."""

    name: str
    rank: int
    axis: int
    fills: bool
    activation: Activation

    def in_planes(self, value: Array) -> Array:
        """The output as (1, channels, h, w)."""
        if value.ndim == 3:
            return value[:, None]
        return value.transpose(0, 3, 1, 2) if self.axis == 3 else value


def choose(outputs: dict[str, Array], classes: int, layout: Layout, activation: Activation | None) -> Output:
    """The one output that can be a segmentation. Raises ArtifactError for none, ConfigError for several."""
    read = {name: _by_shape(name, value, classes, layout, activation) for name, value in outputs.items()}
    fitting = [output for output in read.values() if isinstance(output, Output)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"{name} {value.shape}" for name, value in outputs.items())
    if fitting:
        raise ConfigError(f"several outputs may be meant: {listed}; choose one by --output")
    if len(outputs) > 1:
        raise ArtifactError(f"no output is a segmentation of {classes} classes: {listed}; name the classes as they are")
    raise ArtifactError(str(*read.values()))


def understood(
    graph: onnx.GraphProto, output: Output, values: list[Array], classes: int, activation: Activation | None
) -> Output:
    """The output with its activation, read off the graph and its values where nobody named it.

    Raises ArtifactError for values that are none, ConfigError where the activation remains unclear.
    """
    if not all(np.isfinite(value).all() for value in values):
        raise ArtifactError(f"output {output.name} holds NaN or infinity; check --mean, --std and --scale")
    if activation is None and output.activation == "none":
        output = replace(output, activation=_guess(graph, output, values, classes))
    if output.fills and classes > 2 and output.activation != "sigmoid":
        raise ArtifactError(
            f"output {output.name} has {classes - 1} channels, {classes} classes were named; name one for each channel"
        )
    return output


def peel(net: onnx.ModelProto, output: Output) -> Output:
    """Take the activation off the network's end, if an operator of it stands there; what comes out then."""
    node = _ending(net.graph, output.name)
    if node is None or ENDINGS[node.op_type] != output.activation:
        return output
    output = replace(output, activation="none")
    if node.op_type == "ArgMax":
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        output = replace(output, name=node.input[0], rank=4, axis=axis % 4)
        select(net, output.name)
        node = _ending(net.graph, output.name)
    if node is not None and node.op_type != "ArgMax":  # before an argmax it changes nothing either
        node.op_type = "Identity"
        del node.attribute[:]
    return output


def _ending(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    """The softmax, sigmoid or argmax that a tensor comes from."""
    makers: dict[str, onnx.NodeProto] = {made: node for node in graph.node for made in node.output}
    while (node := makers.get(name)) is not None:
        if node.op_type in ENDINGS:
            return node
        if node.op_type not in MOVES:
            return None
        name = node.input[0]
    return None


def _by_shape(name: str, value: Array, classes: int, layout: Layout, activation: Activation | None) -> Output | str:
    """An output by its shape alone, or why it is no segmentation."""
    shape = value.shape
    shown = f"output {name} is {shape}"
    if len(shape) not in (3, 4) or shape[0] != 1 or value.dtype.kind not in "fiu":
        return f"{shown} of {value.dtype}, expected numbers (1, {classes}, h, w); this is no segmentation network"
    indices = value.dtype.kind in "iu" or activation == "argmax"
    if len(shape) == 3:
        shape = (1, 1, *shape[1:])
    allowed = {1} if indices else {classes}
    if not indices and activation in ("sigmoid", None):
        allowed.add(classes - 1)  # the background without a channel
    elif classes == 2 and activation == "none":
        allowed.add(1)
    axes = (1, 3) if layout == "NCHW" or value.ndim == 3 else (3, 1)
    axis = next((axis for axis in axes if shape[axis] in allowed), None)
    if axis is None:
        return f"{shown}: {shape[axes[0]]} channels, {classes} classes were named; name one for each channel"
    fills = not indices and shape[axis] < classes
    return Output(name, value.ndim, axis, fills, "argmax" if indices else activation or "none")


def _guess(graph: onnx.GraphProto, output: Output, values: list[Array], classes: int) -> Activation:
    node = _ending(graph, output.name)
    if node is not None:
        return ENDINGS[node.op_type]
    if not all(value.min() >= 0 and value.max() <= 1 for value in values):
        return "none"
    if not output.fills:  # the largest wins in any case; what adds up to 1 are probabilities
        sums = (value.sum(axis=output.axis) for value in values)
        return "softmax" if all(np.allclose(total, 1, atol=1e-3) for total in sums) else "none"
    raise ConfigError(
        f"output {output.name} lies between 0 and 1, and no sigmoid or softmax ends it; say --activation sigmoid "
        "for probabilities, none for logits"
    )
