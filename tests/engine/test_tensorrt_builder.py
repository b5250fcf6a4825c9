from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import onnx
import pytest

from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.qdq import insert
from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.engine import tensorrt_builder
from edge3vt.engine.recipe import Precision, TensorRt, Typing
from edge3vt.engine.tensorrt import open_session
from edge3vt.engine.tensorrt_builder import OPTIONAL, build_plan, check_prepared, detected, typing_here, way
from tests import nets
from tests.engine.bindings import WHEELS
from tests.engine.fake_cuda import World, install
from tests.engine.fake_tensorrt import fake

SIZE = 64


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    install(world, monkeypatch)
    return world


@pytest.fixture
def trt(world: World, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return use("10.3", world, monkeypatch)


def use(version: str, world: World, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    trt = fake(version, world)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    return trt


@pytest.fixture(scope="module")
def weak_int8(fp32: bytes) -> bytes:
    return insert(fp32, observe(fp32, nets.spec(SIZE), nets.pictures(16, SIZE), set_name="some"), "tensorrt-fp32")


@pytest.fixture(scope="module")
def strong_int8(fp32: bytes) -> bytes:
    return insert(fp32, observe(fp32, nets.spec(SIZE), nets.pictures(16, SIZE), set_name="some"), "tensorrt-fp16")


@pytest.fixture(scope="module")
def half(fp32: bytes) -> bytes:
    from edge3vt.calibrate.half import to_half

    model = onnx.load_from_string(fp32)
    to_half(model)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("version", "precision", "asked", "expected"),
    [
        ("8.6", "fp32", None, ("weak", ["EXPLICIT_BATCH"], [], ["TF32"])),
        ("8.6", "fp16", None, ("weak", ["EXPLICIT_BATCH"], ["FP16"], [])),
        ("8.6", "int8", None, ("weak", ["EXPLICIT_BATCH"], ["FP16", "INT8"], [])),
        ("10.3", "int8", None, ("weak", ["EXPLICIT_BATCH"], ["FP16", "INT8"], [])),
        ("10.16", "int8", "strong", ("strong", ["EXPLICIT_BATCH", "STRONGLY_TYPED"], [], [])),
        ("10.16", "fp32", "strong", ("strong", ["EXPLICIT_BATCH", "STRONGLY_TYPED"], [], ["TF32"])),
        ("11.4", "int8", None, ("strong", ["STRONGLY_TYPED"], [], [])),
        ("11.4", "fp32", None, ("strong", ["STRONGLY_TYPED"], [], ["TF32"])),
    ],
)
def test_the_way_follows_from_what_a_version_has(
    version: str, precision: Precision, asked: Typing | None, expected: tuple[str, list[str], list[str], list[str]]
) -> None:
    found = way(detected(fake(version, World())), precision, asked)
    assert (found.typing, list(found.network), list(found.on), list(found.off)) == expected


@pytest.mark.parametrize(("version", "typing"), [("8.6", "strong"), ("11.4", "weak")])
def test_a_typing_that_a_version_lacks_is_refused(version: str, typing: Typing) -> None:
    with pytest.raises(ConfigError, match=f"this TensorRT has no {typing} typing; leave out the key 'typing'"):
        way(detected(fake(version, World())), "int8", typing)


def test_each_optional_attribute_is_missing_somewhere_else_it_were_none() -> None:
    found = {version: detected(fake(version, World())) for version in WHEELS}
    for name in OPTIONAL:
        if name != "BuilderFlag.TF32":  # all of today's have it; NVIDIA advises against it
            assert {name in having for having in found.values()} == {True, False}, name


@pytest.mark.parametrize("version", WHEELS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_version_builds_each_precision_and_its_session_opens_it(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    version: str,
    precision: Precision,
) -> None:
    trt = use(version, world, monkeypatch)
    asked = TensorRt(workspace_mib=64, level=4)
    strong = typing_here(precision, asked) == "strong"
    assert strong == (version == "11.4")
    weakly, strongly = {
        "fp32": ("fp32", "fp32"),
        "fp16": ("fp32", "half"),
        "int8": ("weak_int8", "strong_int8"),
    }[precision]
    prepared = strongly if strong else weakly
    plan = build_plan(request.getfixturevalue(prepared), precision, asked)
    assert trt.asked["limits"] == {"WORKSPACE": 64 << 20}
    assert (trt.asked["level"], trt.asked["streams"]) == (4, 0)
    network = ["STRONGLY_TYPED"] if strong else ["EXPLICIT_BATCH"]
    assert trt.asked["network"] == network  # by the number that this version gives to it
    allowed = {"fp32": [], "fp16": ["FP16"], "int8": ["FP16", "INT8"]}[precision] if not strong else []
    assert trt.asked["flags"] == sorted([*allowed, *(["TF32"] if precision != "fp32" else [])])
    open_session(plan, nets.spec(SIZE)).close()


def test_strong_typing_is_asked_for_by_its_number_in_each_version(
    world: World, monkeypatch: pytest.MonkeyPatch, strong_int8: bytes
) -> None:
    for version, network in (("10.3", ["EXPLICIT_BATCH", "STRONGLY_TYPED"]), ("11.4", ["STRONGLY_TYPED"])):
        trt = use(version, world, monkeypatch)
        build_plan(strong_int8, "int8", TensorRt(typing="strong"))
        assert trt.asked["network"] == network


@pytest.mark.parametrize(
    ("model", "precision", "typing", "problem"),
    [
        ("fp32", "int8", "weak", "holds no Q/DQ, but int8"),
        ("weak_int8", "fp16", "weak", "holds Q/DQ, but fp16"),
        ("half", "fp16", "weak", "is FP16-typed, but fp16 with weak"),
        ("strong_int8", "int8", "weak", "is FP16-typed, but int8 with weak"),
        ("fp32", "fp16", "strong", "is FP32-typed, but fp16 with strong"),
        ("half", "fp32", "strong", "is FP16-typed, but fp32 with strong"),
    ],
)
def test_a_model_that_would_quietly_be_another_precision_is_refused(
    request: pytest.FixtureRequest, model: str, precision: Precision, typing: Typing, problem: str
) -> None:
    with pytest.raises(ArtifactError, match=f"the prepared model {problem}.*; prepare it for that"):
        check_prepared(request.getfixturevalue(model), precision, typing)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("8.6", r"TensorRT 8\.6\.0 cannot parse the model .node 3: In node 3: antialias is not supported"),
        ("10.3", r"node 3 /head/Resize .Resize.: In node 3: antialias is not supported.*edge3vt lint"),
    ],
)
def test_what_the_parser_refuses_is_named_by_its_node(
    world: World, monkeypatch: pytest.MonkeyPatch, fp32: bytes, version: str, message: str
) -> None:
    use(version, world, monkeypatch)
    world.faults["parse"] = 0
    with pytest.raises(ArtifactError, match=message) as caught:
        build_plan(fp32, "fp32", TensorRt())
    assert "\n" not in str(caught.value)


def test_a_build_that_fails_says_what_tensorrt_said(world: World, trt: ModuleType, fp32: bytes, tmp_path: Path) -> None:
    world.faults["build"] = 0
    with pytest.raises(ArtifactError, match=r"could not build the engine .*Could not find any implementation"):
        build_plan(fp32, "fp32", TensorRt(), tmp_path / "timings")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kept", "tries"), [(None, 1), (b"timings of 10.3", 1), (b"timings of 8.6", 2), (b"damaged", 2)]
)
def test_timings_are_kept_and_foreign_ones_begun_anew(
    world: World, trt: ModuleType, fp32: bytes, tmp_path: Path, kept: bytes | None, tries: int
) -> None:
    cache = tmp_path / "deep" / "timings"
    if kept is not None:
        cache.parent.mkdir()
        cache.write_bytes(kept)
    build_plan(fp32, "fp32", TensorRt(), cache)
    assert cache.read_bytes() == b"timings of 10.3"
    assert world.counts["create_timing_cache"] == tries


def test_timings_are_those_of_one_gpu_and_one_tensorrt(
    world: World, trt: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tensorrt_builder.timing_cache() == tmp_path / "edge3vt" / "orin-sm-8-7-tensorrt-10-3-0.timings"
