"""When an engine that waits is run for nothing, so that the next frame does not find it cold: pure.

Only in a pause: nothing waits, and none came for longer than this source usually takes. So a frame that ends a pause
waits for one inference at most, and a source without pauses is never held up.
"""

from __future__ import annotations

from edge3vt.core.clock import NS_PER_S

PAUSE = 2.5
"""Times the usual interval between frames: one that was dropped, or a repeated picture, is no pause yet."""
ENDS_NS = 10 * NS_PER_S
"""A pause longer than this is an end: nothing is kept warm for it."""
WEIGHT = 0.125  # of a new interval in the running mean


class Warmth:
    """every_ns: an inference for nothing this often in a pause. Before the first frame never: a spare sleeps."""

    def __init__(self, every_ns: int) -> None:
        self._every_ns = every_ns
        self._interval_ns = 0.0
        self._came_ns: int | None = None
        self._ran_ns = 0

    def came(self, now_ns: int) -> None:
        """A frame came."""
        if self._came_ns is not None:
            interval_ns = min(now_ns - self._came_ns, self._every_ns)  # a pause is not the rhythm of the source
            usual_ns = self._interval_ns or interval_ns
            self._interval_ns = usual_ns + WEIGHT * (interval_ns - usual_ns)
        self._came_ns = now_ns

    def ran(self, now_ns: int) -> None:
        """The engine ended a run, for a frame or for nothing."""
        self._ran_ns = now_ns

    def due_ns(self, now_ns: int) -> int | None:
        """When the next run for nothing is due if no frame comes before, maybe now; None in no foreseeable time."""
        if self._came_ns is None:
            return None
        pause_ns = self._came_ns + round(PAUSE * (self._interval_ns or self._every_ns))
        due_ns = max(pause_ns, self._ran_ns + self._every_ns)
        return due_ns if max(due_ns, now_ns) - self._came_ns < ENDS_NS else None
