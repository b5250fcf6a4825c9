"""The words on a scanner's screen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge3vt.phantom.captions import Captions, draw_captions


def captions(seed: int, bottom_mm: float = 100.0) -> Captions:
    return draw_captions(np.random.default_rng(seed), bottom_mm)


def test_the_depth_is_told_and_nothing_else_changes_with_it() -> None:
    near, far = captions(3, 80.0), captions(3, 124.0)
    assert (near.depth, far.depth) == ("8.0cm", "12.4cm")
    assert replace(near, depth="") == replace(far, depth="")


def test_a_seed_gives_the_same_words_and_seeds_differ() -> None:
    assert captions(1) == captions(1)
    assert len({captions(seed).hospital for seed in range(50)}) > 40
    assert len({captions(seed).number for seed in range(50)}) == 50


@pytest.mark.parametrize("count", range(1, 10))
def test_as_many_settings_as_asked_for(count: int) -> None:
    for seed in range(10):
        words = captions(seed)
        assert len(words.pairs(count)) == count
        assert all(name and value for name, value in words.pairs(count))
        assert len(words.settings(count)) == count


def test_dates_and_times_exist() -> None:
    for seed in range(200):
        words = captions(seed)
        day, month = (int(part) for part in words.date.replace("/", ".").split(".")[:2])
        assert 1 <= day <= 28
        assert 1 <= month <= 28
        hour = int(words.clock.split(":")[0])
        assert (1 <= hour <= 12) if words.clock.endswith("M") else (7 <= hour <= 18)


def test_probes_are_named_by_their_kind() -> None:
    words = captions(2)
    assert [words.probe(kind)[0] for kind in ("convex", "sector", "linear")] == ["C", "S", "L"]
