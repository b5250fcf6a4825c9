from __future__ import annotations

from pathlib import Path

import pytest

from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ConfigError
from edge3vt.engine.recipe import EngineRecipe, TensorRt

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
