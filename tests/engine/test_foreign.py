from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, version_converter

from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.engine import foreign
from edge3vt.engine.foreign import PREFIX, Input, fold, input_of, is_half, plain, read_foreign, run, select
from tests.engine.foreign_nets import net


def read(**words: Any) -> onnx.ModelProto:
    return read_foreign(net(**words))


def test_what_the_graph_leaves_open_is_filled_in() -> None:
    assert input_of(read(), "NCHW", None, None) == Input("input", np.dtype(np.float32), "NCHW", 3, 256)
    wide = input_of(read(layout="NHWC", kind=TensorProto.FLOAT16, channels=1), "NHWC", 1, 96)
    assert (wide.kind, wide.shape) == (np.float16, (1, 96, 96, 1))
    assert input_of(read(shape=(1, 3, 32, "w")), "NCHW", 3, None).size == 32


def test_sizes_of_minus_one_are_open() -> None:
    proto = onnx.load_from_string(net())
    for i in (0, 2, 3):
        proto.graph.input[0].type.tensor_type.shape.dim[i].dim_value = -1
    assert input_of(read_foreign(proto.SerializeToString()), "NCHW", None, 64).shape == (1, 3, 64, 64)


@pytest.mark.parametrize(("kind", "half"), [(TensorProto.FLOAT, False), (TensorProto.FLOAT16, True)])
def test_a_plain_network_is_single_and_of_one_size_and_under_names_of_its_own(kind: int, half: bool) -> None:
    original = read(kind=kind)
    assert is_half(original) == half
    made = plain(original, input_of(original, "NCHW", None, 64))
    assert not is_half(made)
    names = {name for node in made.graph.node for name in (*node.input, *node.output)}
    assert all(name.startswith(PREFIX) for name in names)
    (answer,) = run(made, [np.zeros((1, 3, 64, 64), np.float32)])
    assert {name: value.shape for name, value in answer.items()} == {"net.output": (1, 3, 32, 32)}
    assert original.graph.input[0].name == "input", "the original stays as it was"


def test_half_precision_between_casts_becomes_single_too() -> None:
    ends = [("Cast", {"to": TensorProto.FLOAT16}), ("Exp", {}), ("Cast", {"to": TensorProto.FLOAT16})]
    original = read(ends=ends)
    assert is_half(original)
    made = plain(original, input_of(original, "NCHW", None, 64))
    assert not is_half(made)
    (answer,) = run(made, [np.zeros((1, 3, 64, 64), np.float32)])
    assert answer["net.output"].dtype == np.float32


def test_constants_are_folded_on_standard_operators_alone() -> None:
    proto = read(ends=[("Mul", {"constant": 2.0})])
    folded = fold(proto)
    assert [entry.domain for entry in folded.opset_import] == [""]
    assert [node.op_type for node in folded.graph.node] == ["Conv", "Relu", "Conv"]  # the factor is in the weights


def test_only_what_an_output_needs_stays() -> None:
    proto = read(ends=[("Mul", {"constant": 2.0})])
    select(proto, "t1")
    assert [node.op_type for node in proto.graph.node] == ["Conv", "Relu"]
    assert {tensor.name for tensor in proto.graph.initializer} == {"first.weight", "first.bias"}
    with pytest.raises(ConfigError, match="no tensor 'outptu' in the network; known: t1"):
        select(proto, "outptu")


def test_an_opset_that_cannot_be_converted_stays_where_it_can_be_quantised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no adapter")

    monkeypatch.setattr(version_converter, "convert_version", fails)
    for opset in (13, 20):
        proto = read(opset=opset)
        assert plain(proto, input_of(proto, "NCHW", None, 64)).opset_import[0].version == opset
    proto = read(opset=12)
    with pytest.raises(ArtifactError, match=r"opset 12 cannot be converted to 17 \(no adapter\); export"):
        plain(proto, input_of(proto, "NCHW", None, 64))


def test_means_of_newer_opsets_are_converted() -> None:
    proto = read(opset=18)
    mean = onnx.helper.make_node(
        "ReduceMean", ["output", "axes"], ["mean"], name="mean", keepdims=1, noop_with_empty_axes=0
    )
    proto.graph.initializer.append(onnx.helper.make_tensor("axes", TensorProto.INT64, [1], [1]))
    proto.graph.node.append(mean)
    select(proto, "mean")
    made = plain(proto, input_of(proto, "NCHW", None, 64))
    assert made.opset_import[0].version == 17
    (found,) = run(made, [picture := np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)])
    (expected,) = run(proto, [picture])
    np.testing.assert_allclose(found["net.mean"], expected["mean"], rtol=1e-4, atol=1e-5)


def test_a_picture_that_a_network_cannot_take_is_told() -> None:
    proto = read()
    with pytest.raises(ArtifactError, match=r"ONNX Runtime fails on 1 x 4 x 8 x 8 .*; try another --size"):
        run(proto, [np.zeros((1, 4, 8, 8), np.float32)])


def test_a_network_beyond_the_limit_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "MAX_BYTES", 100)
    with pytest.raises(ArtifactError, match="larger than"):
        read()
