"""Who makes and who takes each tensor of an ONNX graph."""

from __future__ import annotations

import onnx
from onnx import helper

MOVES = frozenset({"DepthToSpace", "Flatten", "Reshape", "Resize", "Slice", "SpaceToDepth", "Transpose"})
"""Operators that move values, or mix neighbours, and change no range."""


class Wiring:
    """A view of one graph as it was when this was made: later changes of the graph are not seen."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}
        self.makers: dict[str, onnx.NodeProto] = {}
        self.takers: dict[str, list[onnx.NodeProto]] = {}
        self._order: dict[str, int] = {}
        for index, node in enumerate(graph.node):
            for name in node.output:
                self.makers[name] = node
                self._order[name] = index
            for name in node.input:
                self.takers.setdefault(name, []).append(node)

    def maker(self, name: str) -> onnx.NodeProto | None:
        return self.makers.get(name)

    def through_moves(self, name: str) -> onnx.NodeProto | None:
        """The node that computed what ``name`` holds, before it was only moved."""
        node = self.makers.get(name)
        while node is not None and node.op_type in MOVES:
            node = self.makers.get(node.input[0])
        return node

    def skip_input(self, node: onnx.NodeProto) -> int | None:
        """Which input of an addition is the skip: the one that the convolution just before it did not make.

        The later of two convolutions is the main branch. None where no convolution runs straight into the addition,
        or where it adds a constant.
        """
        if any(name in self.constants for name in node.input):
            return None
        makers = [self.through_moves(name) for name in node.input]
        born = [
            self._order[maker.output[0]] if maker is not None and maker.op_type in ("Conv", "ConvTranspose") else -1
            for maker in makers
        ]
        if len(born) != 2 or max(born) < 0 or born[0] == born[1]:
            return None
        return 0 if born[0] < born[1] else 1


def layer_name(node: onnx.NodeProto) -> str:
    """A node's name, or, where it has none, that of its output."""
    return str(node.name or next(iter(node.output), node.op_type))


def attribute(node: onnx.NodeProto, name: str, default: int = 0) -> int:
    """An integer attribute of a node."""
    return next((int(a.i) for a in node.attribute if a.name == name), default)


def text_attribute(node: onnx.NodeProto, name: str, default: str) -> str:
    """A string attribute of a node."""
    return next((str(helper.get_attribute_value(a).decode()) for a in node.attribute if a.name == name), default)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators that a model uses; 0 where it names none."""
    return max((int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
