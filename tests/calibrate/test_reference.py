from __future__ import annotations

import numpy as np
import pytest

from edge3vt.calibrate.half import halved
from edge3vt.calibrate.qdq import insert
from edge3vt.calibrate.reference import ReferenceSession
from edge3vt.core.errors import ArtifactError, EngineError
from edge3vt.core.session import Session
from tests import nets
from tests.calibrate import graphs

MODEL, SPEC = nets.student(64), nets.spec(64)
PICTURE = nets.pictures(1, 64)[0][None, None]


def logits(session: Session, view: bool = True) -> tuple[np.ndarray, float]:
    out, seen = np.zeros(SPEC.logits_shape, np.float32), np.full((1, 1), 7, np.float32)
    session.run(PICTURE, out, seen if view else None)
    return out, float(seen[0, 0])


def test_it_is_a_session_and_takes_a_pair_at_its_word() -> None:
    exact, view = logits(ReferenceSession(MODEL, SPEC))
    assert view != 7
    assert np.array_equal(logits(ReferenceSession(MODEL, SPEC), view=False)[0], exact)
    quantised = insert(MODEL, graphs.table(MODEL, 64), "cpu")
    rounded, fused = (logits(ReferenceSession(quantised, SPEC, fused=fused))[0] for fused in (False, True))
    assert 0 < np.abs(rounded - exact).max() < 0.2 * np.abs(exact).max()
    assert not np.array_equal(rounded, fused)


def test_half_precision_is_nearer_than_int8() -> None:
    exact, _ = logits(ReferenceSession(MODEL, SPEC))
    half, _ = logits(ReferenceSession(halved(MODEL), SPEC))
    rounded, _ = logits(ReferenceSession(insert(MODEL, graphs.table(MODEL, 64), "tensorrt-fp16"), SPEC))
    assert 0 < graphs.error(half, exact) < 0.1 * graphs.error(rounded, exact)


def test_what_cannot_be_run_is_told() -> None:
    with pytest.raises(ArtifactError, match="test-net-1: the model cannot be judged"):
        ReferenceSession(b"none", SPEC)
    session = ReferenceSession(MODEL, SPEC)
    with pytest.raises(EngineError, match="test-net-1: ONNX Runtime failed"):
        session.run(PICTURE[..., :32], np.zeros(SPEC.logits_shape, np.float32))
