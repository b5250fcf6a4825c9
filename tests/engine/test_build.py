from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge3vt.core.digest import sha256_bytes
from edge3vt.core.errors import ArtifactError, DataError, GateError
from edge3vt.core.spec import WEIGHTS_KEY
from edge3vt.engine import keyring
from edge3vt.engine.build import build
from edge3vt.engine.manifest import ENGINE, Chain, EngineManifest, open_verified
from edge3vt.engine.model import read_model
from edge3vt.engine.recipe import EngineRecipe, VerifyLimits
from tests import nets

SIZE = 64
GOLDEN = nets.pictures(6, SIZE, seed=3)
Make = Callable[..., EngineRecipe]


def rescaled(model: bytes, name: str, factor: float) -> bytes:
    """The model with one constant multiplied."""
    proto = onnx.load_from_string(model)
    (constant,) = (tensor for tensor in proto.graph.initializer if tensor.name == name)
    constant.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constant) * np.float32(factor), name))
    return bytes(proto.SerializeToString())


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_engine_is_built_verified_and_whole(
    fp32: bytes, int8: bytes, recipe: Make, tmp_path: Path, runtime: str, precision: str
) -> None:
    pytest.importorskip(runtime)
    prepared = int8 if precision == "int8" else fp32
    manifest = build(recipe(runtime, precision), fp32, prepared, iter(GOLDEN), tmp_path / "a" / "engine")
    found, data = open_verified(tmp_path / "a" / "engine")
    assert found == manifest
    assert (data, manifest.sha256, manifest.source_sha256) == (prepared, sha256_bytes(prepared), sha256_bytes(fp32))
    assert manifest.verify is not None
    assert manifest.verify.frames == len(GOLDEN)
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "engine"]


@pytest.mark.parametrize(
    ("name", "factor"),
    [("stem.scale", 0.25), ("smooth2.relu.scale", 0.5), ("stage2.0.weight.scale", 4), ("logits.weight.scale", -1)],
)
def test_one_wrong_scale_fails_and_leaves_nothing(
    fp32: bytes, int8: bytes, recipe: Make, tmp_path: Path, name: str, factor: float
) -> None:
    with pytest.raises(GateError, match=r"engine small failed its verification and was not kept: .*asked for"):
        build(recipe(), fp32, rescaled(int8, name, factor), GOLDEN, tmp_path / "engine")
    assert not list(tmp_path.iterdir())


def test_a_slow_engine_fails(fp32: bytes, int8: bytes, recipe: Make, tmp_path: Path) -> None:
    limits = VerifyLimits(min_agreement=0, min_dice=0, min_speedup=1000.0)
    with pytest.raises(GateError, match=r"times as fast as FP32, 1000\.0 times was asked for"):
        build(recipe(limits=limits), fp32, int8, GOLDEN, tmp_path / "engine")


def test_models_that_do_not_belong_together_are_refused(fp32: bytes, int8: bytes, recipe: Make, tmp_path: Path) -> None:
    other = nets.student(SIZE, seed=1)
    for asked, source, prepared, message in (
        (recipe(), other, int8, "was not made from test-net-1"),
        (recipe(), fp32, fp32, "was not made from test-net-1 .* as int8"),
        (recipe(precision="fp32"), fp32, int8, "was not made from test-net-1 .* as fp32"),
        (recipe(precision="fp32"), int8, int8, "is quantised already"),
    ):
        with pytest.raises(ArtifactError, match=message):
            build(asked, source, prepared, GOLDEN, tmp_path / "engine")
    assert not list(tmp_path.iterdir())


def test_an_existing_output_is_kept_unless_asked(engine: Path, fp32: bytes, int8: bytes, recipe: Make) -> None:
    before = (engine / ENGINE).read_bytes()
    with pytest.raises(DataError, match="exists already; choose another output or give --overwrite"):
        build(recipe(), fp32, int8, GOLDEN, engine)
    with pytest.raises(GateError, match="failed its verification"):
        build(recipe(), fp32, rescaled(int8, "stem.scale", 0.25), GOLDEN, engine, overwrite=True)
    assert (engine / ENGINE).read_bytes() == before
    build(recipe(precision="fp32"), fp32, fp32, GOLDEN, engine, overwrite=True)
    assert (engine / ENGINE).read_bytes() == fp32
    assert list(engine.parent.iterdir()) == [engine]


def test_releases_count_up_and_stay_above_the_floor(
    engine: Path, fp32: bytes, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(keyring.VARIABLE, str(shutil.copytree(keyring.keys_folder(), tmp_path / "keys")))

    def built(**options: int) -> int:
        return build(recipe(precision="fp32"), fp32, fp32, GOLDEN, engine, overwrite=True, **options).release

    assert built() == 2
    keyring.raise_floor(keyring.own_key()[0], "small", 7)
    assert built() == 7
    assert built(release=9) == 9
    open_verified(engine)


def test_what_another_process_built_meanwhile_is_kept_if_it_serves(
    engine: Path, fp32: bytes, int8: bytes, recipe: Make
) -> None:
    there, _ = open_verified(engine)
    asked = []

    def serves(manifest: EngineManifest) -> bool:
        asked.append(manifest)
        return len(asked) == 1

    assert build(recipe(), fp32, int8, GOLDEN, engine, overwrite=True, keep=serves) == there
    assert build(recipe(), fp32, int8, GOLDEN, engine, overwrite=True, keep=serves).release == 2
    (engine / ENGINE).write_bytes(b"x")
    assert build(recipe(), fp32, int8, GOLDEN, engine, overwrite=True, keep=serves).release == 1
    assert len(asked) == 2  # a damaged one is not asked about


def test_the_chain_names_every_link(fp32: bytes, int8: bytes, recipe: Make, tmp_path: Path) -> None:
    manifest = build(recipe(), fp32, int8, GOLDEN, tmp_path / "engine", weights_sha256="w")
    table = read_model(int8).table_sha256
    assert table is not None
    assert manifest.chain == Chain("w", sha256_bytes(fp32), table, sha256_bytes(int8))


def test_a_model_that_names_its_weights_needs_nobody_to_name_them(fp32: bytes, recipe: Make, tmp_path: Path) -> None:
    proto = onnx.load_from_string(fp32)
    proto.metadata_props.add(key=WEIGHTS_KEY, value="5" * 64)
    own = proto.SerializeToString(deterministic=True)
    manifest = build(recipe(precision="fp32"), own, own, GOLDEN, tmp_path / "engine")
    assert manifest.chain.weights == "5" * 64


def test_a_folder_that_is_no_engine_is_never_overwritten(
    fp32: bytes, int8: bytes, recipe: Make, tmp_path: Path
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").touch()
    with pytest.raises(DataError, match="is no engine folder, so it is not overwritten"):
        build(recipe(), fp32, int8, GOLDEN, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter").exists()


def test_an_output_that_cannot_be_written_is_named(fp32: bytes, int8: bytes, recipe: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        build(recipe(), fp32, int8, GOLDEN, tmp_path / "file" / "engine")


def test_an_interrupted_build_leaves_nothing(fp32: bytes, int8: bytes, recipe: Make, tmp_path: Path) -> None:
    def interrupted() -> object:
        yield GOLDEN[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(recipe(), fp32, int8, interrupted(), tmp_path / "engine")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_an_unopenable_engine_is_refused_by_the_probe(
    fp32: bytes, int8: bytes, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        raise ArtifactError(f"{folder.name}: the runtime crashed on it (signal 11)")

    monkeypatch.setattr("edge3vt.engine.build.probe", broken)
    with pytest.raises(ArtifactError, match="signal 11"):
        build(recipe(), fp32, int8, GOLDEN, tmp_path / "engine")
    assert not list(tmp_path.iterdir())
