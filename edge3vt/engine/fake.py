"""FakeSession: an engine with a script, for tests of whatever runs an engine."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Literal

import numpy as np

from edge3vt.core.clock import NS_PER_MS, Clock, ManualClock
from edge3vt.core.errors import EngineError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.core.spec import ModelSpec
from edge3vt.engine.buffers import checked

Fault = Literal["raise", "nan", "inf", "constant", "shape", "memory", "hang", "gil", "exit"]
EXIT_CODE = 3


class FakeSession:
    """Its mask encodes the frame: class 1 in each cell whose pixels are brighter than 127 on average, 0 elsewhere.

    So a bar code in the picture, of bars at least two cells wide in the crop, stands in the mask too and says which
    frame the mask is of. ``partial(FakeSession, spec, SystemClock(), ...)`` opens one in another process.

    latency_ms: of each run in turn, over and over, slept on ``clock``; a ramp is a sequence. faults: by number of the
    run from 0. "hang" blocks until ``release`` or ``close``, then the run ends with EngineError; "gil" holds the
    interpreter for ever, "exit" ends the process at once, with EXIT_CODE; "constant" is class 1 everywhere, "shape"
    an output that does not fit. start: the fault of opening. runs: begun so far.
    """

    def __init__(
        self,
        spec: ModelSpec,
        clock: Clock | None = None,
        *,
        latency_ms: float | Sequence[float] = 0.0,
        faults: Mapping[int, Fault] | None = None,
        start: Fault | None = None,
        view: float = 8.0,
    ) -> None:
        self._spec = spec
        self._clock = clock or ManualClock()
        self._latencies_ms = (latency_ms,) if isinstance(latency_ms, int | float) else tuple(latency_ms)
        self._faults = dict(faults or {})
        self._view = view
        self._released = threading.Event()
        self._closed = False
        self.runs = 0
        self._break(start, "opening")

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        if self._closed:
            raise EngineError(f"{self._spec.model_id}: the session is closed; open it again")
        checked(self._spec, pixels, logits, view)
        fault = self._faults.get(self.runs)
        latency_ms = self._latencies_ms[self.runs % len(self._latencies_ms)]
        self.runs += 1
        self._break(fault, f"run {self.runs - 1}")
        self._clock.sleep_until_ns(self._clock.now_ns() + round(latency_ms * NS_PER_MS))
        logits[...] = self._logits(pixels)
        if fault in ("nan", "inf"):
            logits[...] = float(fault)
        elif fault == "constant":
            logits[0, 1] = 8
        elif fault == "shape":
            logits[...] = np.zeros((*logits.shape[:3], logits.shape[3] + 1))
        if view is not None:
            view[...] = float(fault) if fault in ("nan", "inf") else self._view

    def release(self) -> None:
        """End the run that hangs, and any later one at once."""
        self._released.set()

    def close(self) -> None:
        self._closed = True
        self.release()

    def _break(self, fault: Fault | None, when: str) -> None:
        match fault:
            case "gil":
                deque(repeat(None), maxlen=0)  # runs in C, without end
            case "exit":
                os._exit(EXIT_CODE)
            case "memory":
                raise MemoryError(f"{self._spec.model_id}: {when} found no memory, as its script says")
            case "hang" | "raise":
                if fault == "hang":
                    self._released.wait()
                raise EngineError(f"{self._spec.model_id}: {when} failed, as its script says")

    def _logits(self, pixels: Pixels) -> Logits:
        s = self._spec.stride
        cells = pixels[0, 0].reshape(self._spec.height // s, s, -1, s).mean(axis=(1, 3))
        logits = np.zeros(self._spec.logits_shape, np.float32)
        logits[0, 0], logits[0, 1] = 1, np.where(cells > 127, 8, -8)
        return logits
