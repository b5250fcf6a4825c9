"""One small study, planned and read by everybody, for tests that only look at it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge3vt.data.dataset import Dataset
from tests.clinic.planning import make_set, plan, read_all


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_set(tmp_path_factory.mktemp("painted") / "set")


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory, painted: Dataset) -> Path:
    folder = tmp_path_factory.mktemp("planned") / "study"
    plan(folder, painted)
    return folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, planned: Path, painted: Dataset) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "study"
    shutil.copytree(planned, folder)
    read_all(folder, painted, {"ann": 0.3, "ben": 0.1})
    return folder


@pytest.fixture
def study(tmp_path: Path, planned: Path) -> Path:
    """A copy to read in."""
    shutil.copytree(planned, tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def read(tmp_path: Path, whole: Path) -> Path:
    """A copy, read by everybody, to spoil."""
    shutil.copytree(whole, tmp_path / "read")
    return tmp_path / "read"
