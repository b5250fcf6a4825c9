"""Looks for the ultrasound region in the running picture where neither source nor profile tells it.

What is found holds once somebody has confirmed it, and again without asking when the very same comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.core.frame import Frame, Region
from edge3vt.stream.profile import Found, Framing, found, overlap
from edge3vt.stream.sinks.mailbox import Mailbox

LOOKS = 5
APART_NS = 200 * NS_PER_MS  # between two pictures that are looked at
AGAIN_NS, LONGEST_NS = 10 * NS_PER_S, 60 * NS_PER_S
"""After nothing was found it is tried again, then after twice as long."""
WHOLE = 0.9  # of the picture: what fills it is the picture, and needs no box
SAME = 0.95  # intersection over union with the region that was confirmed before

Find = Callable[[Sequence[Frame]], Found | None]


class Seeker:
    """Used by the loop's thread; ``found`` takes a second, in a thread of its own. accept: as if always confirmed."""

    def __init__(self, framing: Framing, *, accept: bool = False, find: Find = found) -> None:
        self._framing, self._accept, self._find = framing, accept, find
        self._frames: list[Frame] = []
        self._answer: tuple[Found | None, Frame] | None = None
        self._busy = False
        self._next_ns, self._again_ns = 0, AGAIN_NS
        self._confirmed: tuple[int, int, Region] | None = None
        self._mailbox: Mailbox[list[Frame]] = Mailbox(self._look, depth=1)

    @property
    def waits(self) -> bool:
        """A region was found and nobody has confirmed it."""
        return self._framing.unconfirmed and self._framing.placement.region is not None

    def saw(self, frame: Frame, now_ns: int) -> None:
        """A frame has left the loop."""
        if self._answer is not None:
            (answer, of), self._answer, self._busy = self._answer, None, False
            self._take(answer, of, now_ns)
        if self._busy or not self._framing.searching:
            self._frames.clear()
            return
        if self._frames and (self._frames[0].width, self._frames[0].height) != (frame.width, frame.height):
            self._frames.clear()
        if now_ns >= self._next_ns:
            self._frames.append(frame)
            self._next_ns = now_ns + APART_NS
        if len(self._frames) == LOOKS:
            self._busy = True
            self._mailbox.put(self._frames)
            self._frames = []

    def confirm(self) -> None:
        """Somebody has looked at the box, and it is right."""
        region = self._framing.placement.region
        if self._framing.unconfirmed and region is not None and self._framing.size is not None:
            self._confirmed = (*self._framing.size, region)
            self._framing.confirm()

    def close(self) -> None:
        """End the thread, whatever it looks at."""
        self._mailbox.close(drain=False, timeout_s=1.0)

    def _look(self, frames: list[Frame]) -> None:
        try:
            answer = self._find(frames)
        except Exception:  # pictures that nobody thought of: they show no region
            answer = None
        self._answer = answer, frames[0]

    def _take(self, answer: Found | None, of: Frame, now_ns: int) -> None:
        whole = Region(0, 0, of.width, of.height)
        if answer is None or overlap(answer.region, whole) >= WHOLE:
            self._framing.nothing()
            self._next_ns, self._again_ns = now_ns + self._again_ns, min(2 * self._again_ns, LONGEST_NS)
            return
        self._again_ns = AGAIN_NS
        before = self._confirmed
        if before is not None and before[:2] == (of.width, of.height) and overlap(before[2], answer.region) >= SAME:
            answer = Found(before[2], answer.confidence)  # masks and records keep their place
            known = True
        else:
            known = False
        if self._framing.place(answer, of.width, of.height) and (known or self._accept):
            self.confirm()
