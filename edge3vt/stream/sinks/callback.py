"""Frames to a function of the user's own, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable

from edge3vt.core.segmentation import Segmentation
from edge3vt.stream.sinks import Sink
from edge3vt.stream.sinks.mailbox import Mailbox

CLOSE_S = 1.0


class CallbackSink(Sink):
    """Calls ``call`` with every Segmentation it keeps up with; the oldest of ``depth`` gives way and counts as dropped.

    What it raises is counted in ``failed``, the last one kept in ``error``; it is called again all the same. One that
    does not return is left behind when the sink is closed.
    """

    def __init__(self, call: Callable[[Segmentation], object], *, depth: int = 1) -> None:
        self._call = call
        self.failed = 0
        self.error: Exception | None = None
        self._mailbox: Mailbox[Segmentation] = Mailbox(self._take, depth=depth)

    @property
    def written(self) -> int:
        return self._mailbox.written - self.failed

    @property
    def dropped(self) -> int:
        return self._mailbox.dropped

    @property
    def notice(self) -> str:
        return "CALLBACK FAILED" if self.failed else ""

    def __call__(self, seg: Segmentation) -> None:
        self._mailbox.put(seg)

    def close(self) -> None:
        self._mailbox.close(timeout_s=CLOSE_S)

    def _take(self, seg: Segmentation) -> None:
        try:
            self._call(seg)
        except Exception as error:
            self.failed, self.error = self.failed + 1, error
