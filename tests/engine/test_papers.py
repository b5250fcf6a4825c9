from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge3vt.core.errors import BackendMissingError
from edge3vt.engine.manifest import Choice, read
from edge3vt.engine.papers import bill, card, wheel_list, wheels


def test_the_card_tells_what_it_is_and_what_it_is_not(engine: Path) -> None:
    manifest = read(engine)
    text = card(manifest)
    for part in ("Not a medical device", manifest.chain.onnx, manifest.chain.engine, "never trained", "agreement"):
        assert part in text


def test_the_card_tells_why_this_engine_and_until_when(engine: Path) -> None:
    manifest = read(engine)
    assert not {"chosen", "opened until", "kept in floats"} & set(re.findall(r"^\| ([^|]+) \|", card(manifest), re.M))
    assert "unknown: the ONNX file names none" in card(manifest)
    asked = replace(manifest.recipe, not_after="2027-06-30", keep_float=("stem", "head"))
    chain = replace(manifest.chain, weights="5" * 64)
    choice = Choice(asked, "int8", "fp16: 2.0 ms; int8: 1.0 ms; int8 kept: the fastest | that holds its limits", ())
    text = card(replace(manifest, recipe=asked, chain=chain, choice=choice))
    for row in (
        "| chosen | fp16: 2.0 ms; int8: 1.0 ms; int8 kept: the fastest \\| that holds its limits |",
        "| opened until | 2027-06-30, UTC |",
        "| kept in floats | stem, head |",
        f"| weights | {'5' * 64} |",
    ):
        assert row in text.splitlines()


def test_the_wheels_of_a_runtime_are_what_it_imports_and_no_more() -> None:
    plain, vino = wheels("onnxruntime"), wheels("openvino")
    assert {"edge3vt", "numpy", "onnx", "onnxruntime", "typer", "cryptography", "cffi"} <= set(plain)
    assert "openvino" not in plain
    assert "openvino" in vino
    assert not set(vino) & {"torch", "pytest", "cyclonedx-python-lib"}
    lines = wheel_list(plain).splitlines()
    assert lines[0].startswith("# As installed for Python 3.")
    assert f"numpy=={plain['numpy']}" in lines


def test_the_bill_is_cyclonedx_and_names_engine_model_and_packages(engine: Path) -> None:
    manifest = read(engine)
    document = json.loads(bill(manifest, {"numpy": "2.2.6"}))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    main = document["metadata"]["component"]
    assert (main["name"], main["type"]) == ("small", "machine-learning-model")
    assert main["hashes"] == [{"alg": "SHA-256", "content": manifest.chain.engine}]
    named = {component["name"]: component for component in document["components"]}
    assert set(named) == {"test-net", "numpy"}
    assert named["numpy"]["purl"] == "pkg:pypi/numpy@2.2.6"
    assert named["test-net"]["hashes"][0]["content"] == manifest.chain.onnx


def test_what_is_not_installed_is_named(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cyclonedx.model.bom", None)
    with pytest.raises(BackendMissingError, match=r"edge3vt\[bundle\]"):
        bill(read(engine), {})
