from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from edge3vt.calibrate.lint import lint
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.rule import TargetName
from tests.calibrate import graphs
from tests.calibrate.broken import EXAMPLES, Model, between, changed, net, quantised, residual_net


def cpu(model: bytes) -> bytes:
    return insert(model, graphs.table(model, count=1), "cpu")


def found(model: bytes, target: TargetName, rule: str) -> list[str | None]:
    return [finding.node for finding in lint(model, target) if finding.rule == rule]


def optimised(model: bytes, path: Path) -> list[str]:
    """The operators that ONNX Runtime makes of a model."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(path).graph.node]


def test_onnx_runtime_fuses_what_the_linter_says_and_rejects_what_it_says(tmp_path: Path) -> None:
    models = [cpu(net().model(32)), *(between(name) for name in ("Transpose", "Concat", "Sigmoid")), quantised()]
    fused = [optimised(model, tmp_path / "o.onnx").count("QLinearConv") for model in models]
    found = [len([f for f in lint(model, "onnxruntime") if f.rule == "unfused"]) for model in models]
    signed = [len([f for f in lint(model, "onnxruntime") if f.rule == "signed-activation"]) for model in models]
    assert (fused, found, signed) == ([2, 2, 2, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 3])
    for rule in ("half-scale", "custom-operator"):
        with pytest.raises(Exception, match=r"INVALID_GRAPH|NOT_IMPLEMENTED|FAIL"):
            optimised(EXAMPLES[rule][0][2](), tmp_path / "o.onnx")


def test_a_weight_without_a_zero_point_is_int8_all_the_same() -> None:
    def change(model: Model) -> None:
        del model.node("b.weight.dq").input[2]

    assert found(changed(change), "tensorrt-10.3", "uint8") == []


def test_the_type_of_opset_21_counts_where_there_is_no_zero_point() -> None:
    def change(model: Model) -> None:
        model.proto.opset_import[0].version = 21
        for name in ("a.relu.q", "a.relu.dq"):
            del model.node(name).input[2]
        model.node("a.relu.q").attribute.append(helper.make_attribute("output_dtype", onnx.TensorProto.INT8))

    assert found(changed(change), "tensorrt-10.13", "uint8") == []


def test_an_axis_may_count_from_the_end() -> None:
    def change(model: Model, axis: int) -> None:
        model.node("b.weight.dq").attribute[0].i = axis

    assert found(changed(lambda m: change(m, -4)), "tensorrt-10.3", "weight-axis") == []
    assert found(changed(lambda m: change(m, -3)), "tensorrt-10.3", "weight-axis") == ["b.weight.dq"]


def test_only_residuals_of_convolutions_and_both_sides_count() -> None:
    def change(model: Model) -> None:
        model.node("sum").input[0] = model.pair("a.relu", "sum")

    model = quantised(residual_net())
    assert found(model, "tensorrt-10.3", "residual") == []
    assert found(changed(change, model), "tensorrt-10.3", "residual") == []


def test_a_pair_before_another_operator_than_an_activation_is_fine() -> None:
    net_ = net()
    net_.conv("c", 32, 32)
    net_.conv("d", 32, 32)
    assert found(quantised(net_), "tensorrt-10.3", "pair-before-relu") == []


def test_zero_points_of_channels_are_all_looked_at() -> None:
    def change(model: Model) -> None:
        zeros = np.zeros(32, np.int8)
        zeros[20] = 1
        model.put("b.weight.zero", zeros)

    assert found(changed(change), "tensorrt-8.6", "zero-point") == ["b.weight.dq"]
