"""``edge3vt calibrate --sensitivity``: from a set to the layers that a recipe keeps, and to the engine without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edge3vt.calibrate.qdq import layers
from edge3vt.calibrate.wiring import layer_name
from edge3vt.cli.layers import true_mask
from edge3vt.cli.main import main
from edge3vt.core.anatomy import CLASS_NAMES
from edge3vt.core.frame import Crop
from edge3vt.data.writer import DatasetWriter
from edge3vt.phantom.cine import Scene
from edge3vt.picture.mask import place
from tests import nets
from tests.calibrate.graphs import outlier

SIZE = 64
PLANTED = "stage1.1"
SET = 'schema = 1\nname = "mine"\nsource = "dataset"\npath = "some"\ncount = 4\n'
RECIPE = """schema = 1
name = "small"
model = "net.onnx"
precision = "int8"
runtime = "onnxruntime"
table = "t.json"
golden = "golden.toml"
keep_float = {kept}

[verify]
min_agreement = 0.5
min_dice = 0.0
max_mean_error = 9.0
max_peak_error = 9.0
max_view_difference = 999.0
"""
Call = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture(scope="module")
def scenes() -> list[Any]:
    return [Scene(7_000_000 + index, 320, 240).at(0.2) for index in range(4)]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scenes: list[Any]
) -> Call:
    """In a folder with a net of which one layer is planted to suffer, and a set of phantoms with masks."""
    monkeypatch.chdir(tmp_path)
    Path("net.onnx").write_bytes(outlier(nets.student(SIZE), "stage1.0", PLANTED))
    Path("set.toml").write_text(SET)
    Path("golden.toml").write_text('schema = 1\nname = "few"\nsource = "phantom"\nseed = 7_700_000\ncount = 2\n')
    with DatasetWriter(Path("some"), "some", CLASS_NAMES, resume=False) as writer:
        for index, picture in enumerate(scenes):
            facts: dict[str, float | str] = {"weeks": 20.0 + 4 * index, "region": "0,0,320,240"}
            shown = {"patient": f"who{index}", "source": "test", "mm_per_px": picture.mm_per_px, "facts": facts}
            writer.add(f"i{index}", picture.pixels, picture.mask, split="train", **shown)

    def called(*arguments: object) -> tuple[int, dict[str, Any], str]:
        with pytest.raises(SystemExit) as stopped:
            main([*(str(a) for a in arguments), "--json"])
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), json.loads(out or "{}"), err

    return called


ASK = ("calibrate", "net.onnx", "set.toml", "-o", "t.json", "--sensitivity", "j.json")
BOUNDS = ("--against", "fp32", "--max-drop", 0.1, "--max-view", 99)


def quantised(path: Path) -> set[str]:
    """The layers of an ONNX file that compute from a DequantizeLinear."""
    graph = onnx.load(str(path)).graph
    made = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    return {layer_name(node) for node in graph.node if made & set(node.input) and node.op_type != "QuantizeLinear"}


def test_a_planted_layer_is_found_and_the_engine_keeps_it_in_floats(call: Call) -> None:
    code, document, err = call(*ASK, *BOUNDS)
    assert code == 0, err
    found = document["layers"]
    assert (found["against"], found["pictures"]) == ("fp32", 4)
    assert found["sensitivity"]["ranking"][0]["layer"] == PLANTED
    assert found["sensitivity"]["keep_float"] == [PLANTED]

    Path("small.toml").write_text(RECIPE.format(kept=json.dumps(found["sensitivity"]["keep_float"])))
    assert call("build", "small.toml", "-o", "kept")[0] == 0
    every = set(layers(Path("net.onnx").read_bytes(), "cpu"))
    assert every - quantised(Path("kept/engine.onnx")) == {PLANTED}
    Path("small.toml").write_text(RECIPE.format(kept=[]))
    assert call("build", "small.toml", "-o", "whole")[0] == 0
    assert quantised(Path("whole/engine.onnx")) == every
    Path("small.toml").write_text(RECIPE.format(kept='["stage1.9"]'))
    code, _, err = call("build", "small.toml", "-o", "wrong")
    assert (code, "no layer to keep in floats is named 'stage1.9'; did you mean 'stage1." in err) == (2, True)


def test_a_search_goes_on_where_its_time_ended_with_the_table_that_is_there(call: Call) -> None:
    code, document, _ = call(*ASK, *BOUNDS, "--minutes", 0)
    assert (code, document["layers"]["trials"], document["layers"]["sensitivity"]["keep_float"]) == (1, 0, None)
    table = Path("t.json").read_bytes()
    code, first, _ = call(*ASK, *BOUNDS)
    assert (code, first["layers"]["trials"] > 10, Path("t.json").read_bytes() == table) == (0, True, True)
    code, again, _ = call(*ASK, *BOUNDS)
    assert (code, again["layers"]["trials"]) == (0, 0)
    assert again["layers"]["sensitivity"] == first["layers"]["sensitivity"]
    code, _, err = call(*ASK, *BOUNDS, "--flavour", "tensorrt-fp32")
    assert (code, "j.json: was kept for 'cpu of model" in err) == (2, True)


def test_the_truth_judges_where_the_set_has_any_and_the_view_is_bound_too(call: Call) -> None:
    code, document, _ = call(*ASK, "--max-drop", 0.5)
    found = document["layers"]
    assert (code, found["against"], found["sensitivity"]["max_view"]) == (0, "truth", 0.5)
    assert set(found["sensitivity"]["float_scores"]) == {*CLASS_NAMES[1:], "view logit"}
    assert found["sensitivity"]["float_scores"][CLASS_NAMES[1]] < 0.5  # a net of random weights
    lost = -found["sensitivity"]["kept_scores"]["view logit"]
    assert lost <= 0.5 < -found["sensitivity"]["int8_scores"]["view logit"]
    assert found["sensitivity"]["keep_float"]


def test_options_of_a_search_want_one_and_truths_want_masks(call: Call, scenes: list[Any]) -> None:
    code, _, err = call("calibrate", "net.onnx", "set.toml", "-o", "t.json", "--max-drop", 0.1)
    assert (code, "--against are of --sensitivity; add that" in err) == (2, True)
    Path("set.toml").write_text(SET.replace("dataset", "folder").replace('"some"', '"some/pictures"'))
    code, _, err = call(*ASK, "--against", "truth")
    assert (code, "no picture of the set has a mask of the model's classes" in err) == (2, True)


def test_a_true_mask_lies_on_the_crops_grid() -> None:
    mask = np.random.default_rng(0).integers(0, 6, (30, 40)).astype(np.uint8)
    over = true_mask(mask, Crop(-5, -10, 50, 50))  # a pixel for a pixel, hanging over on every side
    assert np.array_equal(over[10:40, 5:45], mask)
    assert not over[:10].any()
    assert not over[40:].any()
    assert not over[:, 45:].any()
    finer = true_mask(mask, Crop(4, 3, 20, 60))
    assert np.array_equal(place(finer, Crop(4, 3, 20, 60), mask.shape)[3:23, 4:24], mask[3:23, 4:24])
