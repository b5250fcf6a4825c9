"""Stages of a frame's way, timed one by one; a baseline holds no name of a machine."""

from __future__ import annotations

import os
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before any runtime is loaded

import cv2
import pytest

from edge3vt.bench.baseline import cleaned
from edge3vt.bench.peers import pictures
from edge3vt.core.frame import Frame


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    output_json.update(cleaned(dict(output_json)))


@pytest.fixture(scope="session", autouse=True)
def one_core() -> None:
    """All of a stage on one core, as beside a busy neighbour; what it spawns inherits it."""
    cv2.setNumThreads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@pytest.fixture(scope="session")
def frame() -> Frame:
    """A grey 1024x768 phantom."""
    return pictures(1)[0]
