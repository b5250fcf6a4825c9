from __future__ import annotations

from dataclasses import replace

import onnx
from onnx import TensorProto

from edge3vt.calibrate.lint import RULES
from edge3vt.calibrate.rule import TARGETS, runtime_of, subject_of, version_of
from tests.calibrate.broken import changed, no_zero_point, quantised


def test_targets_have_a_runtime_and_those_of_tensorrt_a_version() -> None:
    assert [runtime_of(target) for target in TARGETS] == ["tensorrt"] * 5 + ["onnxruntime", "openvino"]
    assert [version_of(target) for target in TARGETS] == [(8, 6), (10, 3), (10, 13), (10, 16), (11, 4), (0, 0), (0, 0)]


def test_a_rule_speaks_of_its_runtimes_from_its_version_on() -> None:
    rule = replace(RULES[0], runtimes=("tensorrt",), since=(10, 13))
    assert [target for target in TARGETS if rule.speaks_of(target)] == [
        "tensorrt-10.13",
        "tensorrt-10.16",
        "tensorrt-11.4",
    ]


def test_a_subject_knows_kinds_and_shapes_of_what_no_one_declared() -> None:
    subject = subject_of(quantised(), "net.onnx")
    assert subject.kinds["a.relu.q"] == TensorProto.INT8
    assert subject.shapes["b.relu"] == (1, 32, 32, 32)
    assert subject.shapes["b.weight.q"] == (32, 32, 3, 3)
    assert subject.dequantised("a.relu.dq")
    assert not subject.dequantised("a.relu")
    assert not subject.dequantised("pixels")
    assert subject.constant("a.relu") is None


def test_what_is_stored_follows_the_zero_point_and_else_is_uint8() -> None:
    nodes = {node.name: node for node in onnx.load_from_string(quantised()).graph.node}
    assert subject_of(quantised(), "x").stored_kind(nodes["a.relu.q"]) == TensorProto.INT8
    subject = subject_of(changed(no_zero_point), "x")
    nodes = {node.name: node for node in subject.nodes}
    assert subject.stored_kind(nodes["a.relu.q"]) == TensorProto.UINT8
    assert subject.stored_kind(nodes["a.relu.dq"]) == TensorProto.UINT8
    assert subject.stored_kind(nodes["b.weight.dq"]) == TensorProto.INT8
