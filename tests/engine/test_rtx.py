"""TensorRT-RTX, which needs no GPU to compile for one, runs the builder's own code on the real parser and builder.
It shows that the shipped student parses, that its types agree and that convolutions take INT8; not how another
TensorRT fuses them, nor how fast they are. Its plans run on RTX cards only."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from edge3vt.calibrate.half import to_half
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.table import CalibrationTable
from edge3vt.core.documents import read_json, read_toml
from edge3vt.core.errors import ArtifactError
from edge3vt.core.shipped import documents, find
from edge3vt.engine.recipe import EngineRecipe, Precision, TensorRt
from edge3vt.engine.tensorrt import logger
from edge3vt.engine.tensorrt_builder import check_prepared, configured, detected, parsed, way

trt: Any = pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed: pip install -e '.[rtx]'")
ASSET = Path(__file__).parents[2] / "edge3vt" / "assets" / "student-s384"
CARDS = ("SM86", "SM89", "SM120")  # RTX 30, 40 and 50


@pytest.fixture(scope="module")
def fp32() -> bytes:
    return (ASSET / "student.onnx").read_bytes()


@pytest.fixture(scope="module")
def prepared(fp32: bytes) -> Callable[..., bytes]:
    table = read_json(CalibrationTable, ASSET / "table.json")

    def make(precision: Precision, keep_float: frozenset[str] = frozenset()) -> bytes:
        if precision == "int8":
            return insert(fp32, table, "tensorrt-fp16", keep_float)
        model = onnx.load_from_string(fp32)
        if precision == "fp16":
            to_half(model)
        return bytes(model.SerializeToString())

    return make


def compiled(model: bytes, precision: Precision, card: str) -> bytes:
    found = detected(trt)
    chosen = way(found, precision, None)
    check_prepared(model, precision, chosen.typing)
    builder = trt.Builder(logger(trt))
    network, parser = parsed(trt, builder, model, chosen, found)
    config = configured(trt, builder, TensorRt(), chosen)
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, card), 0)
    plan = builder.build_serialized_network(network, config)
    del parser
    assert plan is not None, logger(trt).last
    return bytes(plan)


def convolutions(plan: bytes) -> dict[str, tuple[str, str]]:
    """Types of input and weights of each convolution in the plan's text, which NVIDIA does not document."""
    text = plan.decode("latin-1")
    types = dict(re.findall(r'tensor=\{[^\n]*? name="([^"\n]+)"[^\n]*? type=(\w+)', text))
    found = re.findall(r'corrltn=\{ name="([^"\n]+?)_U\d+"[^\n]*? input=\{"([^"\n]+)" "([^"\n]+)"', text)
    return {name: (types.get(x, "?"), types.get(w, "?")) for name, x, w in found}


def names(model: bytes) -> set[str]:
    return {node.name for node in onnx.load_from_string(model).graph.node if node.op_type == "Conv"}


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_shipped_student_compiles(prepared: Callable[..., bytes], precision: Precision, card: str) -> None:
    model = prepared(precision)
    kinds = convolutions(compiled(model, precision, card))
    assert kinds.keys() == names(model)
    expected = {"fp32": "float", "fp16": "half", "int8": "int8"}[precision]
    assert set(kinds.values()) == {(expected, expected)}


def test_one_convolution_left_in_float_is_seen(prepared: Callable[..., bytes]) -> None:
    model = prepared("int8", frozenset({"smooth1"}))
    kinds = convolutions(compiled(model, "int8", "SM89"))
    assert {name for name, kind in kinds.items() if kind != ("int8", "int8")} == {"smooth1"}


@pytest.mark.parametrize("card", CARDS)
def test_what_the_recipes_build_compiles_with_int8_in_every_convolution_but_those_kept(fp32: bytes, card: str) -> None:
    recipe = read_toml(EngineRecipe, documents("recipe")["rtx-int8"])
    table = read_json(CalibrationTable, find("table", recipe.table or ""))
    kinds = convolutions(compiled(insert(fp32, table, "tensorrt-fp16", recipe.keep_float), "int8", card))
    assert {name for name, kind in kinds.items() if kind != ("int8", "int8")} == set(recipe.keep_float) & kinds.keys()
    assert set(recipe.keep_float) <= kinds.keys()


def test_what_the_parser_refuses_is_named(prepared: Callable[..., bytes]) -> None:
    model = onnx.load_from_string(prepared("fp32"))
    (node,) = [node for node in model.graph.node if node.op_type == "Resize"][:1]
    node.attribute.append(onnx.helper.make_attribute("antialias", 1))
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", 18))
    with pytest.raises(ArtifactError, match=rf"cannot parse the model \(node \d+ {node.name} \(Resize\): ") as caught:
        compiled(bytes(model.SerializeToString()), "fp32", "SM89")
    assert "\n" not in str(caught.value)
