"""From a frame in memory to a composed frame in memory: the functions that ``run`` calls, one after the other."""

from __future__ import annotations

from dataclasses import replace

from edge3vt.core.clock import Clock
from edge3vt.core.frame import Frame, Pixels
from edge3vt.core.segmentation import Segmentation, State, Timing, Verdict
from edge3vt.core.session import Session
from edge3vt.engine.buffers import empty
from edge3vt.picture.crop import acquire, cut
from edge3vt.picture.draw import Composer
from edge3vt.stream.lane import Worker

STAGES = ("prepare", "infer", "mask", "compose")


class EndToEnd:
    """Crop, engine, mask and composed picture of each frame in one thread; no gate, so that every mask is drawn.

    taken_ns: of each stage, one value a frame.
    """

    def __init__(self, session: Session, clock: Clock, shape: tuple[int, int]) -> None:
        self._worker, self._clock = Worker(session, clock), clock
        self._size = session.spec.width
        self._compose = Composer(session.spec)
        self._compose.warm(shape[1], shape[0])
        self._index = 0
        self.taken_ns: dict[str, list[int]] = {stage: [] for stage in STAGES}

    def __call__(self, frame: Frame) -> Pixels:
        """The composed (H, W, 3) RGB picture. Raises RuntimeError where the engine gave no mask."""
        self._index += 1
        frame = replace(frame, index=self._index, captured_ns=self._clock.now_ns())
        result = self._worker.result(frame, acquire(frame, self._size))
        if result.mask is None:
            raise RuntimeError(result.error)
        seg = Segmentation(
            frame=frame,
            mask=result.mask,
            mask_ns=frame.captured_ns,
            crop=result.crop,
            verdict=Verdict.ON_TIME,
            reason="",
            emitted_late=False,
            state=State.LIVE,
            scores=result.scores,
            shown=True,
            withheld="",
            model_id=result.model_id,
            timing=Timing(total_ns=result.done_ns - frame.captured_ns),
        )
        picture = self._compose(seg)
        composed_ns = self._clock.now_ns() - result.done_ns
        for stage, ns in zip(STAGES, (result.prepare_ns, result.infer_ns, result.mask_ns, composed_ns), strict=True):
            self.taken_ns[stage].append(ns)
        return picture


class EngineAlone:
    """The same session on a crop that was prepared once: what no pipeline around it can be faster than."""

    def __init__(self, session: Session, frame: Frame) -> None:
        self._session, self._buffers = session, empty(session.spec)
        cut(frame, acquire(frame, session.spec.width), self._buffers.pixels[0, 0])

    def __call__(self, frame: Frame) -> None:
        """Run it; what it takes does not depend on the picture."""
        self._session.run(self._buffers.pixels, self._buffers.logits, self._buffers.view)
