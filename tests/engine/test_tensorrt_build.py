"""TensorRT from build to open and verify, on the fakes: what is a plan, what it was made from, how it is opened."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge3vt.calibrate.observe import observe
from edge3vt.cli.engines import prepare
from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError, ConfigError
from edge3vt.engine import tensorrt
from edge3vt.engine.build import build
from edge3vt.engine.candidates import Offer, build_best
from edge3vt.engine.manifest import EngineManifest, read, unseal
from edge3vt.engine.model import read_model
from edge3vt.engine.open import open_engine, open_sealed
from edge3vt.engine.recipe import Candidates, EngineRecipe, Precision, TensorRt, VerifyLimits
from edge3vt.engine.verify import verify
from tests import nets
from tests.engine.fake_cuda import World, install
from tests.engine.fake_tensorrt import PLAN, fake

SIZE = 64
GOLDEN = nets.pictures(4, SIZE, seed=3)
ASKED = TensorRt(memory="mapped", wait="block", graph=False, workspace_mib=64)
LIMITS = VerifyLimits(min_agreement=0.8, min_dice=0.3, max_mean_error=0.2, max_peak_error=0.4, max_view_difference=1.0)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    world = World()
    install(world, monkeypatch)
    use("10.3", world, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("edge3vt.engine.build.probe", lambda _: None)  # its child has no fakes
    return world


def use(version: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", fake(version, world))


def recipe(precision: Precision = "int8") -> EngineRecipe:
    table = "some" if precision == "int8" else None
    return EngineRecipe(1, "small", "s.onnx", precision, "tensorrt", "golden", table, verify=LIMITS, tensorrt=ASKED)


def prepared(fp32: bytes, precision: Precision) -> bytes:
    table = observe(fp32, nets.spec(SIZE), nets.pictures(8, SIZE), set_name="some") if precision == "int8" else None
    return prepare(recipe(precision), read_model(fp32), table)


def built(fp32: bytes, precision: Precision, out: Path) -> EngineManifest:
    return build(recipe(precision), fp32, prepared(fp32, precision), GOLDEN, out)


@pytest.mark.parametrize("version", ["8.6", "10.16", "11.4"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_plan_is_built_verified_and_opened_as_the_recipe_says(
    world: World, monkeypatch: pytest.MonkeyPatch, fp32: bytes, tmp_path: Path, version: str, precision: Precision
) -> None:
    use(version, world, monkeypatch)
    opened = []
    session = tensorrt.TensorRtSession
    monkeypatch.setattr(tensorrt, "TensorRtSession", lambda *a: opened.append(a[2]) or session(*a))
    manifest = built(fp32, precision, tmp_path / "engine")
    plan = (tmp_path / "engine" / "engine.plan").read_bytes()
    assert plan.startswith(PLAN % version.encode())
    assert sorted(manifest.files) == ["engine.plan", "golden.npz"]
    assert manifest.sha256 == manifest.chain.engine == sha256_bytes(plan)
    assert manifest.source_sha256 == sha256_bytes(fp32)
    assert (manifest.table_sha256 is not None) == (precision == "int8")
    assert manifest.target.facts["SM"] == "8.7"
    found = verify(tmp_path / "engine", fp32, GOLDEN)
    assert found.passed, found.reasons
    open_engine(tmp_path / "engine").close()
    assert set(opened) == {ASKED}
    assert not world.live, "something was left on the GPU"


@pytest.mark.parametrize(
    ("version", "precision", "half", "quantised", "opset"),
    [
        ("10.16", "fp32", False, False, 17),
        ("10.16", "fp16", False, False, 17),
        ("10.16", "int8", False, True, 17),
        ("11.4", "fp32", False, False, 17),
        ("11.4", "fp16", True, False, 17),
        ("11.4", "int8", True, True, 19),
    ],
)
def test_the_model_is_prepared_for_the_typing_that_is_installed(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    fp32: bytes,
    version: str,
    precision: Precision,
    half: bool,
    quantised: bool,
    opset: int,
) -> None:
    use(version, world, monkeypatch)
    data = prepared(fp32, precision)
    graph = onnx.load_from_string(data)
    assert any(t.data_type == onnx.TensorProto.FLOAT16 for t in graph.graph.initializer) == half
    assert any(node.op_type == "QuantizeLinear" for node in graph.graph.node) == quantised
    assert [entry.version for entry in graph.opset_import] == [opset]
    assert read_model(data).source_sha256 == (sha256_bytes(fp32) if half or quantised else None)


def test_models_that_do_not_belong_together_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, fp32: bytes, tmp_path: Path
) -> None:
    other = nets.student(SIZE, seed=1)
    int8 = prepared(fp32, "int8")
    use("11.4", world, monkeypatch)
    half = prepared(fp32, "fp16")
    for precision, source, given in (
        ("fp16", other, fp32),
        ("fp16", other, half),
        ("fp16", fp32, int8),
        ("int8", fp32, half),
        ("fp32", fp32, half),
    ):
        with pytest.raises(ArtifactError, match=f"was not made from test-net-1 .* as {precision}"):
            build(recipe(precision), source, given, GOLDEN, tmp_path / "engine")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_plan_that_cannot_be_built_leaves_nothing(world: World, fp32: bytes, tmp_path: Path) -> None:
    world.faults["build"] = 0
    with pytest.raises(ArtifactError, match="could not build the engine"):
        built(fp32, "fp16", tmp_path / "a" / "engine")
    assert not list((tmp_path / "a").iterdir())


def test_the_rival_is_an_fp32_plan_and_timings_are_kept(world: World, fp32: bytes, tmp_path: Path) -> None:
    asked = []
    build_network = sys.modules["tensorrt"].Builder.build_serialized_network

    def noted(self: object, network: object, config: object) -> object:
        plan = build_network(self, network, config)
        asked.append(sys.modules["tensorrt"].asked["flags"])
        return plan

    sys.modules["tensorrt"].Builder.build_serialized_network = noted
    built(fp32, "int8", tmp_path / "engine")
    assert asked == [["FP16", "INT8", "TF32"], []]  # FP32 is without TF32
    assert [path.suffix for path in (tmp_path / "cache" / "edge3vt").iterdir()] == [".timings"]


def test_a_plan_of_another_gpu_is_refused_before_it_is_opened(
    world: World, monkeypatch: pytest.MonkeyPatch, fp32: bytes, tmp_path: Path
) -> None:
    built(fp32, "fp16", tmp_path / "engine")
    before = world.counts["deserialize"]
    use("10.16", world, monkeypatch)
    with pytest.raises(ArtifactError, match=r"built for tensorrt version 10\.3\.0, here is 10\.16\.0; build it again"):
        open_engine(tmp_path / "engine")
    assert world.counts["deserialize"] == before


def test_a_typing_that_is_not_there_is_refused_before_anything_is_made(world: World, fp32: bytes) -> None:
    strong = EngineRecipe(1, "a", "s.onnx", "fp16", "tensorrt", "golden", tensorrt=TensorRt(typing="strong"))
    with pytest.MonkeyPatch.context() as patch:
        use("8.6", world, patch)
        with pytest.raises(ConfigError, match="no strong typing"):
            prepare(strong, read_model(fp32), None)


def test_what_the_engine_answers_is_what_its_plan_computes(world: World, fp32: bytes, tmp_path: Path) -> None:
    manifest = built(fp32, "fp16", tmp_path / "engine")
    assert manifest.verify is not None
    assert manifest.verify.agreement == 1.0
    assert read(tmp_path / "engine") == manifest
    session = open_sealed(unseal(tmp_path / "engine"), tmp_path / "engine")
    logits = np.zeros(session.spec.logits_shape, np.float32)
    pixels = np.zeros(session.spec.input_shape, np.uint8)
    pixels[0, 0] = GOLDEN[0]
    session.run(pixels, logits)
    session.close()
    assert len(np.unique(logits.argmax(axis=1))) > 1


@pytest.mark.parametrize("version", ["10.3", "11.4"])
def test_fp16_and_int8_are_built_on_the_device_and_one_plan_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, fp32: bytes, tmp_path: Path, version: str
) -> None:
    use(version, world, monkeypatch)
    several = Candidates(("fp16", "int8"), rate_hz=1000)
    asked = replace(recipe("int8"), candidates=several)
    offers = [Offer(one, fp32, partial(prepared, fp32, one.precision), GOLDEN) for one in asked.singles()]
    manifest = build_best(asked, offers, tmp_path / "engine")
    assert manifest.choice is not None
    assert [candidate.name for candidate in manifest.choice.candidates] == ["fp16", "int8"]
    assert all(candidate.paced and candidate.paced.samples == 550 for candidate in manifest.choice.candidates)
    assert manifest.choice.kept == manifest.recipe.precision
    assert (manifest.table_sha256 is not None) == (manifest.recipe.precision == "int8")
    assert sorted(manifest.files) == ["engine.plan", "golden.npz"]
    open_engine(tmp_path / "engine").close()
    assert not world.live, "something was left on the GPU"


def test_what_tensorrt_cannot_build_does_not_hold_the_others_up(world: World, fp32: bytes, tmp_path: Path) -> None:
    world.faults["build"] = 0  # of FP16
    asked = replace(recipe("int8"), candidates=Candidates(("fp16", "int8"), rate_hz=1000))
    offers = [Offer(one, fp32, partial(prepared, fp32, one.precision), GOLDEN) for one in asked.singles()]
    manifest = build_best(asked, offers, tmp_path / "engine")
    assert manifest.choice is not None
    assert manifest.choice.kept == "int8"
    assert "fp16: not held (TensorRT 10.3.0 could not build the engine" in manifest.choice.why
