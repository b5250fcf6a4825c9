from __future__ import annotations

import threading

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_MS, ManualClock
from edge3vt.core.errors import EngineError
from edge3vt.engine.fake import FakeSession
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
