"""What a cart with a Jetson installs can be had for it: JetPack 6 is Python 3.10, JetPack 7 is 3.12, both aarch64."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge3vt" / "bindings"
EXTRAS = ["openvino", "tensorrt", "window"]
BUILT_THERE = "pycuda"  # has no wheels for anything: docs/jetson.md


@pytest.fixture(scope="module")
def uv() -> Path:
    """A resolver that takes another machine's point of view; pip evaluates markers for this one."""
    tool = CACHE / "uv" / "bin" / "uv"
    if not tool.exists():
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(CACHE / "uv"), "uv>=0.9"]
        done = subprocess.run(install, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"uv cannot be had here: {done.stderr.strip()[-300:]}")
    return tool


def resolved(uv: Path, python: str, platform: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [str(uv), "--no-config", "pip", "compile", "pyproject.toml", "--quiet", "--no-header", "--no-annotate"]
    command += ["--python-version", python, "--python-platform", platform, "--only-binary", ":all:"]
    command += ["--no-binary", BUILT_THERE, "-c", f"constraints/py{python.replace('.', '')}.txt", *more]
    for extra in EXTRAS:
        command += ["--extra", extra]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.10", "3.12"])
def test_every_pin_of_a_cart_has_a_wheel_for_aarch64(uv: Path, python: str) -> None:
    done = resolved(uv, python, "aarch64-manylinux_2_35")  # Ubuntu 22.04, JetPack 6; 7 has a later one
    if "error sending request" in done.stderr:
        pytest.skip(f"the index does not answer: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr
    pins = set((ROOT / f"constraints/py{python.replace('.', '')}.txt").read_text(encoding="utf-8").splitlines())
    assert set(done.stdout.split()) <= pins
    assert {"numpy", "onnxruntime", "openvino", "pycuda", "cuda-bindings"} <= {
        p.split("==")[0] for p in done.stdout.split()
    }


@pytest.mark.slow
def test_the_check_sees_a_package_without_a_wheel(uv: Path) -> None:
    done = resolved(uv, "3.10", "aarch64-manylinux_2_31")  # Ubuntu 20.04, JetPack 5: OpenVINO's begin at 2.35
    if "error sending request" in done.stderr:
        pytest.skip(f"the index does not answer: {done.stderr.strip()[-300:]}")
    assert done.returncode != 0
    assert "openvino" in done.stderr
