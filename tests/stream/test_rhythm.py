"""The interval of a source and its loss window: rules, and jumps of the rate."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest

from edge3vt.core.clock import NS_PER_MS, NS_PER_S
from edge3vt.stream.rhythm import Rhythm


def fed(rhythm: Rhythm, intervals_ms: Iterable[float], now_ns: int = 0) -> tuple[int, int]:
    """Feeds frames that far apart; how often one was lost before the next came, and when the last came."""
    losses = 0
    for interval in intervals_ms:
        now_ns += round(interval * NS_PER_MS)
        losses += rhythm.lost(now_ns - 1)
        rhythm.arrived(now_ns)
    return losses, now_ns


@pytest.mark.parametrize(("rate_hz", "window_ms"), [(60, 167), (30, 183), (10, 300)])
def test_the_window_is_three_intervals_or_150_ms_more_than_one(rate_hz: float, window_ms: float) -> None:
    rhythm = Rhythm()
    fed(rhythm, [1000 / rate_hz] * 100)
    assert rhythm.window_ns / NS_PER_MS == pytest.approx(window_ms, abs=1)


def test_nothing_is_lost_before_anything_came() -> None:
    assert not Rhythm().lost(NS_PER_S)
    assert Rhythm().lost_at_ns() is None


@pytest.mark.parametrize("rates", [(60, 15, 120), (60, 5, 60), (120, 4, 30, 3, 60), (60, 2, 60)])
def test_a_jump_of_the_rate_gives_one_false_loss_at_most(rates: tuple[int, ...]) -> None:
    rhythm, now = Rhythm(), 0
    _, now = fed(rhythm, [1000 / rates[0]] * 50, now)
    for rate in rates[1:]:
        losses, now = fed(rhythm, [1000 / rate] * 50, now)
        assert losses <= 1, f"to {rate} Hz"


class Stubborn(Rhythm):
    """A mean that moves only slowly."""

    def arrived(self, now_ns: int) -> None:
        super().arrived(now_ns)
        self._other_ns = 0


def test_the_check_on_jumps_sees_a_mean_that_never_jumps() -> None:
    losses, _ = fed(Stubborn(), [*[1000 / 60] * 50, *[1000 / 5] * 50])
    assert losses > 1


def test_pauses_of_any_length_are_seen_within_250_ms_and_leave_the_window_as_it_was() -> None:
    rng, rhythm = random.Random(1), Rhythm()
    _, now = fed(rhythm, [1000 / 60] * 50)
    for _ in range(100):
        at = rhythm.lost_at_ns()
        assert at is not None
        assert at - now <= 250 * NS_PER_MS
        now += round(rng.uniform(0.05, 5) * NS_PER_S)
        rhythm.arrived(now)
        _, now = fed(rhythm, [1000 / 60] * 20, now)


def test_bursts_and_jitter_lose_nothing() -> None:
    rng, rhythm = random.Random(2), Rhythm()
    times = sorted(i * 1000 / 60 + rng.choice((0, 0, 20, 45)) for i in range(5000))
    losses, _ = fed(rhythm, [b - a for a, b in pairwise(times)])
    assert losses == 0
