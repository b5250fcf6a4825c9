"""TensorRT's own parser and builder as referee of flavours and rules, where TensorRT-RTX is installed; no GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge3vt.calibrate.qdq import insert
from tests.calibrate import graphs
from tests.calibrate.broken import EXAMPLES

trt: Any = pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed: pip install -e '.[rtx]'")
SHIPPED = Path(__file__).parents[2] / "edge3vt" / "assets" / "student-s384" / "student.onnx"
REJECTED = ("zero-point", "int32-bias", "qoperator", "scale", "custom-operator", "resize-antialias", "deform-conv")
LOGGER = trt.Logger(trt.Logger.INTERNAL_ERROR)


def built(model: bytes) -> str:
    """What became of it: "built", "rejected" by the parser, or "failed" in the builder."""
    builder = trt.Builder(LOGGER)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, LOGGER)
    if not parser.parse(model):
        return "rejected"
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    return "failed" if builder.build_serialized_network(network, config) is None else "built"


@pytest.mark.parametrize("flavour", ["tensorrt-fp32", "tensorrt-fp16"])
@pytest.mark.parametrize("model", [SHIPPED.read_bytes(), graphs.half_resolution(), graphs.foreign()])
def test_the_flavours_build(model: bytes, flavour: Any) -> None:
    size = 384 if len(model) > 1_000_000 else graphs.SIZE
    assert built(insert(model, graphs.table(model, size, count=1), flavour)) == "built"


@pytest.mark.parametrize("rule", [*REJECTED, "uint8-inside"])
def test_it_rejects_what_the_rules_say(rule: str) -> None:
    assert built(EXAMPLES[rule][0][2]()) == "rejected"


def test_a_size_that_is_not_fixed_fails_in_the_builder_and_uint8_passes_unseen() -> None:
    assert built(EXAMPLES["dynamic-size"][0][2]()) == "failed"
    assert built(EXAMPLES["uint8"][0][2]()) == "built"
