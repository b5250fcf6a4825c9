from __future__ import annotations

import io

import numpy as np
import pytest

from edge3vt.core.errors import ArtifactError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.engine.fake import FakeSession
from edge3vt.engine.golden import KEPT, Golden, choose, from_bytes, prove, to_bytes
from edge3vt.engine.manifest import Tolerance
from tests import nets

SIZE = 64
SPEC = nets.spec(SIZE)
FRAMES = nets.pictures(4, SIZE, seed=3)


class Altered(FakeSession):
    """A fake that answers otherwise than FakeSession."""

    def __init__(self, gain: float = 1.0, shift: float = 0.0, view: float = 8.0, *, silent: bool = False) -> None:
        super().__init__(SPEC, view=view)
        self._gain, self._shift, self._silent = gain, shift, silent

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        if not self._silent:
            super().run(pixels, logits, view)
            logits *= self._gain
            logits[:, 0] += self._shift


@pytest.fixture(scope="module")
def golden() -> Golden:
    return choose(FakeSession(SPEC), FRAMES)


def test_the_frames_with_most_to_see_are_kept() -> None:
    black, white = np.zeros((SIZE, SIZE), np.uint8), np.full((SIZE, SIZE), 255, np.uint8)
    half, quarter = black.copy(), black.copy()
    half[:, : SIZE // 2] = 255
    quarter[: SIZE // 2, : SIZE // 2] = 255
    found = choose(FakeSession(SPEC), [white, quarter, black, half])
    np.testing.assert_array_equal(found.frames, [half, quarter])
    assert len(found.frames) == KEPT


def test_they_travel_as_bytes(golden: Golden) -> None:
    data = to_bytes(golden)
    assert data == to_bytes(golden)
    again = from_bytes(data, SPEC)
    for name in ("frames", "logits", "scale", "view"):
        np.testing.assert_array_equal(getattr(again, name), getattr(golden, name))


def test_bytes_of_another_shape_or_kind_are_refused(golden: Golden) -> None:
    objects = io.BytesIO()
    np.savez(objects, frames=np.array([{}], object), logits=golden.logits, scale=golden.scale, view=golden.view)
    for data, message in (
        (b"nonsense", "cannot be read"),
        (objects.getvalue(), "cannot be read"),
        (to_bytes(Golden(golden.frames[:, 1:], golden.logits, golden.scale, golden.view)), "expected uint8"),
        (to_bytes(Golden(golden.frames, golden.logits[:1], golden.scale, golden.view)), "expected float16"),
        (
            to_bytes(Golden(golden.frames[:0], golden.logits[:0], golden.scale[:0], golden.view[:0])),
            "golden frames hold",
        ),
    ):
        with pytest.raises(ArtifactError, match=message):
            from_bytes(data, SPEC)


def test_the_same_answers_and_nearly_the_same_pass(golden: Golden) -> None:
    for session in (FakeSession(SPEC), Altered(gain=1.01), Altered(view=8.1)):
        prove(session, golden, Tolerance(), remedy="build it again")


@pytest.mark.parametrize(
    ("session", "message"),
    [
        (Altered(shift=1000), "a blank mask on golden frame 0"),
        (Altered(gain=-1), "agreement 0"),
        (Altered(gain=1.1), r"mean error 0\.1"),
        (Altered(view=9.0), r"difference of the view logit 1\.0"),
        (Altered(silent=True), "NaN or infinity on golden frame 0"),
        (FakeSession(SPEC, faults={1: "nan"}), "NaN or infinity on golden frame 1"),
    ],
)
def test_other_answers_are_refused(golden: Golden, session: FakeSession, message: str) -> None:
    with pytest.raises(ArtifactError, match=f"{message}.*; build it again"):
        prove(session, golden, Tolerance(), remedy="build it again")


def test_logits_beyond_half_precision_are_kept_in_range() -> None:
    found = choose(Altered(gain=1e6), FRAMES)
    assert np.isfinite(found.logits).all()
    prove(Altered(gain=1e6), found, Tolerance(), remedy="")
