from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge3vt.core import jetson as module
from edge3vt.core.jetson import Jetson, jetson

RELEASE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"


def board(root: Path, model: str = "NVIDIA Jetson Orin Nano Developer Kit", release: str | None = RELEASE) -> Path:
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/model").write_bytes(model.encode() + b"\0")
    (root / "etc").mkdir()
    if release is not None:
        (root / "etc/nv_tegra_release").write_text(release)
    return root


def test_a_jetson_is_model_release_and_power_mode(tmp_path: Path) -> None:
    found = jetson(board(tmp_path), lambda: "NV Power Mode: MAXN_SUPER\n2\n")
    assert found == Jetson("NVIDIA Jetson Orin Nano Developer Kit", "36.4.3", "MAXN_SUPER")


@pytest.mark.parametrize(
    "model", ["NVIDIA Jetson AGX Thor Developer Kit", "Jetson-AGX", "NVIDIA Orin NX Developer Kit"]
)
def test_other_modules_are_jetsons_too(tmp_path: Path, model: str) -> None:
    found = jetson(board(tmp_path, model), str)
    assert found == Jetson(model, "36.4.3", None)


@pytest.mark.parametrize("model", ["Raspberry Pi 5 Model B", ""])
def test_other_boards_are_none(tmp_path: Path, model: str) -> None:
    assert jetson(board(tmp_path, model), lambda: pytest.fail("nvpmodel was asked")) is None


def test_this_machine_is_none_without_a_device_tree(tmp_path: Path) -> None:
    assert jetson(tmp_path) is None


def test_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    found = jetson(board(tmp_path, release=None), lambda: "NVPM ERROR: failed to read PARAM")
    assert found is not None
    assert (found.l4t, found.power_mode) == (None, None)


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("nvpmodel", 5)])
def test_an_nvpmodel_that_does_not_answer_says_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", failing)
    assert module._nvpmodel() == ""
