from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edge3vt.calibrate.flavour import Flavour
from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.qdq import activation_scale, insert, layers, quantised_weight, symmetric_scale
from edge3vt.calibrate.table import TensorRange
from edge3vt.calibrate.wiring import opset_of
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.core.spec import SOURCE_KEY, TABLE_KEY
from tests import nets
from tests.calibrate import graphs

SIZE = 64
MODEL = nets.student(SIZE)
TABLE = observe(MODEL, nets.spec(SIZE), nets.pictures(16, SIZE), set_name="some")
QUANTISED = insert(MODEL, TABLE)
TENSORRT: tuple[Flavour, ...] = ("tensorrt-fp32", "tensorrt-fp16")
SHIPPED = Path(__file__).parents[2] / "edge3vt" / "assets" / "student-s384" / "student.onnx"


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


def test_what_is_joined_and_pooled_stays_in_8_bits_for_the_cpu(tmp_path: Path) -> None:
    net = graphs.Net()
    net.conv("a", 1, 8)
    skip = net.relu()
    net.add("MaxPool", [net.x], "small", kernel_shape=[2, 2], strides=[2, 2])
    net.conv("b", 8, 8)
    net.relu()
    net.add("Sigmoid", [net.x], "open")
    net.up("linear")
    net.add("Concat", [net.x, skip], "joined", axis=1)
    net.conv("c", 16, 8)
    net.relu()
    model = net.model(8)
    found = insert(model, graphs.table(model))
    nodes, values = by_name(found), constants(found)
    assert list(nodes["joined"].input) == ["open.up.dq", f"{skip}.dq"]
    assert nodes["small"].input[0] == f"{skip}.dq"
    assert values[f"{skip}.scale"] == values["small.scale"]
    assert values["open.up.scale"] == values["joined.scale"]
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(found, options, providers=["CPUExecutionProvider"])
    counts = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert (counts["QLinearConv"], counts["QLinearConcat"], counts["FusedConv"]) == (2, 1, 1)
    assert graphs.error(graphs.logits(found), graphs.logits(model)) < 0.03


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


def by_name(model: bytes) -> dict[str, onnx.NodeProto]:
    return {node.name: node for node in onnx.load_from_string(model).graph.node}


def constants(model: bytes) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(model).graph.initializer}


@pytest.fixture(scope="module")
def shipped() -> tuple[bytes, dict[str, bytes], np.ndarray]:
    """The shipped student, its flavours, and what it says of two pictures."""
    model = SHIPPED.read_bytes()
    table = graphs.table(model, 384, count=4)
    flavours = {flavour: insert(model, table, flavour) for flavour in ("cpu", *TENSORRT)}
    return model, flavours, graphs.logits(model, 384, count=2)


@pytest.mark.parametrize("flavour", ["cpu", *TENSORRT])
def test_every_flavour_of_the_shipped_student_agrees_with_it(
    shipped: tuple[bytes, dict[str, bytes], np.ndarray], flavour: str
) -> None:
    _, flavours, exact = shipped
    found = graphs.logits(flavours[flavour], 384, count=2)
    assert 0.001 < graphs.error(found, exact) < 0.08
    assert (found.argmax(2) == exact.argmax(2)).mean() > 0.999


def test_half_precision_says_the_same_as_its_twin_in_floats(
    shipped: tuple[bytes, dict[str, bytes], np.ndarray],
) -> None:
    _, flavours, _ = shipped
    half, full = (graphs.logits(flavours[flavour], 384, count=2) for flavour in ("tensorrt-fp16", "tensorrt-fp32"))
    assert 0 < graphs.error(half, full) < 0.03


@pytest.mark.parametrize("flavour", ["cpu", *TENSORRT])
@pytest.mark.parametrize("model", [graphs.foreign(), graphs.foreign(opset=20), graphs.half_resolution()])
def test_nets_of_other_shapes_keep_their_numbers(model: bytes, flavour: Flavour) -> None:
    found = insert(model, graphs.table(model), flavour)
    assert 0.001 < graphs.error(graphs.logits(found), graphs.logits(model)) < 0.06
    opsets = {"cpu": opset_of(onnx.load_from_string(model)), "tensorrt-fp32": 17, "tensorrt-fp16": 19}
    assert opset_of(onnx.load_from_string(found)) == opsets[flavour]
    assert found == insert(model, graphs.table(model), flavour)


@pytest.mark.parametrize("flavour", TENSORRT)
def test_tensorrt_gets_pairs_on_what_enters_the_layers_and_on_the_skips(flavour: Flavour) -> None:
    model = onnx.load_from_string(insert(MODEL, TABLE, flavour))
    nodes = {node.name: node for node in model.graph.node}
    takers: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            takers.setdefault(name, set()).add(node.op_type)
    pairs = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    assert set().union(*(takers[node.output[0]] for node in pairs)) == {"Conv", "Gemm", "Add"}
    assert all(takers[node.output[0]] == {"Relu"} for node in model.graph.node if node.name == "stage1.0")
    assert list(nodes["skip1"].input) == ["up1", "stage1.1.relu.dq"]
    assert nodes["stage2.0"].input[0] == "stage1.1.relu.dq"
    assert nodes["view.pool"].input[0] == "stage3.1.relu"
    assert nodes["up0"].input[0] == "narrow0"


@pytest.mark.parametrize("flavour", TENSORRT)
def test_tensorrt_gets_symmetric_int8_and_biases_in_floats(flavour: Flavour) -> None:
    found = constants(insert(MODEL, TABLE, flavour))
    zeros = [value for name, value in found.items() if name.endswith(".zero")]
    assert {value.dtype for value in zeros} == {np.dtype(np.int8)}
    assert not any(value.any() for value in zeros)
    kind = np.float16 if flavour == "tensorrt-fp16" else np.float32
    assert {value.dtype for name, value in found.items() if name.endswith((".scale", ".bias"))} == {np.dtype(kind)}
    assert found["stage1.0.weight.scale"].shape == (16,)
    assert found["stage1.0.relu.scale"] == pytest.approx(TABLE.ranges["stage1.0.relu"].max / 127, rel=1e-3)


def test_output_channels_lie_where_the_operator_has_them() -> None:
    found = insert(graphs.foreign(), graphs.table(graphs.foreign()), "tensorrt-fp32")
    nodes, values = by_name(found), constants(found)
    assert nodes["up.weight.dq"].attribute[0].i == 1
    assert values["up.weight.scale"].shape == (4,)
    assert "residual" in nodes
    assert list(nodes["residual"].input) == ["stem.norm.relu.dq", "block.b"]
    net = graphs.Net()
    net.add("Flatten", [net.x], "flat")
    weight = net.rng.normal(0, 0.1, (graphs.SIZE**2, 24)).astype(np.float32)
    net.add("Gemm", ["flat", net.constant("g.weight", weight)], "g")
    net.add("Reshape", ["g", net.constant("shape", np.array([1, 24, 1, 1]))], "square")
    model = net.model(24)
    found = insert(model, graphs.table(model), "tensorrt-fp16")
    assert by_name(found)["g.weight.dq"].attribute[0].i == 1
    assert graphs.error(graphs.logits(found), graphs.logits(model)) < 0.05


@pytest.mark.parametrize("flavour", ["cpu", *TENSORRT])
def test_a_layer_that_is_kept_gets_no_pair_and_the_others_keep_theirs(flavour: Flavour) -> None:
    assert {"stage1.0", "skip0", "logits"} <= set(layers(MODEL, flavour))
    nodes = by_name(insert(MODEL, TABLE, flavour, {"stage1.0", "skip0", "logits"}))
    assert list(nodes["stage1.0"].input) == ["stage0.0.relu", "stage1.0.weight", "stage1.0.bias"]
    assert list(nodes["skip0"].input) == ["up0", "stage2.1.relu"]
    assert nodes["logits"].input[1] == "logits.weight"
    assert nodes["stage1.1"].input[1] == "stage1.1.weight.dq"
    everything = insert(MODEL, TABLE, flavour, set(layers(MODEL, flavour)))
    assert "QuantizeLinear" not in {node.op_type for node in by_name(everything).values()}
    np.testing.assert_allclose(graphs.logits(everything, SIZE), graphs.logits(MODEL, SIZE), atol=0.02)


def test_a_name_that_is_no_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no layer to keep in floats is named 'stage9\.0'; did you mean 'stage"):
        insert(MODEL, TABLE, "tensorrt-fp32", {"stage9.0"})


def test_a_range_that_half_precision_does_not_hold_is_refused() -> None:
    table = replace(TABLE, ranges=TABLE.ranges | {"stage1.0.relu": TensorRange(0, 7e4)})
    insert(MODEL, table, "tensorrt-fp32")
    with pytest.raises(ArtifactError, match=r"tensor stage1\.0\.relu reaches 70000, FP16 ends at 65504"):
        insert(MODEL, table, "tensorrt-fp16")


def test_symmetric_scales_reach_the_larger_end_and_are_rounded_up_in_half_precision() -> None:
    for low, high in ((-3.0, 1.0), (0.0, 1.1), (0.0, 0.0), (-1e-9, 1e-9), (0.0, 1e-44)):
        full, zero = symmetric_scale(TensorRange(low, high))
        half, _ = symmetric_scale(TensorRange(low, high), np.float16)
        assert (full.shape, half.shape, zero.dtype, int(zero)) == ((), (), np.int8, 0)
        assert half.dtype == np.float16
        assert float(half) > 0
        assert float(half) * 127 >= max(-low, high)
        assert float(full) > 0
        assert float(full) * 127 == pytest.approx(max(-low, high) or 127, rel=1e-6, abs=1e-42)
    weight = np.array([[0.1, -0.7], [1e-9, 0.0]], np.float32)
    scale, values = quantised_weight(weight, axis=1, scales=np.float16)
    assert scale.shape == (2,)
    np.testing.assert_array_equal(values[0], [127, -127])


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(ArtifactError, match="the model: not an ONNX model"):
        layers(b"\xff\xfe" * 20)
