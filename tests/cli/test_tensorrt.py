"""A TensorRT engine from its recipe to its run, on fakes that are held to the real API."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edge3vt.cli import engines
from edge3vt.cli.engines import build_engine, named_model
from edge3vt.core.documents import read_toml
from edge3vt.core.errors import ArtifactError
from edge3vt.core.shipped import find
from edge3vt.engine.manifest import open_verified
from edge3vt.engine.open import open_engine
from edge3vt.engine.recipe import EngineRecipe
from tests.engine.fake_cuda import World, install
from tests.engine.fake_tensorrt import fake


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    world = World()
    install(world, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGE3VT_KEYS", str(tmp_path / "keys"))
    monkeypatch.setattr("edge3vt.engine.build.probe", lambda _: None)  # its child has no fakes
    pictures = engines.pictures_of
    monkeypatch.setattr(engines, "pictures_of", lambda name, spec: islice(pictures(name, spec), 3))
    return world


@pytest.mark.parametrize(
    ("version", "recipe", "flags"),
    [
        pytest.param("8.6", "jetson-int8", ["FP16", "INT8", "TF32"], marks=pytest.mark.slow),
        pytest.param("10.3", "jetson-fp16", ["FP16", "TF32"], marks=pytest.mark.slow),
        ("11.4", "jetson-int8", ["TF32"]),
        pytest.param("11.4", "rtx-fp16", ["TF32"], marks=pytest.mark.slow),
    ],
)
def test_a_shipped_recipe_becomes_an_engine_that_opens(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, recipe: str, flags: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", fake(version, world))
    asked = read_toml(EngineRecipe, find("recipe", recipe))
    looser = replace(asked.verify, min_dice=0.85)  # three pictures say less than the recipe's fifteen
    asked = replace(asked, verify=looser)
    out = tmp_path / "engine"
    manifest = build_engine(asked, out, overwrite=False)
    assert manifest.verify is not None
    assert manifest.verify.passed
    assert manifest.target.runtime_version == f"{version}.0"
    assert manifest.target.facts["SM"] == "8.7"
    assert (out / "engine.plan").read_bytes() == open_verified(out)[1]
    assert f'"flags": {json.dumps(flags)}'.encode() in (out / "engine.plan").read_bytes()[:300]
    assert list((tmp_path / "cache" / "edge3vt").glob("*.timings"))
    world.calls.clear()
    session = open_engine(out)
    assert ("upload" in world.calls) == (asked.tensorrt.memory == "copy")
    spec = named_model(asked.model).spec
    logits = np.full(spec.logits_shape, np.nan, np.float32)
    session.run(np.zeros(spec.input_shape, np.uint8), logits)
    assert np.isfinite(logits).all()
    session.close()


def test_an_engine_of_another_tensorrt_or_power_mode_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", fake("10.3", world))
    asked = read_toml(EngineRecipe, find("recipe", "jetson-fp16"))
    build_engine(asked, tmp_path / "engine", overwrite=False)
    monkeypatch.setitem(sys.modules, "tensorrt", fake("10.13", world))
    world.calls.clear()
    with pytest.raises(ArtifactError, match=r"built for tensorrt version 10\.3\.0, here is 10\.13\.0; build it again"):
        open_engine(tmp_path / "engine")
    assert "deserialize" not in world.calls
