"""Anatomy by gestational age."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.anatomy import ZALEL_2004, Structure
from edge3vt.phantom.anatomy import MAX_WEEKS, MIN_WEEKS, Anatomy, draw_anatomy


def fetuses(weeks: float | None = None, count: int = 300) -> list[Anatomy]:
    return [draw_anatomy(np.random.default_rng(seed), weeks) for seed in range(count)]


@pytest.mark.parametrize("weeks", [22.0, 28.0, 34.0])
@pytest.mark.parametrize("structure", list(ZALEL_2004))
def test_diameters_follow_zalel(weeks: float, structure: Structure) -> None:
    drawn = [fetus.diameter_mm[structure] for fetus in fetuses(weeks)]
    assert np.mean(drawn) == pytest.approx(ZALEL_2004[structure].diameter_mm(weeks), rel=0.02)


def test_vessels_lie_in_order_and_the_trachea_between_arch_and_spine() -> None:
    for fetus in fetuses():
        artery, arch = fetus.pulmonary_artery[0][0], fetus.aortic_arch[0][0]
        assert artery > arch > fetus.superior_vena_cava[0]
        assert fetus.spine[1] < fetus.trachea[1] < fetus.superior_vena_cava[1] + 3


def test_vessels_do_not_overlap_at_their_wide_ends() -> None:
    for fetus in fetuses():
        gap = np.hypot(*(fetus.aortic_arch[0] - np.array(fetus.superior_vena_cava)))
        both = fetus.diameter_mm[Structure.AORTIC_ARCH] + fetus.diameter_mm[Structure.SUPERIOR_VENA_CAVA]
        assert gap > both / 2


def test_ages_outside_the_range_are_refused() -> None:
    assert all(MIN_WEEKS <= fetus.gestational_weeks <= MAX_WEEKS for fetus in fetuses())
    with pytest.raises(ValueError, match="covers 22 to 34"):
        draw_anatomy(np.random.default_rng(0), 12.0)
