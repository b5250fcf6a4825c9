"""Wrong contours are wrong, and look like something."""

from __future__ import annotations

import numpy as np

from edge3vt.clinic.planted import MOST_OVERLAP, plant
from tests.clinic.planning import vessels


def test_a_planted_structure_lies_beside_its_place_and_the_others_stay() -> None:
    for seed in range(8):
        mask = vessels(seed)
        for label in (1, 3, 4):
            wrong = plant(mask, label, np.random.default_rng(seed))
            assert wrong is not None
            own, moved = mask == label, wrong == label
            assert 2 * (own & moved).sum() / (own.sum() + moved.sum()) < 2 * MOST_OVERLAP
            assert moved.sum() >= 0.6 * own.sum()
            others = (mask > 0) & ~own
            assert np.array_equal(mask[others], wrong[others])


def test_there_is_nothing_to_plant_without_the_structure_or_without_room() -> None:
    rng = np.random.default_rng(0)
    assert plant(np.zeros((9, 9), np.uint8), 1, rng) is None
    assert plant(np.ones((9, 9), np.uint8), 1, rng) is None
