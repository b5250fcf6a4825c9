"""The fakes have nothing that the real bindings lack, by the same names, numbers and parameters. The session and the
builder run on the fakes of every version: so each attribute they use exists in each version."""

from __future__ import annotations

import inspect
import json
import os
from enum import Enum
from pathlib import Path

import pytest

from tests.engine import bindings
from tests.engine.bindings import CUDA, WHEELS, Members, members
from tests.engine.fake_cuda import World, cuda_bindings, pycuda
from tests.engine.fake_tensorrt import KEPT_WHOLE, fake

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge3vt" / "bindings"  # as the Makefile's


def strays(module: object, real: Members, only: tuple[str, ...] = ()) -> list[str]:
    """Members of a fake module that the real one lacks, or has with another number or other parameters."""
    out = []
    for name, value in vars(module).items():
        if name.startswith("__") or (only and name not in only):
            continue
        if not isinstance(value, type):
            out += [name] if name in real and different(value, real[name]) else []
            continue
        for key, member in vars(value).items():
            path = f"{name}.{key}"
            if key == "__init__" and not issubclass(value, Enum) and real.get(path, True) is not True:
                out += [path] if different(member, real[path]) else []
            elif not key.startswith("_") and (path not in real or different(member, real[path])):
                out.append(path)
    return out


def different(mine: object, real: object) -> bool:
    if isinstance(mine, staticmethod):
        mine = mine.__func__
    if isinstance(real, str) and callable(mine):
        names = [name for name in inspect.signature(mine).parameters if name != "self"]
        asked = [name for name in real.split(", ") if name]
        return bool(asked) and names != asked[: len(names)]
    return type(real) is int and isinstance(mine, int) and int(mine) != real


TENSORRT = [
    "Builder",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "ITimingCache",
    "OnnxParser",
    "ParserError",
    "Runtime",
    "BuilderFlag",
    "DataType",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "TensorIOMode",
]


@pytest.mark.parametrize("version", WHEELS)
def test_the_fake_of_each_version_is_no_more_than_the_real_one(version: str) -> None:
    trt = fake(version, World())
    assert strays(trt, members("tensorrt", version), tuple(TENSORRT)) == []
    assert {name for name in vars(trt) if name[0].isupper()} >= set(TENSORRT)
    assert hasattr(trt.BuilderFlag, "FP16") == (version != "11.4")
    assert hasattr(trt.ParserError, "node_name") == (version != "8.6")


def test_numbers_differ_between_versions_so_none_is_written_down() -> None:
    numbers = {v: int(fake(v, World()).NetworkDefinitionCreationFlag.STRONGLY_TYPED) for v in WHEELS if v != "8.6"}
    assert set(numbers.values()) == {0, 1}


@pytest.mark.parametrize("version", CUDA)
def test_the_fake_of_cuda_bindings_is_no_more_than_the_real_one(version: str) -> None:
    assert strays(cuda_bindings(World()), members("cuda-bindings", version)) == []


def test_the_fake_of_pycuda_is_no_more_than_the_real_one() -> None:
    module = pycuda(World())
    assert strays(module, members("pycuda", "2026.1")) == []
    real = members("pycuda", "2026.1")
    assert {name for name, value in vars(module).items() if name[0] != "_" and not isinstance(value, type)} <= set(real)


def test_the_comparison_sees_a_stray_a_wrong_number_and_a_wrong_parameter() -> None:
    trt = fake("10.3", World())
    trt.Runtime.open_plan = lambda self: None
    trt.Builder.create_network = lambda self, flag: None
    trt.TensorIOMode = Enum("TensorIOMode", {"INPUT": 1, "INOUT": 5})
    assert set(strays(trt, members("tensorrt", "10.3"), ("Runtime", "Builder", "TensorIOMode"))) >= {
        "Runtime.open_plan",
        "Builder.create_network",
    }
    module = cuda_bindings(World())
    module.cuGraphLaunch = lambda hStream, hGraphExec: ()  # type: ignore[attr-defined]
    assert strays(module, members("cuda-bindings", "12.9")) == ["cuGraphLaunch"]


def read(version: str, read_one: object) -> Members:
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        return read_one(version, CACHE)  # type: ignore[operator, no-any-return]
    except RuntimeError as error:
        pytest.skip(f"the wheel cannot be had or read here: {error}")


@pytest.mark.slow
@pytest.mark.parametrize("version", WHEELS)
def test_the_real_bindings_are_what_the_committed_file_says(version: str) -> None:
    assert read(version, bindings.read_tensorrt) == members("tensorrt", version)


@pytest.mark.slow
@pytest.mark.parametrize("version", CUDA)
def test_the_real_cuda_bindings_are_what_the_committed_file_says(version: str) -> None:
    found, kept = read(version, bindings.read_cuda), members("cuda-bindings", version)
    assert found == kept


def test_the_real_pycuda_is_what_the_committed_file_says() -> None:
    try:
        found = bindings.read_pycuda()
    except ImportError as error:
        pytest.skip(f"PyCUDA is not installed here, docs/jetson.md tells how to build it ({error})")
    assert found == members("pycuda", "2026.1")


def test_the_committed_file_is_small_and_whole() -> None:
    document = json.loads(bindings.API.read_text(encoding="utf-8"))
    assert bindings.API.stat().st_size < 64_000
    assert [document[name]["versions"] for name in document] == [list(WHEELS), list(CUDA), ["2026.1"]]
    assert set(KEPT_WHOLE) & set(TENSORRT) == set()
