"""Scenes: the same for a seed, with masks that hold what they say."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.anatomy import SCORED, Structure
from edge3vt.phantom.cine import Scene


def test_a_seed_gives_the_same_picture_and_another_seed_another() -> None:
    a, b, c = (Scene(seed, 160, 128).at(0.4) for seed in (5, 5, 6))
    np.testing.assert_array_equal(a.pixels, b.pixels)
    np.testing.assert_array_equal(a.mask, b.mask)
    assert (a.pixels != c.pixels).any()


def test_the_view_holds_its_four_structures_and_nothing_outside_the_region() -> None:
    for seed in range(4):
        scene = Scene(seed, 640, 480)
        picture = scene.at(1.0)
        assert picture.holds_view
        assert set(SCORED) <= set(np.unique(picture.mask).tolist())
        outside = np.ones(picture.mask.shape, bool)
        r = scene.region
        outside[r.y0 : r.y1, r.x0 : r.x1] = False
        assert not picture.mask[outside].any()


def test_mask_areas_are_those_of_the_drawn_diameters() -> None:
    scene = Scene(3, 900, 900)
    mask = scene.truth(0.0)
    area = (mask == Structure.SUPERIOR_VENA_CAVA).sum() * scene.mm_per_px**2
    expected = np.pi / 4 * scene.anatomy.diameter_mm[Structure.SUPERIOR_VENA_CAVA] ** 2
    assert area == pytest.approx(expected, rel=0.12)  # the beat moves it by 5 % of the diameter


def test_vessels_are_darker_than_the_tissue_around_them() -> None:
    darker = 0
    for seed in range(6):
        picture = Scene(seed, 384, 384).at(0.2)
        vessel = np.isin(picture.mask, (Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH))
        rows, columns = np.nonzero(vessel)
        box = picture.pixels[rows.min() : rows.max(), columns.min() : columns.max()]
        darker += picture.pixels[vessel].mean() < 0.7 * box.mean()
    assert darker >= 5


def test_a_sweep_loses_the_view_at_both_ends_and_its_truth_is_empty_there() -> None:
    scene = Scene(11, 320, 320, kind="sweep", duration_s=2.0)
    held = [scene.holds_view(t) for t in np.linspace(0, 2, 41)]
    assert not held[0]
    assert not held[-1]
    assert 20 <= sum(held) <= 34
    assert not scene.truth(0.0).any()
    assert scene.truth(1.0).any()


def test_other_pictures_have_an_empty_truth() -> None:
    for seed in range(6):
        picture = Scene(seed, 200, 200, kind="other").at(0.5)
        assert not picture.holds_view
        assert not picture.mask.any()
        assert picture.pixels.any()


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected view, sweep or other"):
        Scene(1, 100, 100, kind="veiw")


def test_rescan_turns_the_same_fetus() -> None:
    scene = Scene(2, 256, 256)
    anatomy, before = scene.anatomy, scene.truth(0)
    scene.rescan(256, 256)
    assert scene.anatomy is anatomy
    assert (scene.truth(0) != before).any()
