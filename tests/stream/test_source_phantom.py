"""The phantom as a source: scenes are epochs, truth follows the index, loops repeat."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_S, ManualClock
from edge3vt.core.errors import ConfigError
from edge3vt.stream.sources.phantom import PhantomClip, PhantomSource


def test_scenes_are_epochs_with_their_own_scale_and_truth() -> None:
    clip = PhantomClip(6_200_000, seconds=2, scenes=2, width=320, height=240, rate_hz=10)
    frames = list(PhantomSource(clip, ManualClock(), paced=True))
    assert [f.epoch for f in frames] == [0] * 10 + [1] * 10
    assert len({f.mm_per_px for f in frames}) == 2
    assert [f.captured_ns for f in frames] == [i * NS_PER_S // 10 for i in range(20)]
    held = [clip.truth(i)[1] for i in range(20)]
    assert any(held)
    assert not all(held)
    for i in range(20):
        mask, holds_view = clip.truth(i)
        assert mask.any() == holds_view


def test_loops_repeat_pictures_and_truth_in_new_epochs() -> None:
    clip = PhantomClip(6_200_001, seconds=0.5, scenes=1, width=200, height=160, rate_hz=10, loops=2)
    frames = list(PhantomSource(clip, ManualClock(), paced=False))
    assert len(frames) == clip.frames == 10
    assert [f.epoch for f in frames] == [0] * 5 + [1] * 5
    np.testing.assert_array_equal(frames[2].pixels, frames[7].pixels)
    np.testing.assert_array_equal(clip.truth(2)[0], clip.truth(7)[0])


def test_more_than_fits_is_refused_before_rendering() -> None:
    with pytest.raises(ConfigError, match="ask for fewer seconds"):
        PhantomClip(1, seconds=100_000)
