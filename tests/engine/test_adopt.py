from __future__ import annotations

import io
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge3vt.core.errors import ArtifactError, ConfigError, Edge3vtError
from edge3vt.core.spec import METADATA_KEY
from edge3vt.engine import adopt as module
from edge3vt.engine.adopt import Adopted, Adoption, adopt
from edge3vt.engine.buffers import empty
from edge3vt.engine.ending import Output
from edge3vt.engine.open import open_model
from tests import nets
from tests.engine.foreign_nets import NAMES, Array, End, answer, net

SIZE = 64
SOFTMAX: End = ("Softmax", {"axis": 1})
SIGMOID: End = ("Sigmoid", {})
ARGMAX: End = ("ArgMax", {"axis": 1, "keepdims": 0})


def adopted(data: bytes, classes: int = 3, **words: Any) -> Adopted:
    return adopt(data, Adoption(classes=NAMES[:classes], name="mine", **{"size": SIZE} | words))


def logits(result: Adopted, picture: Array) -> Array:
    """What the engine's own session gives for a picture."""
    buffers = empty(result.model.spec)
    buffers.pixels[0, 0] = picture
    session = open_model(result.model.data, result.model.spec, "onnxruntime", 1)
    session.run(buffers.pixels, buffers.logits, None)
    session.close()
    return buffers.logits


def operators(result: Adopted) -> set[str]:
    return {node.op_type for node in onnx.load_from_string(result.model.data).graph.node}


def changed(data: bytes, change: Callable[[onnx.ModelProto], object]) -> bytes:
    proto = onnx.load_from_string(data)
    change(proto)
    return bytes(proto.SerializeToString())


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    ("channels", "mean", "std", "scale"),
    [
        (1, (0.4,), (0.2,), 255.0),
        (3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 255.0),
        (3, (127.0,), (128.0,), 1.0),
    ],
)
def test_an_adopted_network_says_what_the_original_says_of_pixels_normalised_by_hand(
    layout: str, channels: int, mean: tuple[float, ...], std: tuple[float, ...], scale: float
) -> None:
    data = net(channels=channels, layout=layout)
    result = adopted(data, mean=mean, std=std, scale=scale, layout=layout)
    assert result.model.spec.logits_shape == (1, 3, 32, 32)
    assert (result.model.spec.stride, result.activation, result.opset) == (2, "none", 17)
    (picture,) = nets.pictures(1, SIZE)
    planes = [(picture / scale - mean[i % len(mean)]) / std[i % len(std)] for i in range(channels)]
    by_hand = np.stack(planes, axis=0 if layout == "NCHW" else 2)[None].astype(np.float32)
    expected = answer(data, by_hand)
    if layout == "NHWC":
        expected = expected.transpose(0, 3, 1, 2)
    assert np.abs(logits(result, picture) - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("ends", "channels", "classes", "activation", "gone"),
    [
        ([SOFTMAX], 3, 3, "softmax", "Softmax"),
        ([("Transpose", {"perm": [0, 2, 3, 1]}), ("Softmax", {"axis": 3})], 3, 3, "softmax", "Softmax"),
        ([("Softmax", {"axis": -3}), ARGMAX], 3, 3, "argmax", "ArgMax"),
        ([("ArgMax", {"axis": 1, "keepdims": 1})], 3, 3, "argmax", "ArgMax"),
        ([ARGMAX, ("Cast", {"to": TensorProto.INT32})], 3, 3, "argmax", "ArgMax"),
        ([SIGMOID], 3, 3, "sigmoid", "Sigmoid"),
    ],
)
def test_what_ends_a_network_is_taken_off(
    ends: list[End], channels: int, classes: int, activation: str, gone: str
) -> None:
    result = adopted(net(classes=channels, ends=ends), classes)
    plain = adopted(net(classes=channels), classes)
    assert result.activation == activation
    assert not operators(result) & {gone, "Softmax", "Log"}
    (picture,) = nets.pictures(1, SIZE)
    np.testing.assert_allclose(logits(result, picture), logits(plain, picture), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ends", [[], [SIGMOID], [SIGMOID, ("Identity", {})]])
def test_one_channel_of_foreground_becomes_two_logits(ends: list[End]) -> None:
    result = adopted(net(classes=1, ends=ends), 2)
    (picture,) = nets.pictures(1, SIZE)
    z = answer(net(classes=1), np.repeat(picture[None, None], 3, axis=1).astype(np.float32) / 255)
    found = logits(result, picture)
    assert not found[0, 0].any()
    np.testing.assert_allclose(found[0, 1], z[0, 0], rtol=1e-4, atol=1e-5)


def _squeezed(proto: onnx.ModelProto) -> None:
    proto.graph.node[-1].output[0] = "wide"
    proto.graph.initializer.append(helper.make_tensor("axes", TensorProto.INT64, [1], [1]))
    proto.graph.node.append(helper.make_node("Squeeze", ["wide", "axes"], ["output"], name="squeeze"))
    del proto.graph.output[0].type.tensor_type.shape.dim[1]


def test_a_foreground_without_its_channel_axis_becomes_two_logits() -> None:
    data = net(classes=1, ends=[SIGMOID])
    result, whole = adopted(changed(data, _squeezed), 2), adopted(data, 2)
    (picture,) = nets.pictures(1, SIZE)
    assert result.activation == "sigmoid"
    assert np.array_equal(logits(result, picture), logits(whole, picture))


def test_foregrounds_that_exclude_nothing_get_a_background() -> None:
    result = adopted(net(classes=2, ends=[SIGMOID]), 3)
    (picture,) = nets.pictures(1, SIZE)
    found = logits(result, picture)
    assert found.shape[1] == 3
    assert not found[0, 0].any()
    assert found[0, 1:].any()


@pytest.mark.parametrize(
    ("ends", "channels", "activation"),
    [
        ([SOFTMAX, ("Mul", {"constant": 1.0}), ("Abs", {})], 3, "softmax"),
        ([SIGMOID, ("Abs", {})], 1, "sigmoid"),
        ([ARGMAX, ("Cast", {"to": TensorProto.FLOAT}), ("Abs", {})], 3, "argmax"),
    ],
)
def test_an_activation_that_cannot_be_taken_off_is_inverted(ends: list[End], channels: int, activation: str) -> None:
    classes = max(channels, 2)
    data = net(classes=channels, ends=ends)
    result = adopted(data, classes, activation=activation)
    plain = logits(adopted(net(classes=channels), classes), picture := nets.pictures(1, SIZE)[0])
    found = logits(result, picture)
    assert np.array_equal(found.argmax(axis=1), plain.argmax(axis=1))
    if activation != "argmax":
        likely = np.abs(plain[:, 1] - plain[:, 0]) < 8
        difference = (found[:, 1] - found[:, 0]) - (plain[:, 1] - plain[:, 0])
        assert np.abs(difference[likely]).max() < 1e-2


def test_probabilities_are_known_by_their_sum_and_one_alone_is_asked_for() -> None:
    assert adopted(net(ends=[SOFTMAX, ("Abs", {})])).activation == "softmax"
    single = net(classes=1, ends=[SIGMOID, ("Abs", {})])
    with pytest.raises(ConfigError, match="lies between 0 and 1, and no sigmoid or softmax ends it; say --activation"):
        adopted(single, 2)
    assert adopted(single, 2, activation="none").activation == "none"


def test_a_network_told_to_end_in_nothing_keeps_its_end() -> None:
    assert "Softmax" in operators(adopted(net(ends=[SOFTMAX]), activation="none"))


@pytest.mark.parametrize("opset", [9, 11, 12, 13, 17, 18, 20])
def test_opsets_become_one_that_can_be_quantised_and_built(opset: int) -> None:
    result = adopted(net(opset=opset, ends=[("Transpose", {"perm": [0, 2, 3, 1]}), ("Softmax", {"axis": 3})]))
    assert result.opset == 17
    assert result.activation == "softmax"


def test_half_precision_becomes_single() -> None:
    result = adopted(net(kind=TensorProto.FLOAT16))
    graph = onnx.load_from_string(result.model.data).graph
    assert {t.data_type for t in graph.initializer if t.data_type != TensorProto.INT64} == {TensorProto.FLOAT}
    single = adopted(net())
    (picture,) = nets.pictures(1, SIZE)
    reference = logits(single, picture)
    assert np.abs(logits(result, picture) - reference).max() < 0.01 * np.abs(reference).max()


def test_a_network_that_takes_bytes_normalises_them_itself() -> None:
    data = net(kind=TensorProto.UINT8)
    (picture,) = nets.pictures(1, SIZE)
    expected = answer(data, np.repeat(picture[None, None], 3, axis=1))
    np.testing.assert_allclose(logits(adopted(data, scale=1.0), picture), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="takes uint8 pixels and normalises them itself; say --scale 1"):
        adopted(data)


def test_initialisers_among_the_inputs_and_an_old_file_format_are_read() -> None:
    def old(proto: onnx.ModelProto) -> None:
        proto.ir_version = 3
        for tensor in proto.graph.initializer:
            proto.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))

    data = net(opset=9)
    (picture,) = nets.pictures(1, SIZE)
    assert np.array_equal(logits(adopted(changed(data, old)), picture), logits(adopted(data), picture))


def test_names_of_the_contract_in_the_network_are_no_obstacle() -> None:
    result = adopted(net(names=("logits", "pixels"), ends=[("Mul", {"constant": 1.0}), SOFTMAX]))
    assert result.model.spec.classes == NAMES[:3]


def _two_outputs(proto: onnx.ModelProto) -> None:
    proto.graph.node.append(helper.make_node("Neg", ["output"], ["aux"], name="aux"))
    proto.graph.output.append(helper.make_tensor_value_info("aux", TensorProto.FLOAT, ["a", "b", "c", "d"]))


def _a_class_too(proto: onnx.ModelProto) -> None:
    proto.graph.node.append(helper.make_node("GlobalAveragePool", ["output"], ["pooled"], name="pooled"))
    proto.graph.node.append(helper.make_node("Flatten", ["pooled"], ["kind"], name="kind"))
    proto.graph.output.append(helper.make_tensor_value_info("kind", TensorProto.FLOAT, ["a", "b"]))


def test_of_several_outputs_the_segmentation_is_taken() -> None:
    assert adopted(changed(net(), _a_class_too)).output == "output"
    two = changed(net(), _two_outputs)
    with pytest.raises(ConfigError, match=r"several outputs may be meant: output \(1, 3, 32, 32\), aux .*--output"):
        adopted(two)
    (picture,) = nets.pictures(1, SIZE)
    aux = logits(adopted(two, output="aux"), picture)
    np.testing.assert_allclose(aux, -logits(adopted(two, output="output"), picture), rtol=1e-5, atol=1e-6)
    with pytest.raises(ConfigError, match="no tensor 'auxx' in the network; did you mean 'aux'"):
        adopted(two, output="auxx")


def test_a_tensor_inside_can_be_the_output() -> None:
    result = adopted(net(ends=[SOFTMAX, ("Abs", {})]), output="t2")
    assert result.activation == "none"
    assert "Softmax" not in operators(result)


def test_the_size_is_the_networks_own_where_it_has_one() -> None:
    assert adopted(net(shape=(1, 3, 96, 96)), size=None).model.spec.height == 96
    assert adopted(net(), size=None).model.spec.height == 256


def _external(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].data_location = TensorProto.EXTERNAL


def _second_input(proto: onnx.ModelProto) -> None:
    proto.graph.input.append(helper.make_tensor_value_info("prompt", TensorProto.FLOAT, [1]))


def _unknown_type(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = 99


def _custom(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].domain = "com.other"


def _nan(proto: onnx.ModelProto) -> None:
    proto.graph.node.append(helper.make_node("Sqrt", ["output"], ["root"], name="root"))
    proto.graph.output[0].name = "root"


def _control_flow(proto: onnx.ModelProto) -> None:
    branch = helper.make_graph([], "branch", [], [])
    proto.graph.node.append(helper.make_node("If", ["c"], ["d"], name="choice", then_branch=branch, else_branch=branch))


def _flat(proto: onnx.ModelProto) -> None:
    _a_class_too(proto)
    del proto.graph.output[0]


@pytest.mark.parametrize(
    ("data", "words", "message"),
    [
        (b"no model", {}, "not an ONNX model"),
        (changed(net(), _unknown_type), {}, "input input is of type 99, expected FLOAT"),
        (net(kind=TensorProto.DOUBLE), {}, "input input is DOUBLE, expected FLOAT, FLOAT16 or UINT8"),
        (nets.student(), {}, "is in the engine contract already; use it as it is"),
        (net().replace(b"node0", b"nod\xff0"), {}, "a name in it is no Unicode, it is damaged"),
        (changed(net(), _external), {}, "lies in another file, external data is not read"),
        (changed(net(), _custom), {}, "uses the operator domain com.other"),
        (changed(net(), _control_flow), {}, "node choice holds a subgraph"),
        (changed(net(), _second_input), {}, "its inputs are input, prompt, expected the picture alone"),
        (changed(net(), _nan), {}, "output root holds NaN or infinity"),
        (changed(net(), _flat), {}, r"output kind is \(1, 3\) of float32, expected numbers \(1, 3, h, w\)"),
        (net(classes=4), {}, r"output output is \(1, 4, 32, 32\): 4 channels, 3 classes were named"),
        (net(classes=2), {}, "output output has 2 channels, 3 classes were named"),
        (net(classes=2), {"activation": "softmax"}, "2 channels, 3 classes were named"),
        (net(classes=4, ends=[ARGMAX]), {}, "4 classes come out, 3 were named"),
        (net(channels=1), {"channels": 3}, r"input input is \(n, 1, h, w\): 1 channels, 3 expected"),
        (net(channels=4), {}, "4 channels, 1 or 3 expected"),
        (net(layout="NHWC", shape=(1, 64, 64, 3)), {}, "which is not NCHW; add --layout NHWC"),
        (net(layout="NHWC"), {}, "which is not NCHW; add --layout NHWC"),
        (net(), {"layout": "NHWC"}, "which is not NHWC; add --layout NCHW"),
        (net(shape=("n", "c", "h", "w")), {}, "leaves the channels open; add --channels 1 or 3"),
        (net(shape=(4, 3, "h", "w")), {}, "4 pictures at once; export it for one"),
        (net(shape=(1, 3, 64, 96)), {"size": None}, "expected a square"),
        (net(shape=(1, 3, 96, 96)), {}, "--size 64 was given; its size is fixed"),
        (net(kind=TensorProto.FLOAT, pad=0, stride=1), {}, "logits are 62 x 62 for 64 x 64 px"),
        (net(), {"mean": (0.1, 0.2)}, "--mean has 2 values, the network takes 3 channels"),
        (net(), {"std": (0.0,)}, "--std or --scale is 0 or less"),
        (net(), {"scale": float("nan")}, "not finite"),
        (net(), {"channels": 2}, "--channels 2: expected 1 or 3"),
        (net(), {"size": 0}, "--size 0: expected 1 to"),
    ],
)
def test_what_cannot_be_adopted_is_refused_in_one_line(data: bytes, words: dict[str, Any], message: str) -> None:
    with pytest.raises(Edge3vtError, match=message) as caught:
        adopted(data, **words)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("vessel", "background"), "class 0 is 'vessel', expected 'background'"),
        (("background",), "1 classes, expected 2 to"),
        (("background", "a", "a"), "stands twice"),
        (("background", "a", ""), "is empty"),
    ],
)
def test_classes_are_a_class_map(classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Adoption(classes=classes, name="mine")


def test_the_same_network_gives_the_same_bytes_without_the_exporters_remarks() -> None:
    def noted(proto: onnx.ModelProto) -> None:
        proto.doc_string = proto.graph.doc_string = proto.graph.node[0].doc_string = "/home/someone/net.py"
        proto.graph.node[1].metadata_props.add(key="stack", value="/home/someone/net.py")
        proto.metadata_props.add(key="path", value="/home/someone")

    first, second = adopted(net()), adopted(changed(net(), noted))
    assert first.model.data == second.model.data
    assert b"someone" not in second.model.data
    assert [entry.key for entry in onnx.load_from_string(first.model.data).metadata_props] == [METADATA_KEY]


@pytest.mark.parametrize("part", ["first.weight", "last.bias"])
@pytest.mark.parametrize("end", [None, SOFTMAX, SIGMOID, ARGMAX])
def test_a_network_that_changes_on_the_way_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, part: str, end: End | None
) -> None:
    whole = module.plain

    def broken(*arguments: Any) -> onnx.ModelProto:
        made = whole(*arguments)
        (tensor,) = (t for t in made.graph.initializer if t.name.endswith(part))
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(1.1), tensor.name))
        return made

    monkeypatch.setattr(module, "plain", broken)
    with pytest.raises(ArtifactError, match=r"is not the same in the contract \(differs by"):
        adopted(net(ends=[end] if end else []))


def test_damaged_files_end_in_one_line_or_are_still_a_network() -> None:
    rng = np.random.default_rng(0)
    data, refused = net(ends=[SOFTMAX]), []
    for _ in range(200):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 2):
            damaged[place] ^= 1 << int(rng.integers(0, 8))
        try:
            adopted(bytes(damaged[: rng.integers(len(data) // 2, 2 * len(data))]), size=32)
        except Edge3vtError as error:
            refused.append(str(error))
    assert 50 < len(refused) < 200
    assert not [text for text in refused if "\n" in text]


@pytest.mark.parametrize("activation", ["none", "softmax", "sigmoid"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_never_equal(activation: Any, value: float) -> None:
    found = np.full((1, 2, 4, 4), value, np.float32)
    assert module._difference(found, found, Output("out", 4, 1, False, activation)) == np.inf


def exported(name: str, classes: int) -> bytes:
    """A network of ours as torch exports any: sizes open, constants as nodes."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite_pytorch")
    from edge3vt.learn.networks import build

    class Lone(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = build(name, classes)

        def forward(self, pixels: Any) -> Any:
            return self.network(pixels)[0]

    torch.manual_seed(0)
    file = io.BytesIO()
    axes = {"input": {0: "n", 2: "h", 3: "w"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own about its older exporter; the newer one needs another package
        torch.onnx.export(
            Lone().eval(),
            (torch.zeros(1, 1, SIZE, SIZE),),
            file,
            opset_version=13,
            dynamo=False,
            input_names=["input"],
            output_names=["out"],
            dynamic_axes=axes,
        )
    return file.getvalue()


@pytest.mark.parametrize(("name", "stride"), [("deeplabv3plus", 4), ("unet-half", 1)])
def test_networks_that_torch_exported_are_adopted(name: str, stride: int) -> None:
    data = exported(name, 3)
    result = adopted(data, scale=1.0)
    assert (result.model.spec.stride, result.opset) == (stride, 17)
    assert operators(result).isdisjoint({"Constant", "Identity", "Shape", "Gather"})
    (picture,) = nets.pictures(1, SIZE)
    expected = answer(data, picture[None, None].astype(np.float32))
    assert np.abs(logits(result, picture) - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.slow
def test_a_text_detector_from_a_package_is_adopted(tmp_path: Path) -> None:
    wanted = "rapidocr-onnxruntime==1.4.4"
    asked = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(tmp_path), wanted]
    if subprocess.run(asked, check=False, capture_output=True).returncode:
        pytest.skip(f"{wanted} cannot be downloaded here")
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read("rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx")
    result = adopt(data, Adoption(classes=("background", "text"), name="text", mean=(0.5,), std=(0.5,)))
    assert result.model.spec.logits_shape == (1, 2, 256, 256)
    assert (result.activation, result.opset) == ("sigmoid", 17)
    picture = np.full((256, 256), 255, np.uint8)
    cv2.putText(picture, "TRACHEA", (20, 140), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 0, 4)
    rows, columns = np.nonzero(logits(result, picture)[0].argmax(axis=0))
    word = np.nonzero(picture < 128)
    assert word[0].min() < rows.min() < rows.max() < word[0].max()  # it marks the core of a line of text
    assert np.ptp(columns) > 0.8 * np.ptp(word[1])
