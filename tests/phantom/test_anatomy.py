"""Anatomy by gestational age, and its variants."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.anatomy import ZALEL_2004
from edge3vt.phantom.anatomy import (
    AO,
    LARGE_AORTA,
    MAX_WEEKS,
    MIN_WEEKS,
    PA,
    SMALL_ARCH,
    SVC,
    TRACHEA,
    VARIANTS,
    Anatomy,
    Variant,
    draw_anatomy,
    draw_diameters,
)
from edge3vt.phantom.canvas import distance


def fetuses(weeks: float | None = None, variant: Variant | None = None, count: int = 300) -> list[Anatomy]:
    return [draw_anatomy(np.random.default_rng(seed), weeks, variant) for seed in range(count)]


@pytest.mark.parametrize("weeks", [18.0, 24.0, 30.0, 36.0])
def test_normal_diameters_follow_zalel(weeks: float) -> None:
    drawn = [fetus.diameter_mm for fetus in fetuses(weeks, "normal")]
    for structure, line in ZALEL_2004.items():
        assert np.mean([d[structure] for d in drawn]) == pytest.approx(line.diameter_mm(weeks), rel=0.03)


def test_normal_ratios_have_the_published_mean_and_spread_within_the_cut_offs() -> None:
    drawn = [draw_diameters(np.random.default_rng(seed), 22.0, "normal") for seed in range(2000)]
    ratios = np.array([d[PA] / d[AO] for d in drawn])
    assert ratios.mean() == pytest.approx(1.16, abs=0.04)
    assert ratios.std() == pytest.approx(0.18, abs=0.05)  # the cut-offs take its tails
    assert 1 / ratios.max() > SMALL_ARCH
    assert 1 / ratios.min() < LARGE_AORTA


def test_the_variants_lie_beyond_the_cut_offs() -> None:
    assert all(f.diameter_mm[AO] / f.diameter_mm[PA] < SMALL_ARCH for f in fetuses(None, "small_arch", 100))
    assert all(f.diameter_mm[AO] / f.diameter_mm[PA] > LARGE_AORTA for f in fetuses(None, "large_aorta", 100))


def test_every_variant_is_drawn_and_most_are_normal() -> None:
    drawn = [fetus.variant for fetus in fetuses()]
    assert set(drawn) == set(VARIANTS)
    assert drawn.count("normal") > 0.6 * len(drawn)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_arch_passes_the_trachea_on_the_side_that_is_told(variant: Variant) -> None:
    for fetus in fetuses(None, variant, 60):
        x, y = fetus.trachea
        beside = fetus.aortic_arch[np.abs(fetus.aortic_arch[:, 1] - y).argmin(), 0]
        assert fetus.arch_right == (beside < x) == variant.startswith("right_arch")


def test_a_left_duct_passes_left_of_the_trachea_and_a_right_one_right_of_it() -> None:
    for fetus in [*fetuses(None, "right_arch_left_duct", 60), *fetuses(None, "right_arch_right_duct", 60)]:
        x, y = fetus.trachea
        beside = fetus.pulmonary_artery[np.abs(fetus.pulmonary_artery[:, 1] - y).argmin(), 0]
        assert (beside > x) == (fetus.variant == "right_arch_left_duct")


def test_vessels_lie_in_order_from_left_to_right_and_do_not_overlap_at_their_wide_ends() -> None:
    for fetus in fetuses():
        artery, arch, vein = fetus.pulmonary_artery[0], fetus.aortic_arch[0], np.array(fetus.veins[0])
        assert artery[0] > arch[0] > vein[0]
        size = fetus.diameter_mm
        assert np.hypot(*(artery - arch)) > (size[PA] + size[AO]) / 2
        assert np.hypot(*(arch - vein)) > (size[AO] + size[SVC]) / 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_trachea_and_veins_lie_outside_the_great_vessels(variant: Variant) -> None:
    for fetus in fetuses(None, variant, 100):
        size = {s: d / 2 for s, d in fetus.diameter_mm.items()}
        for at, radius in ((fetus.trachea, size[TRACHEA]), *((vein, size[SVC]) for vein in fetus.veins)):
            for course, wide in ((fetus.pulmonary_artery, size[PA]), (fetus.aortic_arch, size[AO])):
                point = np.array(at, np.float32)[:, None]
                assert distance(point[:1], point[1:], course, np.full(len(course), wide))[0, 0] > 0.9 * radius


@pytest.mark.parametrize("variant", VARIANTS)
def test_artery_and_arch_are_two_lumens_before_they_meet(variant: Variant) -> None:
    for fetus in fetuses(None, variant, 100):
        apart = fetus.aortic_arch[: len(fetus.aortic_arch) // 3, None] - fetus.pulmonary_artery[None]
        both = (fetus.diameter_mm[PA] + fetus.diameter_mm[AO]) / 2
        assert np.hypot(apart[..., 0], apart[..., 1]).min() > both - 0.4


def test_only_the_variant_with_a_left_vein_has_two() -> None:
    for fetus in fetuses():
        assert len(fetus.veins) == (2 if fetus.variant == "left_svc" else 1)
        if fetus.variant == "left_svc":
            assert fetus.veins[1][0] > fetus.pulmonary_artery[0, 0]


def test_ages_outside_the_range_are_refused() -> None:
    assert all(MIN_WEEKS <= fetus.gestational_weeks <= MAX_WEEKS for fetus in fetuses())
    with pytest.raises(ValueError, match="covers 18 to 36"):
        draw_anatomy(np.random.default_rng(0), 12.0)
