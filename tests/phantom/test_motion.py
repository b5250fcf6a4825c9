"""How a scene moves."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.phantom.motion import PULSATION, Motion, draw_motion


def drawn(seed: int = 0, *, sweep: bool = False, by_hand: bool = False) -> Motion:
    return draw_motion(np.random.default_rng(seed), (3.0, 40.0), 4.0, sweep=sweep, by_hand=by_hand)


def test_hearts_beat_110_to_180_times_a_minute_and_vessels_pulsate_with_them() -> None:
    for seed in range(50):
        motion = drawn(seed)
        assert 110 <= 60 * motion.beat_hz <= 180
        dilation = [motion.at(t).dilation for t in np.linspace(0, 1 / motion.beat_hz, 60)]
        assert max(dilation) - 1 == pytest.approx(PULSATION, rel=0.15)
        assert dilation[0] == pytest.approx(dilation[-1], abs=1e-6)


def test_a_sweep_comes_from_one_plane_and_goes_to_another() -> None:
    motion = drawn(sweep=True)
    start, middle, end = (motion.at(t) for t in (0.0, 2.0, 4.0))
    assert (start.before, middle.presence, end.after) == (1, 1, 1)
    for t in np.linspace(0, 4, 100):
        pose = motion.at(t)
        assert min(pose.before, pose.after, pose.presence) >= 0


def test_without_a_sweep_the_view_stays() -> None:
    assert all(drawn().at(t).presence == 1 for t in (0.0, 2.0, 100.0))


def test_hands_change_gain_and_depth_only_where_asked() -> None:
    assert drawn().controls(3.9) == (0.0, 1.0)
    motion = drawn(2, by_hand=True)
    assert motion.controls(0.0) == (0.0, 1.0)
    assert 1 <= len(motion.steps) <= 4
    assert motion.controls(3.99) == motion.steps[-1][1:]
