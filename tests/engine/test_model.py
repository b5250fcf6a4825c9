from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError
from edge3vt.core.spec import METADATA_KEY
from edge3vt.engine import model as limits
from edge3vt.engine.model import read_model
from tests import nets

Change = Callable[[onnx.ModelProto], object]


def changed(model: bytes, change: Change) -> bytes:
    proto = onnx.load_from_string(model)
    change(proto)
    return bytes(proto.SerializeToString())


def test_a_model_comes_back_with_its_spec(fp32: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(fp32)
    model = read_model(tmp_path / "a.onnx")
    assert (model.data, model.spec, model.sha256) == (fp32, nets.spec(64), sha256_bytes(fp32))
    assert model.source_sha256 is model.table_sha256 is None


def test_a_quantised_model_names_its_source(fp32: bytes, int8: bytes) -> None:
    model = read_model(int8)
    assert model.source_sha256 == sha256_bytes(fp32)
    assert model.table_sha256 is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"a\.onnx: cannot be read \(No such file"),
        (b"", r"a\.onnx: the file is empty \(0 bytes\)"),
        (b"not a model at all", r"a\.onnx: not an ONNX model"),
    ],
)
def test_files_that_are_no_models_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        read_model(tmp_path / "a.onnx")


def test_truncated_models_are_refused(fp32: bytes) -> None:
    for share in (0.1, 0.5, 0.999):
        with pytest.raises(ArtifactError):
            read_model(fp32[: int(len(fp32) * share)])


def _external(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].data_location = TensorProto.EXTERNAL


def _external_in_attribute(proto: onnx.ModelProto) -> None:
    tensor = TensorProto(name="far", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    proto.graph.node.append(helper.make_node("Constant", [], ["far"], value=tensor))


def _control_flow(proto: onnx.ModelProto) -> None:
    branch = helper.make_graph([], "branch", [], [])
    proto.graph.node.append(helper.make_node("If", ["c"], ["d"], name="choice", then_branch=branch, else_branch=branch))


def _function(proto: onnx.ModelProto) -> None:
    proto.functions.append(helper.make_function("ai.onnx", "twice", ["x"], ["y"], [], []))


def _big_value(proto: onnx.ModelProto) -> None:
    proto.graph.value_info.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 9000]))


def _wrong_spec(proto: onnx.ModelProto) -> None:
    proto.metadata_props[0].value = proto.metadata_props[0].value.replace('"stride": 4', '"stride": 2')


def _unknown_spec_key(proto: onnx.ModelProto) -> None:
    proto.metadata_props[0].value = proto.metadata_props[0].value.replace('"stride"', '"strode"')


def _spec_is_no_json(proto: onnx.ModelProto) -> None:
    proto.metadata_props[0].value = "{"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_external, "lies in another file, external data is not read"),
        (_external_in_attribute, "tensor far lies in another file"),
        (_control_flow, "node choice holds a subgraph, control flow is not read"),
        (_function, "holds the function twice"),
        (_big_value, "tensor x has a dimension beyond 8192"),
        (lambda m: m.graph.initializer[0].dims.append(9000), "at most 8192 a dimension"),
        (lambda m: m.opset_import.append(helper.make_opsetid("com.other", 1)), "operator domain com.other"),
        (lambda m: setattr(m.graph.node[3], "domain", "com.other"), "operator domain com.other"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse tensors"),
        (lambda m: m.training_info.add(), "training information"),
        (lambda m: m.graph.node.pop(), "not a valid ONNX model"),
        (lambda m: m.ClearField("metadata_props"), f"no '{METADATA_KEY}' in the model's metadata"),
        (_wrong_spec, r"logits is FLOAT \(1, 6, 16, 16\), expected FLOAT \(1, 6, 32, 32\), as its spec says"),
        (_unknown_spec_key, "unknown key 'strode'; did you mean 'stride'"),
        (_spec_is_no_json, "not JSON"),
        (lambda m: m.graph.output.pop(), "its outputs are logits, expected logits, view"),
        (
            lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.INT8),
            r"pixels is INT8 .*, expected UINT8",
        ),
    ],
)
def test_dangerous_and_foreign_models_are_refused(fp32: bytes, change: Change, message: str) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        read_model(changed(fp32, change))
    assert "\n" not in str(caught.value)


def test_models_beyond_the_limits_are_refused(fp32: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_NODES", 10)
    with pytest.raises(ArtifactError, match=r"\d+ nodes, at most 10 are read"):
        read_model(fp32)
    monkeypatch.setattr(limits, "MAX_BYTES", len(fp32) - 1)
    (tmp_path / "a.onnx").write_bytes(fp32)
    for source in (fp32, tmp_path / "a.onnx"):
        with pytest.raises(ArtifactError, match="larger than"):
            read_model(source)
