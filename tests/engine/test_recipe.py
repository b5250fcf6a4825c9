from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.bench.referee import Referee
from edge3vt.core.digest import sha256_file
from edge3vt.core.documents import read_json, read_toml
from edge3vt.core.errors import ConfigError
from edge3vt.core.shipped import documents, find
from edge3vt.engine.recipe import EngineRecipe, TensorRt

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "referee"
GOOD = {
    "schema": "1",
    "name": '"a-1"',
    "model": '"net"',
    "precision": '"int8"',
    "runtime": '"openvino"',
    "golden": '"golden"',
    "table": '"asset"',
}


def written(folder: Path, **changes: str) -> EngineRecipe:
    lines = [f"{key} = {value}" for key, value in (GOOD | changes).items() if value]
    (folder / "recipe.toml").write_text("\n".join(lines), encoding="utf-8")
    return read_toml(EngineRecipe, folder / "recipe.toml")


def test_a_recipe_has_one_thread_and_limits_unless_it_says_otherwise(tmp_path: Path) -> None:
    recipe = written(tmp_path)
    assert recipe.threads == 1
    assert recipe.keep_float == ()
    assert written(tmp_path, keep_float='["stem", "head"]').keep_float == ("stem", "head")
    assert recipe.verify.min_agreement > 0.9
    assert written(tmp_path, verify="{min_agreement = 0.5}").verify.min_agreement == 0.5
    assert written(tmp_path, precision='"fp32"', table="").table is None


def test_tensorrt_builds_as_the_recipe_says_and_by_default_for_the_soonest_answer(tmp_path: Path) -> None:
    recipe = written(tmp_path, runtime='"tensorrt"')
    assert recipe.tensorrt == TensorRt(typing=None, level=5, memory="copy", wait="spin", graph=True)
    asked = written(
        tmp_path, runtime='"tensorrt"', tensorrt='{memory = "mapped", wait = "block", graph = false}'
    ).tensorrt
    assert (asked.memory, asked.wait, asked.graph) == ("mapped", "block", False)
    assert written(tmp_path, runtime='"tensorrt"', precision='"fp16"', table="").precision == "fp16"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"not_after": '"2027-13-01"'}, "not_after is '2027-13-01', expected a day as \"2027-06-30\""),
        ({"precission": '"int8"'}, "unknown key 'precission'; did you mean 'precision'"),
        ({"verify": "{min_dise = 0.5}"}, "verify: unknown key 'min_dise'; did you mean 'min_dice'"),
        ({"precision": '"int4"'}, "precision: found 'int4', expected one of 'fp32', 'fp16', 'int8'"),
        ({"runtime": '"tensorflow"'}, "runtime: found 'tensorflow'"),
        ({"precision": '"fp16"', "runtime": '"tensorrt"'}, "an fp16 engine has no calibration table"),
        ({"precision": '"fp16"', "table": ""}, "fp16 engines are for tensorrt, not for openvino"),
        ({"tensorrt": "{level = 3}"}, "the table 'tensorrt' is not read for openvino"),
        ({"runtime": '"tensorrt"', "threads": "2"}, "threads counts cores for the CPU's runtimes"),
        ({"runtime": '"tensorrt"', "tensorrt": "{level = 6}"}, "tensorrt: level is 6, expected 0 to 5"),
        ({"runtime": '"tensorrt"', "tensorrt": "{workspace_mib = 1}"}, "workspace_mib is 1, expected 16 to 65536"),
        (
            {"runtime": '"tensorrt"', "tensorrt": '{typing = "loose"}'},
            "found 'loose', expected one of 'weak'",
        ),
        ({"runtime": '"tensorrt"', "tensorrt": "{dla = 0}"}, "tensorrt: unknown key 'dla'"),
        ({"table": ""}, "an int8 engine needs the key 'table'"),
        ({"precision": '"fp32"'}, "an fp32 engine has no calibration table"),
        ({"precision": '"fp32"', "table": "", "keep_float": '["a"]'}, "an fp32 engine is in floats anyway; remove the"),
        ({"keep_float": '"a"'}, "keep_float: found 'a' \\(str\\), expected a list"),
        ({"threads": "0"}, "threads is 0, expected 1 to 64"),
        ({"name": '"../x"'}, "name is '../x'"),
        ({"schema": "2"}, "schema 2 is not known"),
        ({"golden": ""}, "the key 'golden' is missing"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        written(tmp_path, **changes)


CHOICE = {
    "runtime": '"onnxruntime"',
    "candidates": '{precisions = ["fp32", "int8"], runtimes = ["onnxruntime", "openvino"]}',
}


def test_candidates_are_all_combinations_each_a_recipe_of_its_own(tmp_path: Path) -> None:
    recipe = written(tmp_path, **CHOICE, keep_float='["stem"]', threads="2")
    assert recipe.candidates is not None
    assert recipe.candidates.rate_hz == 60
    singles = recipe.singles()
    assert [(s.runtime, s.precision, s.table, s.keep_float) for s in singles] == [
        ("onnxruntime", "fp32", None, ()),
        ("onnxruntime", "int8", "asset", ("stem",)),
        ("openvino", "fp32", None, ()),
        ("openvino", "int8", "asset", ("stem",)),
    ]
    assert {(s.name, s.model, s.threads, s.candidates) for s in singles} == {("a-1", "net", 2, None)}
    assert written(tmp_path).singles() == (written(tmp_path),)


def test_sizes_of_a_student_may_be_candidates(tmp_path: Path) -> None:
    lists = '{models = ["net", "net-256"], max_dice_loss = 0.01, rate_hz = 30}'
    assert [s.model for s in written(tmp_path, candidates=lists).singles()] == ["net", "net-256"]


@pytest.mark.parametrize(
    ("candidates", "changes", "message"),
    [
        ("{}", {}, "candidates: there is nothing to choose from"),
        ('{precisions = ["int8"]}', {}, "there is nothing to choose from"),
        ('{precisions = ["int8", "int8"]}', {}, "'int8' stands twice"),
        ('{precisions = ["fp32", "int8"], rate_hz = 0}', {}, "rate_hz is 0.0, expected 1 to 1000"),
        ('{precisions = ["fp32", "fp16"]}', {}, "precisions lacks 'int8', which the recipe itself names; add it"),
        ('{runtimes = ["onnxruntime", "tensorrt"]}', {}, "runtimes lacks 'openvino'"),
        ('{precisions = ["fp16", "int8"]}', {}, "fp16 engines are for tensorrt, not for openvino"),
        ('{precisions = ["fp32", "int8"]}', {"table": ""}, "an int8 engine needs the key 'table'"),
        ('{runtimes = ["onnxruntime", "openvino"]}', {"precision": '"fp32"'}, "no candidate is int8; remove the keys"),
        ('{models = ["net", "b"]}', {}, "several sizes need the key 'max_dice_loss'"),
        ('{precisions = ["fp32", "int8"], max_dice_loss = 0.1}', {}, "is read for several models only; remove it"),
        ('{models = ["net", "b"], max_dice_loss = 0.1}', {"table": '"mine"'}, "table is 'mine', of one model"),
        ('{precisions = ["fp32", "int8"]}', {"verify": "{min_speedup = 1.0}"}, "remove the key 'min_speedup'"),
        ('{precision = ["int8"]}', {}, "candidates: unknown key 'precision'; did you mean 'precisions'"),
    ],
)
def test_candidates_that_make_no_sense_are_refused(
    tmp_path: Path, candidates: str, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        written(tmp_path, candidates=candidates, **changes)


def test_each_recipe_that_ships_says_what_it_needs_and_its_name_is_its_files(tmp_path: Path) -> None:
    for name, path in documents("recipe").items():
        recipe = read_toml(EngineRecipe, path)
        assert recipe.name == name
        assert (len(recipe.singles()) > 1) == (recipe.candidates is not None)
    devices = {"orin-nano", "orin-nx", "agx-orin", "thor", "rtx", "x86", "arm"}
    assert {n for n, p in documents("recipe").items() if read_toml(EngineRecipe, p).candidates} == devices


def test_what_tensorrt_recipes_quantise_is_what_the_referee_passed() -> None:
    record = read_json(Referee, RESULTS / "student-s384-tensorrt.json")
    assert record.passed
    kept = {one.keep_float for one in record.candidates if one.name.startswith("tensorrt")}
    recipes = [read_toml(EngineRecipe, path) for path in documents("recipe").values()]
    quantised = [r for r in recipes if r.runtime == "tensorrt" and r.precision == "int8"]
    assert len(quantised) == 7
    for recipe in quantised:
        assert recipe.model == "student-s384"
        assert {recipe.keep_float} == kept
        assert sha256_file(find("table", recipe.table or "")) == record.table_sha256
