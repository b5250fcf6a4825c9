"""The exported graph is the network: torch and ONNX Runtime agree, and the contract is inside."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.documents import parse_json
from edge3vt.core.spec import INPUT, LOGITS, METADATA_KEY, VIEW, ModelSpec
from edge3vt.learn.export import to_onnx
from edge3vt.learn.student import STRIDE, Student, parameters_m

SIZE = 64
SPEC = ModelSpec(1, "student", "0", CLASS_NAMES, SIZE, SIZE, STRIDE, True, True, "trained on nothing")


@pytest.fixture(scope="module")
def student() -> Student:
    torch.manual_seed(0)
    model = Student().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that folding could get wrong
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    return model


def run(onnx_bytes: bytes, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    logits, view = session.run([LOGITS, VIEW], {INPUT: pixels})
    return logits, view


def test_torch_and_onnx_agree(student: Student) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, SPEC.input_shape, dtype=np.uint8)
    logits, view = run(to_onnx(student, SPEC), pixels)
    with torch.inference_mode():
        expected, expected_view = student(torch.from_numpy(pixels))
    np.testing.assert_allclose(logits, expected.numpy(), atol=2e-5)
    np.testing.assert_allclose(view, expected_view.numpy(), atol=2e-5)


def test_a_changed_weight_would_be_seen(student: Student) -> None:
    pixels = np.full(SPEC.input_shape, 90, np.uint8)
    whole = to_onnx(student, SPEC)
    model = onnx.load_from_string(whole)
    bias = next(i for i in model.graph.initializer if i.name == f"{LOGITS}.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 0.01, bias.name))
    assert np.abs(run(whole, pixels)[0] - run(model.SerializeToString(), pixels)[0]).max() > 5e-3


def test_the_spec_travels_in_the_file_and_the_bytes_repeat(student: Student) -> None:
    first = to_onnx(student, SPEC)
    assert first == to_onnx(student, SPEC)
    metadata = {p.key: p.value for p in onnx.load_from_string(first).metadata_props}
    assert parse_json(ModelSpec, metadata[METADATA_KEY], where="metadata") == SPEC
    assert json.loads(metadata[METADATA_KEY])["classes"] == list(CLASS_NAMES)


def test_the_graph_holds_only_what_every_runtime_runs_fast(student: Student) -> None:
    operators = {node.op_type for node in onnx.load_from_string(to_onnx(student, SPEC)).graph.node}
    assert operators == {
        "Cast", "Sub", "Mul", "SpaceToDepth", "Conv", "Relu", "Resize", "Add", "GlobalAveragePool", "Flatten", "Gemm",
    }  # fmt: skip


def test_the_student_is_small(student: Student) -> None:
    assert 0.5 <= parameters_m(student) <= 1.0
