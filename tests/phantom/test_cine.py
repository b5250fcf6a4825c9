"""Scenes: the same for a seed, with masks that hold what they say."""

from __future__ import annotations

import numpy as np
import pytest

from edge3vt.core.anatomy import CLASS_NAMES, SCORED, Structure
from edge3vt.core.clock import NS_PER_S, SystemClock
from edge3vt.phantom.anatomy import VARIANTS
from edge3vt.phantom.cine import Scene
from edge3vt.phantom.planes import ARM_CLASSES, OTHER_VIEWS, OtherView
from edge3vt.phantom.scanner import Probe, Site


def test_a_seed_gives_the_same_picture_in_whatever_order_and_another_seed_another() -> None:
    first, second = Scene(5, 160, 128), Scene(5, 160, 128)
    a, _ = first.at(0.4), first.at(0.1)
    _, b = second.at(0.1), second.at(0.4)
    np.testing.assert_array_equal(a.pixels, b.pixels)
    np.testing.assert_array_equal(a.mask, b.mask)
    assert (a.pixels != Scene(6, 160, 128).at(0.4).pixels).any()


@pytest.mark.parametrize("site", ["A", "B"])
def test_the_view_holds_its_four_structures_and_nothing_outside_the_region(site: str) -> None:
    for seed in range(8):
        scene = Scene(seed, 640, 480, site="A" if site == "A" else "B")
        picture = scene.at(1.0)
        assert picture.holds_view
        assert set(SCORED) <= set(np.unique(picture.mask).tolist())
        outside = np.ones(picture.mask.shape, bool)
        r = scene.region
        outside[r.y0 : r.y1, r.x0 : r.x1] = False
        assert not picture.mask[outside].any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_told_and_a_left_vein_is_a_second_part_of_its_class(variant: str) -> None:
    from scipy import ndimage

    scene = Scene(4, 700, 700, variant=next(v for v in VARIANTS if v == variant))
    assert scene.record.variant == variant
    _, parts = ndimage.label(scene.truth(0.0) == Structure.SUPERIOR_VENA_CAVA)
    assert parts == (2 if variant == "left_svc" else 1)


def test_mask_areas_are_those_of_the_drawn_diameters() -> None:
    scene = Scene(3, 900, 900, variant="normal")
    area = (scene.truth(0.0) == Structure.SUPERIOR_VENA_CAVA).sum() * scene.mm_per_px**2
    told = scene.record.diameters_mm[CLASS_NAMES[Structure.SUPERIOR_VENA_CAVA]]
    assert area == pytest.approx(np.pi / 4 * told**2, rel=0.04)  # at rest at the start


def test_the_field_agrees_with_the_mask() -> None:
    scene = Scene(8, 512, 512, variant="normal")
    field, mask, r = scene.field(0.5), scene.truth(0.5), scene.region
    part = mask[r.y0 : r.y1, r.x0 : r.x1]
    for structure in (Structure.SUPERIOR_VENA_CAVA, Structure.TRACHEA):
        np.testing.assert_array_equal(part == structure, (field[structure] < 0) & scene.scanner.imaged)


def test_vessels_are_darker_than_the_tissue_around_them() -> None:
    darker = 0
    for seed in range(10):
        picture = Scene(seed, 384, 384).at(0.2)
        vessel = np.isin(picture.mask, (Structure.PULMONARY_ARTERY, Structure.AORTIC_ARCH))
        rows, columns = np.nonzero(vessel)
        box = picture.pixels[rows.min() : rows.max(), columns.min() : columns.max()]
        darker += picture.pixels[vessel].mean() < 0.75 * box.mean()
    assert darker >= 8


def test_a_sweep_comes_from_four_chambers_and_loses_the_view_at_both_ends() -> None:
    scene = Scene(11, 320, 320, kind="sweep", duration_s=2.0)
    held = [scene.holds_view(t) for t in np.linspace(0, 2, 41)]
    assert not held[0]
    assert not held[-1]
    assert 20 <= sum(held) <= 34
    for t in (0.0, 2.0):
        assert not scene.truth(t).any()
        assert not scene.field(t)
    assert scene.truth(1.0).any()


@pytest.mark.parametrize("other", OTHER_VIEWS)
def test_other_planes_have_an_empty_truth_and_tell_their_name(other: OtherView) -> None:
    scene = Scene(17, 260, 220, kind="other", other=other)
    picture = scene.at(0.5)
    assert not picture.holds_view
    assert not picture.mask.any()
    assert scene.record.view == other
    assert scene.record.diameters_mm == {}
    assert picture.pixels.any() == (other != "black")


def test_a_frozen_picture_repeats_with_its_scale_and_a_live_one_moves() -> None:
    for seed in range(6):
        frozen = Scene(seed, 200, 200, kind="other", other="frozen", by_hand=True)
        first, later = frozen.at(0.0), frozen.at(1.9)
        np.testing.assert_array_equal(first.pixels, later.pixels)
        assert first.mm_per_px == later.mm_per_px
    live = Scene(9, 200, 200, kind="other", other="limb")
    assert (live.pixels(0.0) != live.pixels(0.7)).any()


@pytest.mark.parametrize("site", ["A", "B"])
@pytest.mark.parametrize("probe", ["convex", "sector", "linear"])
def test_picture_and_truth_lie_on_each_other(site: Site, probe: Probe) -> None:
    """Moved by a millimetre to any side, the mask holds brighter pixels."""
    offsets = [(0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)]
    inside = np.zeros(len(offsets))
    for seed in range(10):
        scene = Scene(seed, 448, 448, site=site, probe=probe, weeks=32.0, variant="normal")
        picture = scene.at(0.0)
        vessel = np.isin(picture.mask, (Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA))
        grey = picture.pixels.astype(np.float64)
        for i, (across, down) in enumerate(offsets):
            moved = np.roll(vessel, [round(v / picture.mm_per_px) for v in (down, across)], axis=(0, 1))
            inside[i] += grey[moved].mean() / grey[vessel].mean()
    assert inside[0] < 0.97 * inside[1:].min()


def test_arm_vessels_have_classes_of_their_own() -> None:
    scene = Scene(3, 512, 400, kind="arm")
    assert scene.classes == ARM_CLASSES
    assert scene.record.probe == "linear"
    assert set(np.unique(scene.truth(0.0)).tolist()) == {0, 1, 2}
    nerves = [Scene(seed, 512, 400, kind="arm").truth(0.0) == 1 for seed in range(30)]
    assert np.mean([nerve.any() for nerve in nerves]) > 0.9


def test_hands_on_the_controls_change_the_scale_of_picture_and_truth() -> None:
    scene = next(s for s in (Scene(i, 400, 300, by_hand=True, duration_s=4) for i in range(40)) if _deeper(s))
    first, last = scene.at(0.0), scene.at(3.99)
    assert last.mm_per_px != first.mm_per_px
    share = (last.mask == Structure.SPINE).sum() / (first.mask == Structure.SPINE).sum()
    assert share == pytest.approx((first.mm_per_px / last.mm_per_px) ** 2, rel=0.15)


def test_the_fetus_stays_below_the_probe_when_the_depth_changes() -> None:
    seen = 0
    for seed in range(60):
        scene = Scene(seed, 400, 300, by_hand=True, duration_s=4, variant="normal")
        for start, _, depth in scene.motion.steps[:1]:
            before, after = scene.at(start - 1e-3), scene.at(start)
            if depth == 1.0 or scene.setup.zoom_mm is None:
                continue
            at = []
            for picture, seconds in ((before, start - 1e-3), (after, start)):
                rows, columns = np.nonzero(picture.mask == Structure.SUPERIOR_VENA_CAVA)
                aside, top = scene.scanner_at(seconds).corner_mm
                middle = columns.mean() - picture.region.x0 - picture.region.width / 2
                at.append(
                    (middle * picture.mm_per_px + aside, (rows.mean() - picture.region.y0) * picture.mm_per_px + top)
                )
            np.testing.assert_allclose(*at, atol=0.3)
            seen += 1
    assert seen >= 3


def _deeper(scene: Scene) -> bool:
    return scene.motion.controls(3.99)[1] > 1.1 and (scene.truth(3.99) == Structure.SPINE).any()


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected view, sweep, other, arm"):
        Scene(1, 100, 100, kind="veiw")  # type: ignore[arg-type]


def test_rescan_turns_the_same_fetus() -> None:
    scene = Scene(2, 256, 256)
    anatomy, before = scene.anatomy, scene.truth(0)
    scene.rescan(256, 256)
    assert scene.anatomy is anatomy
    assert (scene.truth(0) != before).any()


@pytest.mark.timing
def test_at_least_15_pictures_a_second() -> None:
    clock = SystemClock()
    Scene(0, 512, 512).at(0.0)
    begun = clock.now_ns()
    for seed in range(30):
        Scene(seed, 512, 512, kind="other" if seed % 3 == 0 else "view").at(0.3)
    assert 30 / ((clock.now_ns() - begun) / NS_PER_S) >= 15
