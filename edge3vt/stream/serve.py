"""The engine's process: opens the engine, says so, and answers frames until it is told to end."""

from __future__ import annotations

import gc
import json
import os
import select
from dataclasses import astuple, fields
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from edge3vt.core import errors
from edge3vt.core.clock import NS_PER_MS, NS_PER_S, SystemClock
from edge3vt.core.errors import ArtifactError
from edge3vt.core.frame import Crop, Pixels
from edge3vt.picture.mask import make_mask
from edge3vt.stream.child import Scheduling, hold
from edge3vt.stream.lane import LaneResult, OpenSession, Worker
from edge3vt.stream.ring import Ring
from edge3vt.stream.slots import Slots
from edge3vt.stream.warmth import Warmth

BEAT_NS = 50 * NS_PER_MS
NO_MEMORY_CODE = 137
"""Exit code of a process that found no memory: what a shell says of one that the kernel killed for it."""
LARGEST_MASK = 2048**2
_CLOCK = SystemClock()


def serve(
    open_session: OpenSession,
    frames: Ring,
    results: Slots,
    lifeline: Any,
    talk: Connection,
    scheduling: Scheduling | None,
    keep_warm_ns: int | None,
) -> None:
    """Open, say "ready" or why not, then answer frames until something is said; beat whenever it goes round."""
    hold(lifeline)
    try:
        if scheduling is not None:
            scheduling.apply()
        session = open_session()
        if session.spec.height * session.spec.width > LARGEST_MASK:
            raise ArtifactError(
                f"{session.spec.model_id}: masks of {session.spec.height}x{session.spec.width}, at most "
                f"{LARGEST_MASK} pixels cross to another process; use a smaller engine"
            )
        worker = Worker(session, _CLOCK)
        make_mask(np.zeros(session.spec.logits_shape, np.float32), session.spec.stride)
    except MemoryError:
        os._exit(NO_MEMORY_CODE)
    except Exception as error:
        ours = (c.__name__ for c in type(error).__mro__ if getattr(errors, c.__name__, None) is c)
        kind = next(ours, type(error).__name__)
        talk.send((kind, str(error).replace("\n", " ")))
        return
    gc.collect()
    gc.freeze()
    results.beat()
    talk.send(("ready", session.spec))
    warmth = Warmth(keep_warm_ns) if keep_warm_ns is not None else None
    while True:
        now_ns = _CLOCK.now_ns()
        due_ns = warmth.due_ns(now_ns) if warmth is not None else None
        pause_ns = BEAT_NS if due_ns is None else min(max(due_ns - now_ns, 0), BEAT_NS)
        watched: list[Any] = [frames, talk]
        ready = select.select(watched, [], [], pause_ns / NS_PER_S)[0]
        results.beat()
        if talk in ready:
            break
        for frame, crop in frames.take(newest=1)[0]:
            assert crop is not None, "offered with one"
            if warmth is not None:
                warmth.came(_CLOCK.now_ns())
            result = worker.result(frame, crop)
            _put(results, result)
            if warmth is not None:
                warmth.ran(_CLOCK.now_ns())
            results.beat()
            if worker.out_of_memory:
                os._exit(NO_MEMORY_CODE)
        if warmth is not None and not ready and due_ns is not None and _CLOCK.now_ns() >= due_ns:
            worker.warm()
            warmth.ran(_CLOCK.now_ns())
            results.beat()
    session.close()


_PLAIN = tuple(f.name for f in fields(LaneResult) if f.name not in ("mask", "crop", "scores"))


def _put(results: Slots, result: LaneResult) -> None:
    head = {name: getattr(result, name) for name in _PLAIN} | {"error": result.error[:400]}
    shape = None if result.mask is None else result.mask.shape
    packed = json.dumps([head, astuple(result.crop), result.scores, shape]).encode()
    results.put(packed, np.empty(0, np.uint8) if result.mask is None else result.mask)


def unpacked(head: bytes, body: Pixels) -> LaneResult:
    """The result as the engine's process put it."""
    plain, crop, scores, shape = json.loads(head)
    plain["saturated"] = tuple(plain["saturated"])
    mask = None if shape is None else body.reshape(shape)
    return LaneResult(**plain, crop=Crop(*crop), scores=tuple(scores), mask=mask)
