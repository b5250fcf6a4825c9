"""One small model in both precisions, and an engine folder that tests may damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge3vt.calibrate.observe import observe
from edge3vt.calibrate.qdq import insert
from edge3vt.engine.build import build
from edge3vt.engine.recipe import EngineRecipe, Precision, Runtime, VerifyLimits
from tests import nets

SIZE = 64
LIMITS = VerifyLimits(
    min_agreement=0.9, min_dice=0.7, max_mean_error=0.06, max_peak_error=0.15, max_view_difference=0.2
)


@pytest.fixture(scope="session")
def fp32() -> bytes:
    return nets.student(SIZE)


@pytest.fixture(scope="session")
def int8(fp32: bytes) -> bytes:
    return insert(fp32, observe(fp32, nets.spec(SIZE), nets.pictures(16, SIZE), set_name="some"))


@pytest.fixture(scope="session")
def recipe() -> Callable[..., EngineRecipe]:
    def make(
        runtime: Runtime = "onnxruntime", precision: Precision = "int8", limits: VerifyLimits = LIMITS
    ) -> EngineRecipe:
        table = "some" if precision == "int8" else None
        return EngineRecipe(1, "small", "small.onnx", precision, runtime, "golden", table, verify=limits)

    return make


@pytest.fixture(scope="session")
def _built(
    fp32: bytes, int8: bytes, recipe: Callable[..., EngineRecipe], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("engines") / "small"
    build(recipe(), fp32, int8, nets.pictures(6, SIZE, seed=3), out)
    return out


@pytest.fixture
def engine(_built: Path, tmp_path: Path) -> Path:
    """A sound engine folder, the test's own."""
    return Path(shutil.copytree(_built, tmp_path / "small"))
