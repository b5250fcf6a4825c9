from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.qdq import activation_scale, insert, quantised_weight
from edge3vt.calibrate.table import TensorRange
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError
from edge3vt.core.spec import SOURCE_KEY, TABLE_KEY
from tests import nets

SIZE = 64
MODEL = nets.student(SIZE)
TABLE = observe(MODEL, nets.spec(SIZE), nets.pictures(16, SIZE), set_name="some")
QUANTISED = insert(MODEL, TABLE)


def logits(model: bytes, count: int = 3) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.stack([session.run(["logits"], {"pixels": f[None, None]})[0] for f in nets.pictures(count, SIZE, seed=9)])


def test_the_quantised_model_computes_the_same_to_8_bits_and_not_exactly() -> None:
    exact, quantised = logits(MODEL), logits(QUANTISED)
    error = np.abs(quantised - exact).mean() / np.abs(exact).mean()
    assert 0.001 < error < 0.06


def test_it_names_its_source_and_its_table() -> None:
    notes = {entry.key: entry.value for entry in onnx.load_from_string(QUANTISED).metadata_props}
    assert notes[SOURCE_KEY] == sha256_bytes(MODEL)
    assert notes[TABLE_KEY] == TABLE.sha256
    assert insert(MODEL, TABLE) == QUANTISED


def test_onnx_runtime_fuses_every_convolution_but_the_last_and_every_addition(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(QUANTISED, options, providers=["CPUExecutionProvider"])
    found = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    wanted = Counter(node.op_type for node in onnx.load_from_string(MODEL).graph.node)
    assert found["QLinearConv"] == wanted["Conv"] - 1
    assert found["QLinearAdd"] == wanted["Add"] == 3
    assert (found["Conv"], found["FusedConv"], found["Add"], found["QuantizeLinear"]) == (1, 0, 0, 1)


def test_openvino_keeps_8_bits_from_the_stem_to_the_logits() -> None:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(QUANTISED), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = Counter()
    for node in compiled.get_runtime_model().get_ops():
        kind, precision = (str(node.rt_info[key].value) for key in ("layerType", "runtimePrecision"))
        before_the_weights = node.get_friendly_name().startswith(("pixels", "stem"))
        if kind in ("Convolution", "Interpolate", "Subgraph", "Eltwise") and not before_the_weights:
            found[kind, precision] += 1
    assert {precision for _, precision in found} == {"u8"}
    assert found["Convolution", "u8"] == 14
    assert found["Interpolate", "u8"] == 3
    assert found["Subgraph", "u8"] + found["Eltwise", "u8"] == 3


def test_no_pair_stands_between_convolution_and_relu() -> None:
    nodes = onnx.load_from_string(QUANTISED).graph.node
    relus = [node for node in nodes if node.op_type == "Relu"]
    made_by = {node.output[0]: node.op_type for node in nodes}
    assert {made_by[node.input[0]] for node in relus} == {"Conv"}


def test_a_resize_keeps_its_inputs_scale() -> None:
    constants = {t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(QUANTISED).graph.initializer}
    assert constants["up0.scale"] == constants["narrow0.scale"]
    assert constants["up0.zero"] == constants["narrow0.zero"]
    assert constants["stage1.1.relu.zero"] == 0
    assert not [name for name in constants if constants[name].ndim == 4 and constants[name].dtype == np.float32]


def test_a_table_of_another_model_is_refused() -> None:
    with pytest.raises(ArtifactError, match="the calibration table is of another model"):
        insert(nets.student(SIZE, seed=1), TABLE)


def test_a_table_that_lacks_a_tensor_is_refused() -> None:
    ranges = {name: span for name, span in TABLE.ranges.items() if name != "skip1"}
    with pytest.raises(ArtifactError, match="the calibration table lacks tensor skip1"):
        insert(MODEL, replace(TABLE, ranges=ranges))


def test_an_old_opset_is_refused() -> None:
    model = onnx.load_from_string(MODEL)
    model.opset_import[0].version = 12
    old = model.SerializeToString()
    with pytest.raises(ArtifactError, match="opset 12, quantisation needs 13"):
        insert(old, replace(TABLE, model_sha256=sha256_bytes(old)))


@pytest.mark.parametrize(
    ("low", "high", "zero"), [(0.0, 8.0, 0), (-1.0, 3.0, 64), (-5.0, 0.0, 255), (2.0, 4.0, 0), (0.0, 0.0, 0)]
)
def test_zero_is_exact_and_the_range_fits(low: float, high: float, zero: int) -> None:
    scale, found = activation_scale(TensorRange(low, high))
    assert scale > 0
    assert found == zero
    reached = (np.array([0, 255]) - int(found)) * float(scale)
    assert reached[0] <= low + scale / 2
    assert reached[1] >= high - scale / 2


def test_weights_are_rounded_per_channel_and_a_dead_channel_stays_zero() -> None:
    weight = np.zeros((3, 2, 1, 1), np.float32)
    weight[0, :, 0, 0] = 1.0, -0.5
    weight[1, :, 0, 0] = 1e-3, 2e-4
    scale, values = quantised_weight(weight)
    np.testing.assert_array_equal(values[:, :, 0, 0], [[127, -64], [127, 25], [0, 0]])
    np.testing.assert_allclose(values * scale[:, None, None, None], weight, atol=float(scale.max()) / 2, rtol=0.02)
