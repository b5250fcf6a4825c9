"""The TensorRT session on fakes that are held to the real API: order of calls, addresses, capture, fallback, clean-up
and each failure. That it is right on a GPU is not shown by this."""

from __future__ import annotations

import gc
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge3vt.core.errors import ArtifactError, BackendMissingError, EngineError
from edge3vt.core.session import Session
from edge3vt.engine import tensorrt
from edge3vt.engine.open import open_model, runtime_version
from edge3vt.engine.recipe import TensorRt
from edge3vt.engine.tensorrt import TensorRtSession
from tests import nets
from tests.engine.bindings import WHEELS
from tests.engine.fake_cuda import World, install
from tests.engine.fake_tensorrt import PLAN, fake
from tests.engine.test_open import (  # noqa: F401 - the contract of all sessions, here with the fixtures below
    SIZE,
    buffers,
    test_a_closed_session_says_so,
    test_a_run_fills_the_callers_buffers,
    test_the_same_buffers_again_and_other_buffers_give_each_pictures_answer,
    test_the_view_logit_need_not_be_asked_for,
    test_unfit_buffers_are_refused,
)

SPEC = nets.spec(SIZE)
WAYS = {
    "copy": TensorRt(),
    "mapped": TensorRt(memory="mapped"),
    "enqueue": TensorRt(graph=False),
    "mapped-block": TensorRt(memory="mapped", wait="block"),
}
Open = Callable[..., TensorRtSession]


def plan(model: bytes, version: str = "10.3") -> bytes:
    return PLAN % version.encode() + json.dumps({}).encode() + b"\n" + model


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    install(world, monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", fake("10.3", world))
    return world


@pytest.fixture
def opened(world: World, fp32: bytes) -> Iterator[Open]:
    """Opens sessions; afterwards they are closed, nothing may be left on the GPU and no context current."""
    sessions: list[TensorRtSession] = []

    def open_it(way: str = "copy", model: bytes = fp32, version: str = "10.3") -> TensorRtSession:
        sessions.append(tensorrt.open_session(plan(model, version), SPEC, asked=WAYS[way]))
        return sessions[-1]

    yield open_it
    for session in sessions:
        session.close()
    sessions.clear()
    gc.collect()
    assert world.live == set()
    assert world.contexts == []


@pytest.fixture(params=["fp32-copy", "int8-copy", "fp32-mapped", "fp32-enqueue", "int8-mapped-block"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def session(kind: str, opened: Open, fp32: bytes, int8: bytes) -> Session:
    precision, _, way = kind.partition("-")
    return opened(way, int8 if precision == "int8" else fp32)


@pytest.mark.parametrize("version", WHEELS)
@pytest.mark.parametrize("way", WAYS)
def test_every_version_runs_with_what_it_has(
    world: World, opened: Open, monkeypatch: pytest.MonkeyPatch, version: str, way: str
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", fake(version, world))
    session = opened(way, version=version)
    pixels, logits, view = buffers()
    session.run(pixels, logits, view)
    assert np.isfinite(logits).all()
    assert runtime_version("tensorrt") == f"{version}.0"


def test_opening_goes_in_order_and_a_run_is_one_launch(world: World, opened: Open) -> None:
    session = opened()
    assert session.how == "CUDA graph"
    runs = ["upload", "execute", "download", "download"]
    finish = ["record", "synchronize"]
    assert world.calls == [
        "init",
        "flags 1",  # spin, before the context is retained
        "retain",
        "Stream 1",  # does not wait for the default stream
        "Event 2",
        "deserialize",
        "create_execution_context",
        *["pagelocked_empty", "mem_alloc", "address of pixels"],
        *["pagelocked_empty", "mem_alloc", "address of logits"],
        *["pagelocked_empty", "mem_alloc", "address of view"],
        *runs * 3,
        *finish,
        *["begin", *runs, "end", "instantiate", "destroy graph"],
        *["launch", *finish] * 3,
    ]
    world.calls.clear()
    session.run(*buffers())
    assert world.calls == ["launch", *finish]
    world.calls.clear()
    session.close()
    assert world.calls == [*finish, "destroy executable"]


def test_mapped_memory_is_not_copied(world: World, opened: Open) -> None:
    opened("mapped-block")
    assert not {"upload", "download", "mem_alloc"} & set(world.calls)
    assert {"flags 4", "Event 3"} <= set(world.calls)  # both ways of waiting block


def test_without_a_graph_each_run_is_enqueued(world: World, opened: Open) -> None:
    session = opened("enqueue")
    world.calls.clear()
    session.run(*buffers())
    assert world.calls == ["upload", "execute", "download", "download", "record", "synchronize"]
    assert session.how == "plain enqueue, as the recipe asks"


@pytest.mark.parametrize(
    ("call", "number", "why"),
    [
        ("begin", 0, "cuStreamBeginCapture failed (CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)"),
        ("upload", 3, "upload failed: an illegal memory access"),
        ("execute", 3, "the run could not be enqueued: TensorRT gave no reason"),
        ("end", 0, "cuStreamEndCapture failed"),
        ("instantiate", 0, "cuGraphInstantiate failed"),
    ],
)
def test_what_cannot_be_captured_is_enqueued_and_right(
    world: World, opened: Open, fp32: bytes, call: str, number: int, why: str
) -> None:
    world.faults[call] = number
    session = opened()
    assert session.how.startswith(f"plain enqueue: {why}")
    assert world.capturing is None
    pixels, logits, view = buffers()
    pixels[0, 0] = nets.pictures(1, SIZE, seed=3)[0]
    session.run(pixels, logits, view)
    _, exact, exact_view = buffers()
    open_model(fp32, SPEC, "onnxruntime").run(pixels, exact, exact_view)
    np.testing.assert_allclose(logits, exact, atol=1e-4)


def test_without_cuda_bindings_each_run_is_enqueued(
    world: World, opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(world, monkeypatch, bindings=False)
    session = opened()
    assert session.how == "plain enqueue: cuda-bindings is not installed (pip install cuda-bindings)"
    assert "no CUDA graphs" in caplog.text
    session.run(*buffers())


@pytest.mark.parametrize(
    ("call", "number", "kind", "message"),
    [
        ("init", 0, BackendMissingError, "CUDA finds no GPU here .*nvidia-smi"),
        ("retain", 0, BackendMissingError, "GPU 0: no CUDA context"),
        ("deserialize", 0, ArtifactError, "cannot open it .Serialization assertion .*build it again on this machine"),
        ("create_execution_context", 0, EngineError, "no execution context .*memory full"),
        ("pagelocked_empty", 1, EngineError, "CUDA failed while the engine was opened"),
        ("mem_alloc", 2, EngineError, "CUDA failed while the engine was opened"),
        ("address of view", 0, EngineError, "TensorRT refused the memory for view"),
        ("execute", 0, EngineError, "the run could not be enqueued"),
        ("synchronize", 0, EngineError, "CUDA failed while the engine was opened"),
        ("launch", 0, EngineError, "TensorRT failed .*start the process again"),
    ],
)
def test_each_failure_of_opening_is_one_line_and_leaves_nothing(
    world: World, opened: Open, call: str, number: int, kind: type[Exception], message: str
) -> None:
    world.faults[call] = number
    with pytest.raises(kind, match=message) as caught:
        opened()
    assert "\n" not in str(caught.value)
    assert world.contexts == []
    del caught
    gc.collect()
    assert world.live == set()


@pytest.mark.parametrize(("way", "call"), [("copy", "launch"), ("copy", "synchronize"), ("enqueue", "execute")])
def test_a_run_that_fails_ends_the_session(world: World, opened: Open, way: str, call: str) -> None:
    session = opened(way)
    world.faults[call] = world.counts[call]
    with pytest.raises(EngineError, match=r"test-net-1: TensorRT failed .*start the process again"):
        session.run(*buffers())
    with pytest.raises(EngineError, match="an earlier run failed on the GPU"):
        session.run(*buffers())
    assert world.contexts == []


def test_closing_after_a_failure_frees_what_it_can(
    world: World, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    session = opened()
    world.faults["synchronize"] = -1
    with pytest.raises(EngineError):
        session.run(*buffers())
    world.queue.clear()  # what the GPU never did
    session.close()
    assert "closed after a failure" in caplog.text


def test_no_run_is_answered_before_the_gpu_is_done(world: World, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: a session that does not wait gives the last answer."""
    session = opened()
    pixels, logits, view = buffers()
    session.run(pixels, logits, view)
    first = logits.copy()
    pixels[0, 0] = nets.pictures(1, SIZE, seed=3)[0]
    monkeypatch.setattr(session._device, "wait", lambda: None)
    session.run(pixels, logits, view)
    np.testing.assert_array_equal(logits, first)
    monkeypatch.undo()
    world.flush()


def test_another_thread_may_run_and_two_sessions_do_not_disturb_each_other(opened: Open) -> None:
    one, two = opened(), opened("mapped")
    pixels, logits, view = buffers()
    thread = threading.Thread(target=one.run, args=(pixels, logits, view))
    thread.start()
    thread.join()
    assert np.isfinite(logits).all()
    one.close()
    others = buffers()
    two.run(*others)
    np.testing.assert_array_equal(logits, others[1])


def test_a_plan_of_another_tensorrt_is_refused_naming_ours(opened: Open) -> None:
    with pytest.raises(ArtifactError, match=r"test-net-1: TensorRT 10\.3\.0 cannot open it .*build it again"):
        opened(version="8.6")


def test_a_plan_of_another_network_is_refused(world: World, opened: Open) -> None:
    with pytest.raises(ArtifactError, match=r"pixels is INPUT UINT8 \(1, 1, 32, 32\) in the plan, expected .*64, 64"):
        opened(model=nets.student(32))
    without_view = nets.spec(SIZE)
    object.__setattr__(without_view, "has_view", False)
    with pytest.raises(ArtifactError, match="the plan's tensors are pixels, logits, view, expected pixels, logits"):
        tensorrt.open_session(plan(nets.student(SIZE)), without_view)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("tensorrt", r"TensorRT cannot be imported here .*docs/jetson\.md"),
        ("pycuda.driver", r"PyCUDA cannot be imported here .*docs/jetson\.md"),
    ],
)
def test_what_is_not_installed_is_named(
    world: World, opened: Open, monkeypatch: pytest.MonkeyPatch, missing: str, message: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(BackendMissingError, match=message):
        opened()


def test_a_machine_without_a_gpu_says_so(world: World, opened: Open) -> None:
    world.count = 0
    with pytest.raises(BackendMissingError, match="GPU 0 is not there, CUDA finds 0"):
        opened()


def test_only_one_file_imports_cuda() -> None:
    package = Path(tensorrt.__file__).parents[1]
    users = [p.name for p in package.rglob("*.py") if "import pycuda" in p.read_text() or "from cuda" in p.read_text()]
    assert users == ["device.py"]
