from __future__ import annotations

import numpy as np
import onnx
import pytest

from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.engine.ending import Output, choose, peel, understood
from edge3vt.engine.foreign import read_foreign
from tests.engine.foreign_nets import Array, End, net


def single(*shape: int, kind: type = np.float32) -> dict[str, Array]:
    return {"out": np.zeros(shape, kind)}


@pytest.mark.parametrize(
    ("outputs", "classes", "activation", "expected"),
    [
        (single(1, 3, 8, 8), 3, None, Output("out", 4, 1, False, "none")),
        (single(1, 8, 8, 3), 3, None, Output("out", 4, 3, False, "none")),  # TensorFlow behind an NCHW input
        (single(1, 1, 8, 8), 2, None, Output("out", 4, 1, True, "none")),
        (single(1, 8, 8), 2, None, Output("out", 3, 1, True, "none")),
        (single(1, 8, 8, kind=np.int64), 3, None, Output("out", 3, 1, False, "argmax")),
        (single(1, 1, 8, 8, kind=np.int32), 2, None, Output("out", 4, 1, False, "argmax")),
        (single(1, 8, 8), 5, "argmax", Output("out", 3, 1, False, "argmax")),
        (single(1, 2, 8, 8), 3, "sigmoid", Output("out", 4, 1, True, "sigmoid")),
        (single(1, 3, 3, 3), 3, None, Output("out", 4, 1, False, "none")),
        (single(1, 3, 8, 8) | {"kind": np.zeros((1, 3), np.float32)}, 3, None, Output("out", 4, 1, False, "none")),
    ],
)
def test_a_segmentation_is_known_by_its_shape(
    outputs: dict[str, Array], classes: int, activation: object, expected: Output
) -> None:
    assert choose(outputs, classes, "NCHW", activation) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outputs", "kind", "message"),
    [
        (single(1, 84, 8400), ArtifactError, r"output out is \(1, 84, 8400\): 1 channels, 3 classes were named"),
        (single(2, 3, 8, 8), ArtifactError, r"expected numbers \(1, 3, h, w\); this is no segmentation network"),
        (single(1, 3, 8, 8, kind=np.bool_), ArtifactError, "of bool, expected numbers"),
        (single(1, 8, 8, 8) | {"b": np.zeros((1, 4))}, ArtifactError, "no output is a segmentation of 3 classes: out"),
        (single(1, 3, 8, 8) | {"b": np.zeros((1, 3, 4, 4))}, ConfigError, "several outputs may be meant: out"),
    ],
)
def test_what_is_no_segmentation_is_told(outputs: dict[str, Array], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        choose(outputs, 3, "NCHW", None)


def test_channels_stand_where_the_layout_says_when_both_would_do() -> None:
    assert choose(single(1, 3, 3, 3), 3, "NHWC", None).axis == 3


@pytest.mark.parametrize(
    ("ends", "activation", "left", "axis"),
    [
        ([("Softmax", {"axis": 1}), ("Transpose", {"perm": [0, 2, 3, 1]})], "softmax", ["Identity", "Transpose"], 3),
        ([("Softmax", {"axis": 1}), ("ArgMax", {"axis": -3})], "argmax", ["Identity"], 1),
        ([("Sigmoid", {}), ("Neg", {})], "sigmoid", ["Sigmoid", "Neg"], 1),
        ([("Softmax", {"axis": 1})], "sigmoid", ["Softmax"], 1),
    ],
)
def test_only_the_activation_that_ends_a_network_is_peeled(
    ends: list[End], activation: str, left: list[str], axis: int
) -> None:
    proto = read_foreign(net(ends=ends))
    output = peel(proto, Output("output", 4, axis, False, activation))  # type: ignore[arg-type]
    assert [node.op_type for node in proto.graph.node][3:] == left
    assert output.axis == axis
    assert output.activation == ("none" if "Identity" in left else activation)


def test_values_that_are_no_numbers_are_refused() -> None:
    graph = onnx.load_from_string(net()).graph
    with pytest.raises(ArtifactError, match="holds NaN or infinity"):
        understood(graph, Output("output", 4, 1, False, "none"), [np.full((1, 3, 2, 2), np.nan)], 3, None)


def test_planes_come_first() -> None:
    value = np.arange(24.0).reshape(1, 2, 4, 3)
    assert Output("out", 4, 3, False, "none").in_planes(value).shape == (1, 3, 2, 4)
    assert Output("out", 4, 1, False, "none").in_planes(value) is value
    assert Output("out", 3, 1, True, "none").in_planes(value[0]).shape == (2, 1, 4, 3)
