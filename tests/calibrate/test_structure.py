from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto

from edge3vt.calibrate.lint import lint
from edge3vt.calibrate.rule import TARGETS, TargetName, version_of
from edge3vt.calibrate.structure import OPSETS
from tests.calibrate.broken import Model, changed, depthwise, net, quantised


def found(model: bytes, target: TargetName, rule: str) -> list[str]:
    return [finding.found for finding in lint(model, target) if finding.rule == rule]


def of_opset(version: int) -> bytes:
    def change(model: Model) -> None:
        model.proto.opset_import[0].version = version

    return changed(change, net().model(32))


@pytest.mark.parametrize("target", TARGETS[:5])
def test_each_tensorrt_reads_up_to_its_opset_and_no_further(target: TargetName) -> None:
    last = OPSETS[version_of(target)]
    assert found(of_opset(last), target, "opset") == []
    assert len(found(of_opset(last + 1), target, "opset")) == 1


def test_types_are_counted() -> None:
    assert found(quantised(), "tensorrt-11.4", "types") == ["3 of 3 layers are typed FP32"]
    assert found(quantised(half=True), "onnxruntime", "half-on-cpu") == ["3 of 3 convolutions are typed FP16"]


def test_a_size_that_is_open_is_told_by_its_name() -> None:
    def change(model: Model) -> None:
        dims = model.graph.input[0].type.tensor_type.shape.dim
        dims[2].dim_param, dims[3].dim_param = "height", ""

    (text,) = found(changed(change), "tensorrt-8.6", "dynamic-size")
    assert text == "input pixels is (1, 1, height, ?)"


def test_an_input_without_a_shape_is_open_too() -> None:
    model = onnx.load_from_string(quantised())
    model.graph.input[0].type.tensor_type.ClearField("shape")
    assert found(model.SerializeToString(), "tensorrt-8.6", "dynamic-size") == ["input pixels is ()"]


def test_channels_count_in_32_where_quantised_and_in_8_elsewhere() -> None:
    narrow = net()
    narrow.conv("c", 32, 40)
    model = narrow.model(40)
    assert found(model, "tensorrt-10.3", "channels") == [
        "1 channels, no multiple of 8 (FP16)",
        "6 channels, no multiple of 8 (FP16)",
    ]
    again = net()
    again.conv("c", 32, 40)
    assert "40 channels, no multiple of 32 (INT8)" in found(quantised(again, 40), "tensorrt-10.3", "channels")


def test_groups_are_told_and_only_of_what_is_quantised() -> None:
    assert found(depthwise(), "tensorrt-8.6", "depthwise") == ["quantised convolution in 32 groups"]
    plain = net()
    plain.conv("c", 32, 32, group=32)
    assert found(plain.model(32), "tensorrt-8.6", "depthwise") == []


def test_uint8_is_fine_where_it_is_cast_at_once() -> None:
    model = onnx.load_from_string(quantised())
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert found(model.SerializeToString(), "tensorrt-8.6", "uint8-inside") == []
