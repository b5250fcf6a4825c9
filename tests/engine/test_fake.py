from __future__ import annotations

import multiprocessing
import pickle
import threading
from functools import partial
from multiprocessing.connection import Connection

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_MS, ManualClock, SystemClock
from edge3vt.core.errors import EngineError
from edge3vt.engine.fake import EXIT_CODE, FakeSession, Fault
from tests import nets

SPEC = nets.spec(32)


def run(session: FakeSession, pixels: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    logits, view = np.zeros(SPEC.logits_shape, np.float32), np.zeros((1, 1), np.float32)
    session.run(np.zeros(SPEC.input_shape, np.uint8) if pixels is None else pixels, logits, view)
    return logits, float(view[0, 0])


def test_the_mask_is_the_picture() -> None:
    code = np.random.default_rng(0).integers(0, 2, (8, 8))
    pixels = np.kron(code, np.full((4, 4), 255)).astype(np.uint8)[None, None]
    logits, view = run(FakeSession(SPEC, view=-3), pixels)
    np.testing.assert_array_equal(logits[0].argmax(axis=0), code)
    assert view == -3


def test_latencies_come_in_turn_on_the_given_clock() -> None:
    clock = ManualClock()
    session = FakeSession(SPEC, clock, latency_ms=(5, 20))
    ends = []
    for _ in range(3):
        run(session)
        ends.append(clock.now_ns() / NS_PER_MS)
    assert ends == [5, 25, 30]
    assert session.runs == 3


def test_faults_come_on_their_runs() -> None:
    session = FakeSession(SPEC, faults={1: "nan", 2: "raise"})
    assert np.isfinite(run(session)[0]).all()
    logits, view = run(session)
    assert np.isnan(logits).all()
    assert np.isnan(view)
    with pytest.raises(EngineError, match="run 2 failed, as its script says"):
        run(session)
    assert np.isfinite(run(session)[0]).all()


def test_outputs_that_are_wrong() -> None:
    faults: dict[int, Fault] = {0: "inf", 1: "constant", 2: "shape", 3: "memory"}
    session = FakeSession(SPEC, faults=faults)
    assert np.isinf(run(session)[0]).all()
    assert (run(session)[0][0].argmax(axis=0) == 1).all(), "of a black picture"
    with pytest.raises(ValueError, match="broadcast"):
        run(session)
    with pytest.raises(MemoryError, match="run 3 found no memory, as its script says"):
        run(session)
    assert (run(session)[0][0].argmax(axis=0) == 0).all()


def test_opening_can_fail() -> None:
    with pytest.raises(EngineError, match="opening failed, as its script says"):
        FakeSession(SPEC, start="raise")
    with pytest.raises(MemoryError, match="opening"):
        FakeSession(SPEC, start="memory")


def test_faults_that_take_the_process_with_them() -> None:
    spawn = multiprocessing.get_context("spawn")
    leaves = spawn.Process(target=partial(FakeSession, SPEC, start="exit"))
    leaves.start()
    leaves.join(20)
    assert leaves.exitcode == EXIT_CODE
    said, theirs = spawn.Pipe(duplex=False)
    holds = spawn.Process(target=hold_the_interpreter, args=(theirs,))
    holds.start()
    assert said.recv() == "begun"
    assert not said.poll(0.2), "its other thread speaks only once in 20 ms, and not at all now"
    holds.kill()
    holds.join()


def hold_the_interpreter(tell: Connection) -> None:
    def later() -> None:
        while True:
            SystemClock().sleep_until_ns(SystemClock().now_ns() + 20 * NS_PER_MS)
            tell.send("awake")

    tell.send("begun")
    threading.Thread(target=later, daemon=True).start()
    FakeSession(SPEC, start="gil")


def test_a_fake_opens_in_another_process() -> None:
    opening = partial(FakeSession, SPEC, SystemClock(), latency_ms=(1, 2), faults={1: "exit"}, view=2)
    assert run(pickle.loads(pickle.dumps(opening))())[1] == 2


@pytest.mark.parametrize("end", [FakeSession.release, FakeSession.close])
def test_a_hang_lasts_until_it_is_ended(end: object) -> None:
    session = FakeSession(SPEC, faults={0: "hang"})
    failed = threading.Event()

    def hang() -> None:
        with pytest.raises(EngineError):
            run(session)
        failed.set()

    thread = threading.Thread(target=hang, daemon=True)
    thread.start()
    assert not failed.wait(0.05)
    end(session)  # type: ignore[operator]
    assert failed.wait(5)
    thread.join()
