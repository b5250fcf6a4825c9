"""The interval at which frames come, and from when on their absence is a loss."""

from __future__ import annotations

from edge3vt.core.clock import NS_PER_MS, NS_PER_S

LOSS_INTERVALS, LOSS_NS = 3, 150 * NS_PER_MS  # max(3 T, T + 150 ms): the reliability reference's loss window
SHARE = 0.125  # of each new interval in the mean
FIRST_NS = NS_PER_S // 30  # assumed before there are two frames
SLOWEST_NS = NS_PER_S  # a slower source is no live picture


class Rhythm:
    """A running mean of the interval, in ns, which follows a jump of the rate at the second interval alike."""

    def __init__(self) -> None:
        self.interval_ns: float = FIRST_NS
        self._last_ns: int | None = None
        self._other_ns = 0  # the last interval, if it was less than half or more than twice the mean

    @property
    def window_ns(self) -> int:
        """How long nothing may come. After one long pause it bears a second one, which may be the new rhythm."""
        mean = self.interval_ns
        window = max(LOSS_INTERVALS * mean, mean + LOSS_NS)
        return round(max(window, min(self._other_ns, SLOWEST_NS) + LOSS_NS if self._other_ns > mean else 0))

    def arrived(self, now_ns: int) -> None:
        """A frame has come."""
        last_ns, self._last_ns = self._last_ns, now_ns
        if last_ns is None:
            return
        interval, mean = now_ns - last_ns, self.interval_ns
        if mean / 2 <= interval <= 2 * mean:
            self._other_ns = 0
            self.interval_ns += SHARE * (interval - mean)
        elif self._other_ns and (self._other_ns > mean) == (interval > mean):
            self._other_ns = 0
            self.interval_ns = min(interval, SLOWEST_NS)
        else:
            self._other_ns = interval

    def lost_at_ns(self) -> int | None:
        """When the loss window ends if nothing comes; None before the first frame."""
        return None if self._last_ns is None else self._last_ns + self.window_ns

    def lost(self, now_ns: int) -> bool:
        """Whether the loss window has passed."""
        at_ns = self.lost_at_ns()
        return at_ns is not None and now_ns >= at_ns
