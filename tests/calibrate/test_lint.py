from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edge3vt.calibrate.lint import RULES, lint, table
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.rule import TARGETS, TargetName
from edge3vt.core.errors import ArtifactError
from tests import nets
from tests.calibrate import graphs
from tests.calibrate.broken import EXAMPLES, changed, net, qoperator, quantised

ROOT = Path(__file__).parents[2]
CASES = [(rule, i) for rule, examples in EXAMPLES.items() for i in range(len(examples))]
SHIPPED = (ROOT / "edge3vt" / "assets" / "student-s384" / "student.onnx").read_bytes()


def test_every_rule_has_an_example_and_a_name_of_its_own() -> None:
    assert sorted(EXAMPLES) == sorted(rule.id for rule in RULES)


@pytest.mark.parametrize(("rule", "index"), CASES)
def test_each_rule_finds_its_example_at_its_node(rule: str, index: int) -> None:
    target, node, make = EXAMPLES[rule][index]
    model = make()
    found = [finding for finding in lint(model, target) if finding.rule == rule]
    assert node in [finding.node for finding in found]
    assert {finding.severity for finding in found} == {next(r.severity for r in RULES if r.id == rule)}
    errors = {finding.rule for finding in lint(model, target) if finding.severity == "error"}
    assert errors <= {rule}
    others = [name for name in TARGETS if not next(r for r in RULES if r.id == rule).speaks_of(name)]
    assert not [finding for name in others for finding in lint(model, name) if finding.rule == rule]


@pytest.mark.parametrize("rule", EXAMPLES)
def test_no_rule_finds_anything_where_nothing_is_wrong(rule: str) -> None:
    sound: dict[str, tuple[bytes, TargetName]] = {
        "signed-activation": (cpu(net().model(32)), "onnxruntime"),
        "unfused": (cpu(net().model(32)), "onnxruntime"),
        "half-on-cpu": (quantised(), "onnxruntime"),
        "types": (quantised(half=True), "tensorrt-11.4"),
        "opset": (quantised(), "tensorrt-8.6"),
        "half-scale": (quantised(half=True), "tensorrt-10.3"),
    }
    model, target = sound.get(rule, (quantised(), EXAMPLES[rule][0][0]))
    found = [finding.node for finding in lint(model, target) if finding.rule == rule]
    assert found == (["a", "logits"] if rule == "channels" else [])  # pixels and classes are never 32


def cpu(model: bytes) -> bytes:
    return insert(model, graphs.table(model, count=1), "cpu")


@pytest.mark.parametrize(
    "model", [SHIPPED, graphs.half_resolution(), graphs.foreign()], ids=["ours", "half", "foreign"]
)
def test_every_flavour_passes_its_targets(model: bytes) -> None:
    size = 384 if model is SHIPPED else graphs.SIZE
    observed = graphs.table(model, size, count=1)
    full, half = (insert(model, observed, flavour) for flavour in ("tensorrt-fp32", "tensorrt-fp16"))
    unavoidable = {"channels", "depthwise"}
    for target in TARGETS[:5]:
        assert {finding.rule for finding in lint(full, target)} <= unavoidable | {"types"}
    for target in TARGETS[1:5]:
        assert {finding.rule for finding in lint(half, target)} <= unavoidable
    for target in TARGETS[5:]:
        assert {finding.rule for finding in lint(insert(model, observed), target)} <= {"unfused"}


def test_the_flavour_for_the_cpu_does_not_pass_for_tensorrt() -> None:
    model = nets.student(64)
    found = {finding.rule for finding in lint(insert(model, graphs.table(model, 64)), "tensorrt-10.3")}
    assert {"uint8", "zero-point"} <= found


def test_errors_come_first() -> None:
    found = [finding.severity for finding in lint(changed(qoperator), "tensorrt-11.4")]
    assert found == sorted(found)
    assert set(found) == {"error", "warning"}


def test_the_page_holds_the_table() -> None:
    assert table() in (ROOT / "docs" / "lint.md").read_text(encoding="utf-8"), "python -m edge3vt.calibrate.lint"


def test_what_cannot_be_judged_is_refused_in_one_line() -> None:
    with pytest.raises(ArtifactError, match=r"x\.onnx: not an ONNX model"):
        lint(b"\xff\xfe" * 20, "openvino", "x.onnx")
    with pytest.raises(ArtifactError, match="holds no operators"):
        lint(b"", "openvino")
    for operator in ("Relu", "QuantizeLinear", "Add", "Conv"):
        graph = helper.make_graph([helper.make_node(operator, [], ["y"], name="n")], "g", [], [])
        with pytest.raises(ArtifactError, match="node n lacks inputs or outputs"):
            lint(helper.make_model(graph).SerializeToString(), "tensorrt-8.6")
    model = onnx.load_from_string(quantised())
    next(t for t in model.graph.initializer if t.name == "a.relu.scale").raw_data = b"\0"
    with pytest.raises(ArtifactError, match=r"tensor a\.relu\.scale does not hold what its shape says"):
        lint(model.SerializeToString(), "tensorrt-8.6")


def test_damaged_models_are_judged_or_refused_and_never_break_the_linter() -> None:
    rng = np.random.default_rng(0)
    whole = quantised()
    outcomes = set()
    for _ in range(150):
        data = bytearray(whole)
        for position in rng.integers(0, len(data), 3):
            data[position] ^= 1 << rng.integers(8)
        try:
            lint(bytes(data), "tensorrt-10.3")
            outcomes.add("judged")
        except ArtifactError:
            outcomes.add("refused")
    assert outcomes == {"judged", "refused"}
