"""The exported graph is the network: torch and ONNX Runtime agree, and the contract is inside."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

import edge3vt
from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.qdq import insert
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.documents import parse_json
from edge3vt.core.errors import ArtifactError
from edge3vt.core.spec import INPUT, LOGITS, METADATA_KEY, VIEW, ModelSpec
from edge3vt.engine.model import read_model
from edge3vt.learn.export import to_onnx
from edge3vt.learn.networks import NAMES, build
from edge3vt.learn.student import Student

SIZE = 64
STUDENTS = [name for name in NAMES if name.startswith("student-")]
PLAIN = {"Cast", "Sub", "Mul", "SpaceToDepth", "Conv", "Relu", "Resize", "Add", "GlobalAveragePool", "Flatten", "Gemm"}


def made(name: str) -> Student:
    torch.manual_seed(0)
    model = build(name, len(CLASS_NAMES)).eval()
    assert isinstance(model, Student)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that folding could get wrong
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    return model


def spec_of(model: Student, *, has_view: bool = True) -> ModelSpec:
    return ModelSpec(1, "student", "0", CLASS_NAMES, SIZE, SIZE, model.stride, has_view, True, "trained on nothing")


@pytest.fixture(scope="module")
def student() -> Student:
    return made("student-s")


SPEC = ModelSpec(1, "student", "0", CLASS_NAMES, SIZE, SIZE, 4, True, True, "trained on nothing")
PIXELS = np.random.default_rng(0).integers(0, 256, SPEC.input_shape, dtype=np.uint8)


def run(onnx_bytes: bytes, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    logits, view = session.run([LOGITS, VIEW], {INPUT: pixels})
    return logits, view


@pytest.mark.parametrize("name", STUDENTS)
def test_torch_and_onnx_agree(name: str) -> None:
    student = made(name)
    logits, view = run(to_onnx(student, spec_of(student)), PIXELS)
    with torch.inference_mode():
        expected, expected_view = student(torch.from_numpy(PIXELS))
    scale = expected.abs().max().item()
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5 * scale)
    np.testing.assert_allclose(view, expected_view.numpy(), atol=1e-5 * scale)


@pytest.mark.parametrize("form", ["student-s", "student-m"])
def test_branches_leave_no_trace_in_the_graph(form: str) -> None:
    plain, branched = (onnx.load_from_string(to_onnx(m, SPEC)) for m in (made(form), made(f"{form}-rep")))
    assert [(n.op_type, n.name) for n in plain.graph.node] == [(n.op_type, n.name) for n in branched.graph.node]
    shapes = [[(i.name, tuple(i.dims)) for i in model.graph.initializer] for model in (plain, branched)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ["student-s-half", "student-m-rep-half"])
def test_every_form_is_quantised_from_its_table(name: str) -> None:
    student = made(name)
    spec = spec_of(student)
    whole = to_onnx(student, spec)
    table = observe(whole, spec, [PIXELS[0, 0]], set_name="test")
    quantised = insert(whole, table)
    convolutions = [n for n in onnx.load_from_string(quantised).graph.node if n.op_type == "Conv"]
    assert all(n.input[0].endswith(".dq") and n.input[1].endswith(".dq") for n in convolutions)
    assert "stage0.0.relu" in table.ranges
    expected, found = run(whole, PIXELS)[0], run(quantised, PIXELS)[0]
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.9
    assert (found[..., ::-1].argmax(axis=1) == expected.argmax(axis=1)).mean() < 0.9


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


def test_the_weights_that_a_model_came_from_are_named_in_it(student: Student) -> None:
    assert read_model(to_onnx(student, SPEC, "5" * 64)).weights_sha256 == "5" * 64
    assert read_model(to_onnx(student, SPEC)).weights_sha256 is None


def test_the_graph_holds_only_what_every_runtime_runs_fast(student: Student) -> None:
    operators = {node.op_type for node in onnx.load_from_string(to_onnx(student, SPEC)).graph.node}
    assert operators == PLAIN
    half = made("student-s-half")
    operators = {node.op_type for node in onnx.load_from_string(to_onnx(half, spec_of(half))).graph.node}
    assert operators == PLAIN | {"DepthToSpace"}


def test_a_model_without_view_is_one_that_the_engine_reads(student: Student) -> None:
    exported = to_onnx(student, spec_of(student, has_view=False))
    assert [output.name for output in onnx.load_from_string(exported).graph.output] == [LOGITS]
    assert not read_model(exported).spec.has_view
    assert read_model(to_onnx(student, SPEC)).spec == SPEC


def test_a_spec_of_another_model_is_refused(student: Student) -> None:
    with pytest.raises(ArtifactError, match="6 classes at stride 4, its network has 6 at 2"):
        to_onnx(made("student-s-half"), SPEC)
    with pytest.raises(ArtifactError, match="2 classes at stride 4, its network has 6 at 4"):
        to_onnx(student, replace(SPEC, classes=CLASS_NAMES[:2]))


def test_the_shipped_model_is_the_export_of_the_shipped_weights() -> None:
    folder = Path(edge3vt.__file__).parent / "assets" / "student-s384"
    shipped = read_model(folder / "student.onnx")
    model = Student(len(shipped.spec.classes))
    model.load_state_dict(load_file(folder / "student.safetensors"))
    assert to_onnx(model.eval(), shipped.spec) == shipped.data
