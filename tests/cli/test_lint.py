from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge3vt.cli.main import main
from tests.calibrate.broken import changed, net, quantised, zero_point


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["lint", *map(str, arguments)])
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def test_a_shipped_model_passes_and_a_warning_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert called(capsys, "student-s384", "--target", "openvino")[:2][0] == 0
    code, text, _ = called(capsys, "student-s384", "--target", "tensorrt-11.4")
    assert code == 0
    assert "warning types: TensorRT 11 takes types at their word" in text
    assert text.splitlines()[-1].endswith("for tensorrt-11.4: 0 errors, 2 warnings")


def test_an_error_fails_and_names_rule_node_and_remedy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(changed(zero_point))
    code, text, _ = called(capsys, path, "--target", "tensorrt-8.6")
    assert code == 1
    lines = text.splitlines()
    assert lines[0].startswith("error zero-point: ")
    assert lines[0].endswith("quantise with flavour tensorrt-fp32 or tensorrt-fp16")
    assert lines[1:3] == ["    a.relu.q: zero point 5", "    a.relu.dq: zero point 5"]
    code, text, _ = called(capsys, path, "--target", "tensorrt-8.6", "--json")
    document = json.loads(text)
    assert (code, document["verb"], document["passed"], document["errors"]) == (1, "lint", False, 2)
    assert document["findings"][0]["rule"] == "zero-point"
    assert document["target"] == "tensorrt-8.6"


def test_what_concerns_the_whole_model_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "new.onnx").write_bytes(net().model(32, 21))
    assert (
        "    model: opset 21, tensorrt-10.3 is" in called(capsys, tmp_path / "new.onnx", "--target", "tensorrt-10.3")[1]
    )


def test_other_targets_and_files_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(quantised())
    code, _, said = called(capsys, tmp_path / "net.onnx", "--target", "tensorrt-7")
    assert (code, said.count("\n")) == (2, 1)
    assert "tensorrt-8.6" in said
    code, _, said = called(capsys, tmp_path / "none.onnx", "--target", "openvino")
    assert (code, said.count("\n")) == (2, 1)
    assert "none.onnx: cannot be read" in said
    (tmp_path / "text.onnx").write_text("no model at all\n" * 20)
    assert "text.onnx: not an ONNX model" in called(capsys, tmp_path / "text.onnx", "--target", "openvino")[2]
