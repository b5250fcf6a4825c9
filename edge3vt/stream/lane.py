"""The engine's lane: one frame in, one result out; crop, inference and mask making all happen in it.

ThreadLane runs the engine in a thread of this process. What is offered while it is busy replaces what waits.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge3vt.core.clock import NS_PER_S, Clock, SystemClock
from edge3vt.core.frame import Crop, Frame, Pixels
from edge3vt.core.segmentation import Mask
from edge3vt.core.session import Logits, Session
from edge3vt.core.spec import ModelSpec
from edge3vt.picture.crop import cut
from edge3vt.picture.mask import make_mask

OpenSession = Callable[[], Session]

RAILS_EVERY = 8
"""Runs from one look at what saturates to the next."""
_NO_MEMORY = ("bad_alloc", "bad allocation", "out of memory")  # as C++ and CUDA say it


@dataclass(frozen=True, slots=True, eq=False)
class LaneResult:
    """What the engine made of a frame. mask: (size, size) class indices on the grid of ``crop``.

    scores: per class, see picture.mask. view: the view logit, None where the model has none. error: why there is
    no mask; empty when all is well. saturated: shares of the network's input at full scale, and of its output at the
    ends of its range, see ``rails``.
    """

    index: int
    captured_ns: int
    epoch: int
    done_ns: int
    crop: Crop
    mask: Mask | None
    scores: tuple[float, ...]
    view: float | None
    model_id: str
    prepare_ns: int
    infer_ns: int
    mask_ns: int
    error: str = ""
    saturated: tuple[float, float] = (0.0, 0.0)


def failed(frame: Frame, crop: Crop, done_ns: int, model_id: str, error: str) -> LaneResult:
    """The answer to a frame that no engine will see."""
    return LaneResult(
        index=frame.index,
        captured_ns=frame.captured_ns,
        epoch=frame.epoch,
        done_ns=done_ns,
        crop=crop,
        mask=None,
        scores=(),
        view=None,
        model_id=model_id,
        prepare_ns=0,
        infer_ns=0,
        mask_ns=0,
        error=error,
    )


class Lane(Protocol):
    """Where frames meet the engine."""

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def off(self) -> str:
        """Why there is no engine now, as a code for the status line (HANG, CRASHLOOP); empty while there is one."""
        ...

    def offer(self, frame: Frame, crop: Crop) -> None:
        """Hand a frame over and return at once. A lane that is off answers with a result that says why."""
        ...

    def wait(self, deadline_ns: int | None) -> bool:
        """Block until there is a result that ``newest`` has not given yet (True) or the deadline passes (False)."""
        ...

    def newest(self) -> LaneResult | None:
        """The newest result, whether seen before or not; None before the first."""
        ...

    def close(self) -> None: ...


def rails(pixels: Pixels, logits: Logits) -> tuple[float, float]:
    """Shares of what stands at the ends: of pixels at 255, and of logits that share the greatest or the least value.

    The second tells of 8-bit outputs that saturate. Floats meet there only by chance; what saturates inside an engine
    that gives floats is not seen from outside it.
    """
    ends = [int(np.count_nonzero(logits == end)) for end in (logits.max(), logits.min())]
    shared = sum(count for count in ends if count > 1)
    return float(np.count_nonzero(pixels == 255)) / pixels.size, min(shared, logits.size) / logits.size


class ThreadLane:
    """The engine in a thread. Constructed when the session is open and warm; raises what opening raised."""

    def __init__(self, open_session: OpenSession, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._offered: tuple[Frame, Crop] | None = None
        self._result: LaneResult | None = None
        self._unseen = False
        self._closing = False
        self._spec: ModelSpec | None = None
        self._opening_error: Exception | None = None
        self._thread = threading.Thread(target=self._work, args=(open_session,), name="lane", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._spec is not None or self._opening_error is not None)
        if self._opening_error is not None:
            self._thread.join()
            raise self._opening_error

    @property
    def spec(self) -> ModelSpec:
        assert self._spec is not None, "the constructor returns only after opening"
        return self._spec

    @property
    def off(self) -> str:
        return ""  # a thread cannot be replaced

    @property
    def restarts(self) -> Counter[str]:
        """None, ever."""
        return Counter()

    def offer(self, frame: Frame, crop: Crop) -> None:
        with self._changed:
            self._offered = (frame, crop)
            self._changed.notify_all()

    def wait(self, deadline_ns: int | None) -> bool:
        with self._changed:
            if deadline_ns is None:
                return self._changed.wait_for(lambda: self._unseen)
            remaining = (deadline_ns - self._clock.now_ns()) / NS_PER_S
            return self._changed.wait_for(lambda: self._unseen, timeout=max(remaining, 0.0))

    def newest(self) -> LaneResult | None:
        with self._changed:
            self._unseen = False
            return self._result

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self, open_session: OpenSession) -> None:
        try:
            session = open_session()
        except Exception as error:
            with self._changed:
                self._opening_error = error
                self._changed.notify_all()
            return
        worker = Worker(session, self._clock)
        with self._changed:
            self._spec = session.spec
            self._changed.notify_all()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._offered is not None or self._closing)
                if self._closing:
                    break
                assert self._offered is not None
                frame, crop = self._offered
                self._offered = None
            result = worker.result(frame, crop)
            with self._changed:
                self._result, self._unseen = result, True
                self._changed.notify_all()
        session.close()


class Worker:
    """A session with its buffers: frame and crop in, result out. An engine's error becomes a result too."""

    def __init__(self, session: Session, clock: Clock) -> None:
        spec = session.spec
        self._session, self._clock = session, clock
        self._pixels = np.zeros(spec.input_shape, dtype=np.uint8)
        self._logits = np.zeros(spec.logits_shape, dtype=np.float32)
        self._view = np.zeros((1, 1), dtype=np.float32) if spec.has_view else None
        self._runs, self._saturated = 0, (0.0, 0.0)
        self.out_of_memory = False  # the last result says so: this process is not to be trusted with another

    def warm(self) -> None:
        """Run the engine once on what lies in its buffer, for no result."""
        with suppress(Exception):  # the next frame will say it
            self._session.run(self._pixels, self._logits, self._view)

    def result(self, frame: Frame, crop: Crop) -> LaneResult:
        clock, spec = self._clock, self._session.spec
        started = clock.now_ns()
        mask: Mask | None = None
        scores: tuple[float, ...] = ()
        error = ""
        prepared = inferred = started
        try:
            cut(frame, crop, self._pixels[0, 0])
            prepared = inferred = clock.now_ns()
            self._logits.fill(np.nan)  # an engine that writes nothing must not pass the last mask on as new
            self._session.run(self._pixels, self._logits, self._view)
            inferred = clock.now_ns()
            mask, scores = make_mask(self._logits, spec.stride)
            self._saturated = rails(self._pixels, self._logits) if self._runs % RAILS_EVERY == 0 else self._saturated
            self._runs += 1
        except Exception as failure:  # whatever a runtime throws: the picture must flow on
            error = (str(failure) or type(failure).__name__).replace("\n", " ")
            self.out_of_memory = isinstance(failure, MemoryError) or any(sign in error for sign in _NO_MEMORY)
        done = clock.now_ns()
        return LaneResult(
            index=frame.index,
            captured_ns=frame.captured_ns,
            epoch=frame.epoch,
            done_ns=done,
            crop=crop,
            mask=mask,
            scores=scores,
            view=float(self._view[0, 0]) if self._view is not None and not error else None,
            model_id=spec.model_id,
            prepare_ns=prepared - started,
            infer_ns=inferred - prepared,
            mask_ns=done - inferred,
            error=error,
            saturated=(0.0, 0.0) if error else self._saturated,
        )
